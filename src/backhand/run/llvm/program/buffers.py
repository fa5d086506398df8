"""The layout of a program's memory: the entries of its table, and the strides of its buffers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from ....errors import InputError
from ....plan.nodes import Gather
from .. import tuning
from ..ir.padding import PAD, padded, padded_columns
from .kernel_plan import Schedule

WORD = np.dtype(np.int64)
LINE_WORDS = tuning.CACHE_LINE // WORD.itemsize


@dataclasses.dataclass(frozen=True)
class Slot:
    """What a program expects behind an address of its table.

    Attributes
    ----------
    dtype : dtype
        Native, of exactly this kind.
    shape : tuple of int or None
        None: any number, which stands elsewhere in the table.
    strided : bool
        Whether rows may lie at any distance, which stands in the table too. Otherwise the array
        is in C order; the elements of a row always lie side by side.
    """

    dtype: np.dtype
    shape: tuple[int | None, ...]
    strided: bool = False


Slots = dict[str, Slot | None]
"""The entries of a table by name, in order; None is a number."""


def control_slots(real: np.dtype, scalars: int) -> Slots:
    """The first entries of a program's table; sources, strides and buffers follow."""
    return {
        "rows": None,  # of the whole run
        "batch": None,  # rows of a batch
        "first": None,  # the first batch to run, and one past the last
        "last": None,
        "threads": None,
        "step": None,  # number of the first batch's step, for noise
        "seed": None,
        "order": Slot(WORD, (None,)),  # a row of the source for each row; null: in its order
        "scalars": Slot(real, (None, scalars)),  # of each batch, that of `first` first
        "barrier": Slot(
            WORD, (LINE_WORDS,)
        ),  # 0 at first: arrivals at barriers; has thread 0 begun?
        "split_k.done": Slot(WORD, (None, LINE_WORDS)),  # 0 at first: blocks handed on by a thread
        "stop": Slot(WORD, (LINE_WORDS,)),  # whether to leave the batch, and whether it was left
        "results": Slot(np.dtype(np.float64), (8,)),  # sum of loss * weight, sum of weights
        "zeros": Slot(real, (None,)),  # a row of zeros, as wide as the widest layer
        "x.ld": None,  # row stride of x, in elements: it may be the caller's array itself
        "x.advance": None,  # elements from one row of the run to the next in x; 0 if gathered
        "x.per_thread": None,  # elements from one thread's x to the next's; 0 if they share one
        "x.split_k": None,  # whether each thread's x has its own inputs of all rows, not whole rows
    }


def program_slots(
    schedule: Schedule, sources: Mapping[str, np.dtype], scalars: int, panel: int
) -> Slots:
    """The entries of a program's table, in order, and what it expects behind each address.

    Parameters
    ----------
    schedule : Schedule
    sources : mapping of str to dtype
        Of the arrays that it gathers from.
    scalars : int
        How many run-time scalars the optimiser has.
    panel : int
        Columns of a panel; see `packed`.
    """
    description = schedule.plan.description
    real = np.dtype(description.dtype)
    slots = control_slots(real, scalars)
    columns = {gather.source: _columns(schedule, gather) for gather in schedule.gathers}
    for name, dtype in sources.items():
        if name == "all_t" and description.loss.by_row and dtype.kind not in "iu":
            raise InputError(
                f"t has dtype {dtype}: {description.loss.name!r} takes class indices, whole numbers"
            )
        flat = name not in columns or (schedule.sparse and name == "all_x")
        slots[name] = Slot(dtype, (None,)) if flat else Slot(dtype, (None, columns[name]), True)
        slots[f"{name}.stride"] = None
    for name in schedule.copied_out:
        slots[f"out.{name}"] = Slot(real, (None, schedule.shapes[name][1]))
    return slots | buffer_slots(schedule, panel)


def buffer_slots(schedule: Schedule, panel: int = 0) -> Slots:
    """What a program expects of the buffers that it stores itself, padding included."""
    description = schedule.plan.description
    real = np.dtype(description.dtype)
    index = np.dtype(np.int32)
    static = static_shapes(schedule, panel)
    slots: Slots = {}
    for name, stride in buffer_strides(schedule, panel).items():
        kind = index if name == "t" and description.loss.by_row else real
        slots[name] = Slot(kind, static.get(name, (None, stride)))
    if "x" in slots:  # rows of another length may take its place: see "x.ld"
        slots["x"] = Slot(real, (None, None), True)
    return slots


def _columns(schedule: Schedule, gather: Gather) -> int:
    """The columns of the caller's array that a gather reads."""
    description = schedule.plan.description
    if gather.out == "weight" or (gather.out == "t" and description.loss.by_row):
        return 1
    return description.inputs if gather.out == "x" else description.outputs


def packed(schedule: Schedule, panel: int) -> tuple[str, ...]:
    """Buffers that lie panel by panel: first-layer weights that are updated, and their state.

    The ``panel`` columns of a panel are a stretch of memory of their own, so that a thread's
    columns share no stretch with another's, from which the processor would fetch ahead. Weights
    that would grow by more than a quarter, or have a single panel, stay row by row, as do those of
    a sparse x.
    """
    width = schedule.plan.description.widths[1]
    padding = -width % panel
    unfit = schedule.sparse or schedule.clips or "w1" in schedule.transposed
    if unfit or width <= panel or padding > tuning.PANEL_PADDING * width:
        return ()
    for batch_sum in schedule.batch_sums:
        if batch_sum.update and batch_sum.update.parameter == "w1":
            return ("w1", *batch_sum.update.state)
    return ()


def can_split_k(schedule: Schedule, panel: int) -> bool:
    """Whether threads may own inputs of the first layer; see `split_k`."""
    description = schedule.plan.description
    learns = any(batch_sum.update for batch_sum in schedule.batch_sums)
    many = description.inputs >= tuning.SPLIT_K_INPUTS_PER_UNIT * description.widths[1]
    return learns and many and not schedule.sparse and not packed(schedule, panel)


def inputs_of_a_thread(inputs: int, threads: int) -> int:
    """The most inputs that a thread has in split-k: whole vectors of any processor."""
    vectors = padded_columns(inputs) // PAD
    return -(-vectors // threads) * PAD


def buffer_strides(schedule: Schedule, panel: int = 0) -> dict[str, int]:
    """The row stride, in elements, of every buffer that the program stores.

    With the width of a panel, some are stored in panels; see `packed`.
    """
    description = schedule.plan.description
    item = np.dtype(description.dtype).itemsize
    strides: dict[str, int] = {}
    for gather in schedule.gathers:
        columns = _columns(schedule, gather)
        single = gather.out == "weight" or (gather.out == "t" and description.loss.by_row)
        strides[gather.out] = 1 if single else padded(columns, item)
    for group in schedule.rowwise:
        for name in group.stored:
            row = name in ("value", "share", "loss")
            strides[name] = 1 if row else padded(schedule.shapes[name][1], item)
    for layer, (_, width) in enumerate(description.shapes, 1):
        strides[f"w{layer}"] = strides[f"b{layer}"] = padded(width, item)
    for name in schedule.transposed:
        strides[f"{name}.T"] = padded(description.widths[int(name[1:]) - 1], item)
    for batch_sum in schedule.batch_sums:
        name = batch_sum.node.out
        if schedule.sparse and name == "dw1":  # summed in memory, since entries come in any order
            strides[name] = strides["w1"]
        if batch_sum.update is None or schedule.clips:
            strides[name] = strides[name[1:]]
        if batch_sum.update is not None:
            for state in batch_sum.update.state:
                strides[state] = strides[batch_sum.update.parameter]
    for name in packed(schedule, panel) if panel else ():
        strides[name] = panel
    return strides


def static_shapes(schedule: Schedule, panel: int = 0) -> dict[str, tuple[int, int]]:
    """Padded shapes of parameters, their gradients, state and transposed copies.

    With the width of a panel, some are stored in panels; see `packed`.
    """
    strides = buffer_strides(schedule, panel)
    shapes = {name: (_static_rows(schedule, name), s) for name, s in strides.items()}
    if panel:
        description = schedule.plan.description
        panels = -(-description.widths[1] // panel)
        in_panels = packed(schedule, panel)
        shapes |= dict.fromkeys(in_panels, (panels * description.inputs, panel))
    return {name: shape for name, shape in shapes.items() if shape[0]}


def _static_rows(schedule: Schedule, name: str) -> int:
    """Rows of a parameter, its gradient, state or copy; 0 for a buffer of the batch."""
    description = schedule.plan.description
    part = name.removesuffix(".T")
    part = part.rpartition("_")[2].removeprefix("d")
    if part[0] not in "wb" or not part[1:].isdigit():
        return 0
    d, k = description.shapes[int(part[1:]) - 1]
    if part[0] == "b":
        return 1
    return k if name.endswith(".T") else d

"""Where everything lies: the entries of a program's table, and the strides of its buffers."""

from __future__ import annotations

import numpy as np

from .schedule import PAD, Schedule, padded, padded_columns

CONTROL = (
    "rows",  # of the whole run
    "batch",  # rows of a batch
    "first",  # the first batch to run, and one past the last
    "last",
    "threads",
    "step",  # number of the first batch's step, for noise
    "seed",
    "order",  # int64 (rows,), or null for the order of the source
    "scalars",  # (batches, scalars) of the network's dtype, row `first` first
    "meeting",  # int64 (2,), 0 at first: arrivals at barriers; whether thread 0 has begun
    "relay",  # int64 (threads, 8), 0 at first: blocks that a thread has handed on; see `relay`
    "stop",  # int64 (8,): whether to leave the batch, and whether it was left; see `stopping`
    "results",  # float64 (2,): sum of loss * weight, sum of weights
    "zeros",  # a row of zeros, as wide as the widest layer
    "x.ld",  # row stride of x, in elements: it may be the caller's array itself
    "x.advance",  # elements from one row of the run to the next in x: 0 if each batch is gathered
    "x.own",  # elements from one thread's x to the next's, if each has its own: or 0
    "x.relay",  # whether each of them has its own inputs of all rows, instead of whole rows
)
"""The first entries of the table, by name; sources, strides and buffers follow."""

FLAG = 8
"""Words from one thread's count in ``relay`` to the next one's: a cache line."""


def program_slots(schedule: Schedule, sources: dict[str, np.dtype]) -> tuple[str, ...]:
    """The names of the table's entries, in order."""
    inputs = [f"{name}{end}" for name in sources for end in ("", ".stride")]
    outputs = [f"out.{name}" for name in schedule.delivered]
    return (*CONTROL, *inputs, *outputs, *buffer_strides(schedule))


def packed(schedule: Schedule, panel: int) -> tuple[str, ...]:
    """Buffers that lie panel by panel: first-layer weights that are updated, and their state.

    A panel of so many columns is a stretch of memory of its own, so that a thread's columns share
    no stretch with another's, from which the processor would fetch ahead. Weights that would grow
    by more than a quarter, or have a single panel, stay row by row, as do those of a sparse x.
    """
    width = schedule.plan.description.widths[1]
    padding = -width % panel
    unfit = schedule.sparse or schedule.clips or "w1" in schedule.transposed
    if unfit or width <= panel or 4 * padding > width:
        return ()
    for reduced in schedule.across:
        if reduced.update and reduced.update.parameter == "w1":
            return ("w1", *reduced.update.state)
    return ()


MANY_INPUTS = 4
"""Inputs for each unit of the first layer from which sums travel with less loss than weights do."""


def relays(schedule: Schedule, panel: int) -> bool:
    """Whether threads may share out the inputs of the first layer; see `relay`."""
    description = schedule.plan.description
    learns = any(reduced.update for reduced in schedule.across)
    many = description.inputs >= MANY_INPUTS * description.widths[1]
    return learns and many and not schedule.sparse and not packed(schedule, panel)


def most_inputs(inputs: int, threads: int) -> int:
    """The most inputs that one of the threads in a relay has: whole vectors of any processor."""
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
        columns = {"x": description.inputs, "weight": 1}.get(gather.out, description.outputs)
        one = gather.out == "weight" or (gather.out == "t" and description.loss.by_row)
        strides[gather.out] = 1 if one else padded(columns, item)
    for group in schedule.rowwise:
        for name in group.stored:
            row = name in ("value", "share", "loss")
            strides[name] = 1 if row else padded(schedule.shapes[name][1], item)
    for layer, (_, width) in enumerate(description.shapes, 1):
        strides[f"w{layer}"] = strides[f"b{layer}"] = padded(width, item)
    for name in schedule.transposed:
        strides[f"{name}.T"] = padded(description.widths[int(name[1:]) - 1], item)
    for reduced in schedule.across:
        name = reduced.node.out
        if schedule.sparse and name == "dw1":  # summed in memory, since entries come in any order
            strides[name] = strides["w1"]
        if reduced.update is None or schedule.clips:
            strides[name] = strides[name[1:]]
        if reduced.update is not None:
            for state in reduced.update.state:
                strides[state] = strides[reduced.update.parameter]
    for name in packed(schedule, panel) if panel else ():
        strides[name] = panel
    return strides


def static_shapes(schedule: Schedule) -> dict[str, tuple[int, int]]:
    """Padded shapes of parameters, their gradients, state and transposed copies."""
    rows = {name: (_static_rows(schedule, name), s) for name, s in buffer_strides(schedule).items()}
    return {name: shape for name, shape in rows.items() if shape[0]}


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

"""Programs as machine code: compiled once for each description, kept in memory and on disk."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, Literal

import numpy as np

from ....plan.nodes import Map
from .. import tuning
from ..ir.builder import ir
from ..kernels.tile import panel_columns
from ..machine.compile_store import COMPILING, CompileReady, RecentlyUsed, load
from ..machine.elf_linker import Image
from ..machine.object_cache import generator
from ..machine.target import Library, Target
from .buffers import Slots, buffer_strides, can_split_k, packed, program_slots, static_shapes
from .kernel_plan import Schedule

ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
PartitionMode = Literal["rows", "columns", "inputs"]


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A program in memory.

    Attributes
    ----------
    call : callable
        ``call(address of the table, number of the thread)``; it releases the interpreter.
    slots : dict of str to Slot or None
        What the program expects in each entry of its table; None is a number.
    static : dict of str to (int, int)
        Shapes of parameters, their state and their transposed copies, padded.
    batched : dict of str to (int, dtype)
        Row stride and dtype of the buffers that have a row for each row of a batch.
    scalars : tuple of str
        Names of run-time scalars, in order.
    flops : int
        Floating-point operations for each row of a batch, only in products.
    weights : int
        How many weights a step updates.
    inputs, columns : int
        Of the first layer.
    can_split_k : bool
        Whether threads may own its inputs; see `split_k`.
    packed : dict of str to int
        Static buffers whose columns lie in panels one behind the other, with their number.
    """

    library: Library | Image
    call: Callable[[int, int], None]
    slots: Slots
    static: dict[str, tuple[int, int]]
    batched: dict[str, tuple[int, np.dtype]]
    scalars: tuple[str, ...]
    flops: int
    weights: int
    inputs: int
    columns: int
    can_split_k: bool
    packed: dict[str, int]

    def pass_threads(self, rows: int, available: Callable[[], int]) -> int:
        """The number of threads, among those available, for a pass over ``rows`` rows."""
        return _granted((self.flops + tuning.ROW_WORK) * rows // tuning.PASS_WAKING_WORK, available)

    def partition_mode(self, rows: int, threads: int) -> PartitionMode:
        """What is divided among threads in the first layer of a step: see `kernel_plan`.

        Columns, if all threads can have about as many: each then gathers all the rows, which must
        be less than the weights that would otherwise travel from one processor to another. Inputs,
        if there are enough of them, and enough rows to keep all threads busy.
        """
        panels = self.packed.get("w1", 0)
        most = -(-panels // threads) * threads
        even = panels > 0 and most <= tuning.UNEVEN * panels
        if threads > 1 and even and rows * threads <= tuning.ROWS_PER_COLUMN * self.columns:
            return "columns"
        enough = self.inputs >= tuning.SPLIT_K_INPUTS * threads and rows >= tuning.SPLIT_K_ROWS * (
            threads - 1
        )
        if (
            threads > 1
            and self.can_split_k
            and enough
            and self.flops * rows <= tuning.SPLIT_K_MOST_WORK
        ):
            return "inputs"
        return "rows"

    def step_work(self, rows: int, more: int = 0) -> int:
        """The cost of a training step, in operations.

        ``more`` are those on a sparse first layer, which ``flops`` leaves out.
        """
        return (self.flops + tuning.ROW_WORK) * rows + tuning.WEIGHT_WORK * self.weights + more

    def training_threads(
        self, rows: int, steps: int, available: Callable[[], int], more: int = 0
    ) -> tuple[int, int]:
        """The number of threads, among those available, for some training steps of ``rows`` rows.

        The second number is the most that may pay on a machine with faster barriers. ``more`` is as
        for `step_work`.
        """
        step = self.step_work(rows, more)
        waking = step * steps // tuning.TRAINING_WAKING_WORK

        def granted(counted: int) -> int:
            worth = min(counted // tuning.THREAD_WORK, waking)
            return _granted(worth, available)

        return granted(step), granted(tuning.DOUBT * step)


def _granted(worth: int, available: Callable[[], int]) -> int:
    """At most ``worth`` threads, if there are as many; asking takes longer than a small step."""
    return min(worth, available()) if worth > 1 else 1


_known = RecentlyUsed[Compiled]()


def compiled(
    schedule: Schedule, sources: dict[str, np.dtype], scalars: tuple[str, ...] = ()
) -> Compiled:
    """Machine code for a schedule on this processor.

    Parameters
    ----------
    schedule : Schedule
    sources : dict of str to dtype
        Of the arrays that it gathers from.
    scalars : tuple of str
        Names of the optimiser's run-time scalars.

    Raises
    ------
    BackhandError
        If the processor is not supported or LLVM refuses; nothing slower is taken instead.
    """
    target = Target.host()
    key = program_key(schedule, target, sources, scalars)
    with COMPILING:
        return _known.get(key, lambda: _load(schedule, target, sources, scalars, key))


def _load(
    schedule: Schedule,
    target: Target,
    sources: dict[str, np.dtype],
    scalars: tuple[str, ...],
    key: str,
) -> Compiled:
    def emit(compile_ready: CompileReady) -> ir.Module:
        from .emit import emit_program  # what emits code is slow to import

        return emit_program(schedule, target, sources, scalars, compile_ready)

    library = load(key, target, emit)
    description = schedule.plan.description
    panel = panel_columns(target, np.dtype(description.dtype))
    slots = program_slots(schedule, sources, len(scalars), panel)
    static = static_shapes(schedule, panel)
    batched: dict[str, tuple[int, np.dtype]] = {}
    for name, stride in buffer_strides(schedule, panel).items():
        slot = slots[name]
        if name not in static and slot is not None:
            batched[name] = stride, slot.dtype
    return Compiled(
        library,
        ENTRY(library.address("run")),
        slots,
        static,
        batched,
        scalars,
        _flops(schedule),
        sum(d * k for d, k in description.shapes) if _learns(schedule) else 0,
        description.inputs,
        description.widths[1],
        can_split_k(schedule, panel),
        {name: static[name][0] // description.inputs for name in packed(schedule, panel)},
    )


def _learns(schedule: Schedule) -> bool:
    return any(batch_sum.update for batch_sum in schedule.batch_sums)


def _flops(schedule: Schedule) -> int:
    shapes = schedule.plan.description.shapes
    products = sum(2 * d * k for d, k in shapes[schedule.sparse :])
    return products * (3 if schedule.batch_sums else 1)


# the key of a program ---------------------------------------------------------------------------


def program_key(
    schedule: Schedule, target: Target, sources: dict[str, np.dtype], scalars: tuple[str, ...]
) -> str:
    """Everything that a program's machine code depends on, as text."""
    description = schedule.plan.description
    formulas = {node.formula for node in schedule.plan.nodes if isinstance(node, Map)} | {
        r.update.optimiser.update for r in schedule.batch_sums if r.update
    }
    parts = [
        generator(),
        target,
        description.widths,
        description.dtype,
        description.loss.by_row,
        str(schedule.plan),
        (schedule.outputs, schedule.copied_out, schedule.accumulates),
        sorted((k, str(v)) for k, v in sources.items()),
        scalars,
        sorted(fingerprint(f) for f in formulas),
    ]
    return repr(parts)


def fingerprint(formula: Any, within: tuple[Any, ...] = ()) -> str:
    """A text that changes when a formula does: its code, and what that code refers to.

    It is the same in every process. ``within`` are the functions on the way to this one: the names
    in a function's code may mean itself, such as ``xp.tanh`` in a function ``tanh``.
    """
    function = getattr(formula, "__func__", formula)
    if isinstance(function, functools.partial):
        inner = fingerprint(function.func, within)
        return f"partial {inner} {function.args} {sorted(function.keywords.items())}"
    if not isinstance(function, FunctionType):
        return repr(function)
    if function in within:
        return function.__qualname__
    code, within = function.__code__, (*within, function)
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    named = [function.__globals__[n] for n in _names(code) if n in function.__globals__]
    refers = [fingerprint(value, within) for value in (*cells, *named)]
    return f"{function.__qualname__} {_code(code)} {function.__defaults__} {refers}"


def _names(code: CodeType) -> list[str]:
    inner = [name for c in code.co_consts if isinstance(c, CodeType) for name in _names(c)]
    return [*code.co_names, *inner]


def _code(code: CodeType) -> str:
    consts = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {consts}"

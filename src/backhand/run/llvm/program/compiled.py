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
from ..cache import generator
from ..kernels.tile import panel_columns
from ..machine.elf_linker import Image
from ..machine.target import Library, Target
from ..objects import COMPILING, Offer, Recent, load
from .buffers import Slots, buffer_strides, packed, program_slots, relays, static_shapes
from .kernel_plan import Schedule

ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
Sharing = Literal["rows", "columns", "inputs"]
INPUTS_EACH, ROWS_EACH = 64, 12
"""For each thread of a relay: inputs that are worth handing sums on, rows that keep it going."""
LONG_RELAY = 1_000_000_000
"""Operations for each row of a batch, times its rows, in which nobody asks a relay to stop."""
ROW_WORK, WEIGHT_WORK = 4_000, 30
"""What a row costs beside its products (gathering, loss), and a weight's update, in operations."""
WORTH_MEETING, WORTH_A_LEARNER = 4_000_000, 2_000_000
"""Operations in a step for which threads pay for their barriers, and for the weights that move
between processors; and then for which each of them does."""
DOUBT = 8
"""How many times as much a step may be worth on another machine: that is tried out."""
WORTH_WAKING, WORTH_WAKING_A_LEARNER = 25_000_000, 50_000_000
"""Operations in a pass over many rows, and in an epoch, for which one more thread pays for being
woken. `benchmarks/threads.py` measures whether the choice is good."""


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
    relays : bool
        Whether threads may share out its inputs.
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
    relays: bool
    packed: dict[str, int]

    def readers_for(self, rows: int, available: Callable[[], int]) -> int:
        """How many of the available threads a pass over ``rows`` rows is worth."""
        return _granted((self.flops + ROW_WORK) * rows // WORTH_WAKING, available)

    def sharing(self, rows: int, threads: int) -> Sharing:
        """What threads share out for the first layer of a step: see `Schedule`.

        Columns, if all can have as many: each thread then gathers all the rows, which must be less
        than the weights that would otherwise travel from one processor to another. Inputs, if
        there are enough of them, and enough rows to keep all threads of the relay busy.
        """
        panels = self.packed.get("w1", 0)
        even = 20 * (-(-panels // threads) * threads) <= 23 * panels
        if threads > 1 and panels > 0 and even and rows * threads <= 2 * self.columns:
            return "columns"
        enough = self.inputs >= INPUTS_EACH * threads and rows >= ROWS_EACH * (threads - 1)
        if threads > 1 and self.relays and enough and self.flops * rows <= LONG_RELAY:
            return "inputs"
        return "rows"

    def step_work(self, rows: int, more: int = 0) -> int:
        """Operations of a training step, or what takes as long.

        ``more`` are those on a sparse first layer, which ``flops`` leaves out.
        """
        return (self.flops + ROW_WORK) * rows + WEIGHT_WORK * self.weights + more

    def learners_for(
        self, rows: int, steps: int, available: Callable[[], int], more: int = 0
    ) -> tuple[int, int]:
        """How many of the available threads ``steps`` training steps of ``rows`` rows are worth.

        And how many might be, on a machine where threads meet more quickly. ``more`` is as for
        `step_work`.
        """
        step = self.step_work(rows, more)
        waking = step * steps // WORTH_WAKING_A_LEARNER

        def granted(counted: int) -> int:
            worth = min(counted // WORTH_A_LEARNER, waking)
            return _granted(worth if counted >= WORTH_MEETING else 1, available)

        return granted(step), granted(DOUBT * step)


def _granted(worth: int, available: Callable[[], int]) -> int:
    """At most ``worth`` threads, if there are as many; asking takes longer than a small step."""
    return min(worth, available()) if worth > 1 else 1


_known = Recent[Compiled]()


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
    def emit(offer: Offer) -> Any:
        from .emit import emit_program  # what emits code is slow to import

        return emit_program(schedule, target, sources, scalars, offer).module

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
        relays(schedule, panel),
        {name: static[name][0] // description.inputs for name in packed(schedule, panel)},
    )


def _learns(schedule: Schedule) -> bool:
    return any(reduced.update for reduced in schedule.across)


def _flops(schedule: Schedule) -> int:
    shapes = schedule.plan.description.shapes
    products = sum(2 * d * k for d, k in shapes[schedule.sparse :])
    return products * (3 if schedule.across else 1)


# the key of a program ---------------------------------------------------------------------------


def program_key(
    schedule: Schedule, target: Target, sources: dict[str, np.dtype], scalars: tuple[str, ...]
) -> str:
    """Everything that a program's machine code depends on, as text."""
    description = schedule.plan.description
    formulas = {node.formula for node in schedule.plan.nodes if isinstance(node, Map)} | {
        r.update.optimiser.update for r in schedule.across if r.update
    }
    parts = [
        generator(),
        target,
        description.widths,
        description.dtype,
        description.loss.by_row,
        str(schedule.plan),
        (schedule.outputs, schedule.delivered, schedule.continued),
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

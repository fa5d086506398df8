"""Programs as machine code: compiled once for each description, kept in memory and on disk."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import math
from collections.abc import Callable
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Literal

import numpy as np

from ....formulas.optimisers import Optimiser
from ....plan.buffers import Buffer
from ....plan.nodes import Product
from ....plan.step import PLANS_KEPT
from .. import tuning
from ..ir.builder import ir
from ..kernels.tile import panel_columns
from ..machine.compile_store import COMPILING, CompileReady, RecentlyUsed, load
from ..machine.elf_linker import Image
from ..machine.object_cache import generator
from ..machine.target import Library, Target
from .buffers import Layout, Slots
from .kernel_plan import Fused, KernelPlan, RowMap

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
    layout : Layout
        Where buffers lie.
    flops : int
        Floating-point operations for each row of a batch, only in products.
    weights : int
        How many numbers a step updates.
    sparse_columns : int
        Columns of what a sparse x is multiplied with.
    packed : dict of str to int
        Static buffers whose columns lie in panels one behind the other, with their number.
    """

    library: Library | Image
    call: Callable[[int, int], None]
    slots: Slots
    layout: Layout
    flops: int
    weights: int
    sparse_columns: int
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
        layout = self.layout
        panels = max(self.packed.values(), default=0)
        most = -(-panels // threads) * threads
        even = panels > 0 and most <= tuning.UNEVEN * panels
        if threads > 1 and even and rows * threads <= tuning.ROWS_PER_COLUMN * layout.columns:
            return "columns"
        enough = (
            layout.inputs >= tuning.SPLIT_K_INPUTS * threads
            and rows >= tuning.SPLIT_K_ROWS * (threads - 1)
        )
        if (
            threads > 1
            and layout.can_split_k
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


def compiled(kernel_plan: KernelPlan, sources: dict[str, np.dtype]) -> Compiled:
    """Machine code for a kernel plan on this processor.

    Parameters
    ----------
    kernel_plan : KernelPlan
    sources : dict of str to dtype
        Of the arrays that it gathers from.

    Raises
    ------
    BackhandError
        If the processor is not supported or LLVM refuses; nothing slower is taken instead.
    """
    target = Target.host()
    key = program_key(kernel_plan, target, sources)
    with COMPILING:
        return _known.get(key, lambda: _load(kernel_plan, target, sources, key))


def _load(
    kernel_plan: KernelPlan, target: Target, sources: dict[str, np.dtype], key: str
) -> Compiled:
    panel = panel_columns(target, np.dtype(kernel_plan.plan.description.dtype))
    layout = Layout(kernel_plan, panel)
    slots = layout.slots(sources)

    def emit(compile_ready: CompileReady) -> ir.Module:
        from .emit import emit_program  # what emits code is slow to import

        return emit_program(kernel_plan, target, sources, compile_ready)

    library = load(key, target, emit)
    updated = [each.update.parameter for each in kernel_plan.sums if each.update]
    return Compiled(
        library,
        ENTRY(library.address("run")),
        slots,
        layout,
        _flops(kernel_plan),
        sum(math.prod(layout.exact[buffer.name]) for buffer in updated),
        sum(
            product.out.width
            for product in _products(kernel_plan)
            if _reads_entries(product, kernel_plan)
        ),
        {name: layout.static[name][0] // layout.inputs for name in layout.packed},
    )


def _products(kernel_plan: KernelPlan) -> list[Product]:
    """The products of the forward pass."""
    found = [kernel.product for kernel in kernel_plan.kernels if isinstance(kernel, Fused)]
    return [product for product in found if not product.right_transposed]


def _reads_entries(product: Product, kernel_plan: KernelPlan) -> bool:
    return kernel_plan.sparse and product.left == kernel_plan.plan.x


def _flops(kernel_plan: KernelPlan) -> int:
    """Forward, and as much again for each of the two gradients of a product."""
    forward = sum(
        2 * product.out.members * product.left.width * product.out.width
        for product in _products(kernel_plan)
        if not _reads_entries(product, kernel_plan)
    )
    return forward * (3 if kernel_plan.has_barriers else 1)


# the key of a program ---------------------------------------------------------------------------


def program_key(kernel_plan: KernelPlan, target: Target, sources: dict[str, np.dtype]) -> str:
    """Everything that a program's machine code depends on, as text."""
    kinds = sorted((name, str(dtype)) for name, dtype in sources.items())
    return f"{generator()} {target} {kinds} {_text(kernel_plan)}"


@functools.lru_cache(maxsize=PLANS_KEPT)
def _text(kernel_plan: KernelPlan) -> str:
    """A kernel plan as text, in every process the same."""
    plan = kernel_plan.plan
    parts = [
        plan.description.dtype,
        (plan.x, plan.t, plan.weight, plan.logits, plan.dlogits, plan.loss, plan.dx),
        [p.buffer for p in kernel_plan.plan.parameters],
        [_described(node) for node in kernel_plan.plan.nodes],
        (kernel_plan.copied_out, kernel_plan.accumulates, kernel_plan.reals, kernel_plan.words),
        [kernel.stored for kernel in kernel_plan.kernels if isinstance(kernel, (Fused, RowMap))],
    ]
    return repr(parts)


def _described(value: Any) -> Any:
    """A node as text and nested tuples, with what its formulas do in place of the formulas."""
    if isinstance(value, tuple):
        return tuple(map(_described, value))
    if isinstance(value, Buffer) or value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Optimiser):  # its numbers are per-step scalars
        return (fingerprint(value.update), value.state, value.weights_only, value.clips)
    if dataclasses.is_dataclass(value):
        fields = (getattr(value, f.name) for f in dataclasses.fields(value))
        return (type(value).__name__, *map(_described, fields))
    return fingerprint(value)


def fingerprint(formula: Any, within: tuple[Any, ...] = ()) -> str:
    """A text that changes when a formula does: its code, and what that code refers to.

    It is the same in every process. ``within`` are the functions on the way to this one: the names
    in a function's code may mean itself, such as ``xp.tanh`` in a function ``tanh``.
    """
    if isinstance(formula, MethodType):  # of a layer perhaps, whose fields decide what it does
        return f"{_value(formula.__self__, within)} {fingerprint(formula.__func__, within)}"
    function = formula
    if isinstance(function, functools.partial):
        inner = fingerprint(function.func, within)
        keywords = [(k, _value(v, within)) for k, v in sorted(function.keywords.items())]
        return f"partial {inner} {[_value(a, within) for a in function.args]} {keywords}"
    if not isinstance(function, FunctionType):
        return _value(function, within)
    if function in within:
        return function.__qualname__
    code, within = function.__code__, (*within, function)
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    named = [function.__globals__[n] for n in _names(code) if n in function.__globals__]
    refers = [fingerprint(value, within) for value in (*cells, *named)]
    given = (*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items()))
    defaults = [_value(value, within) for value in given]
    return f"{function.__qualname__} {_code(code)} {defaults} {refers}"


def _value(value: Any, within: tuple[Any, ...]) -> str:
    """What a formula refers to, as text: functions by what they do, objects by what they hold."""
    if isinstance(value, (FunctionType, MethodType, functools.partial)):
        return fingerprint(value, within)
    if isinstance(value, tuple):
        return f"({', '.join(_value(item, within) for item in value)})"
    held = {} if isinstance(value, (type, ModuleType)) else getattr(value, "__dict__", {})
    if not held or value in within:
        return repr(value)
    fields = [(name, _value(item, (*within, value))) for name, item in sorted(held.items())]
    return f"{type(value).__qualname__} {fields}"


def _names(code: CodeType) -> list[str]:
    inner = [name for c in code.co_consts if isinstance(c, CodeType) for name in _names(c)]
    return [*code.co_names, *inner]


def _code(code: CodeType) -> str:
    consts = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {consts}"

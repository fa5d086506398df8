"""One row of a batch through the nodes of a plan, as a function of a module.

    name(table, given, ..., result):  one row of each buffer that is given, and of the result

The table has the addresses of weights and of buffers for the results in between; see `slots`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ....plan.buffers import Buffer
from ....plan.step import Plan
from ..ir.builder import define, element, for_range, index, ir
from ..machine.fp_mode import flush_subnormals
from ..machine.target import Target
from .buffers import Layout, Place, Slot, Slots
from .context import Context
from .emit import load_table
from .kernel_plan import KernelPlan, plan_kernels
from .kernel_set import Kernels
from .partition import Range
from .row_code import RowCode
from .sum_code import SumCode

BEYOND = 64
"""Numbers behind the widest row that kernels may read."""


def one_row_plan(plan: Plan) -> KernelPlan:
    """The kernels of a plan for one row: what is wanted are its logits."""
    return plan_kernels(plan, (plan.logits,))


def given_buffers(kernel_plan: KernelPlan) -> tuple[Buffer, ...]:
    """What the function is given: x, and what the plan gathers besides."""
    return (kernel_plan.plan.x, *(gather.out for gather in kernel_plan.gathers))


def slots(layout: Layout) -> Slots:
    """What the function expects in its table; its argument x may be copied there."""
    return {"zeros": Slot(layout.real, (None,)), **layout.buffer_slots()}


def zeros(plan: Plan) -> int:
    """How many numbers the entry ``zeros`` of the table needs."""
    return max(buffer.width for buffer in plan.buffers.values()) + BEYOND


def emit_function(kernel_plan: KernelPlan, target: Target, name: str, *, flush: bool) -> ir.Module:
    """The module that defines the function of one row.

    Parameters
    ----------
    kernel_plan : KernelPlan
        From `one_row_plan`.
    target : Target
    name : str
    flush : bool
        Whether subnormal numbers count as zeros, as in all programs of networks.
    """
    module = ir.Module("backhand")
    count = len(given_buffers(kernel_plan)) + 2
    function, build = define(module, name, [ir.PointerType()] * count, external=True)
    table, *given, result = function.args
    as_before = flush_subnormals(build, target) if flush else lambda: None
    emit_row(kernel_plan, target, build, table, given, result)
    as_before()
    build.ret_void()
    return module


def emit_row(
    kernel_plan: KernelPlan,
    target: Target,
    build: ir.IRBuilder,
    table: ir.Value,
    given: Sequence[ir.Value],
    result: ir.Value,
) -> None:
    """Write the code of one row; addresses of what is given and of the result, without padding."""
    entry, plan = build.block, kernel_plan.plan
    kernels = Kernels(build.module, target, kernel_plan, single_row=True)
    layout = Layout(kernel_plan)
    at = load_table(build, table, slots(layout))
    at |= {"x.ld": index(0), "x.per_thread": index(0), "x.split_k": index(0)}
    at |= {"threads": index(1), "batch": index(1)}
    context = _Context(kernel_plan, layout, kernels, {}, build, at, index(0))
    context.now = {"begin": index(0), "rows": index(1)}

    def move(buffer: Buffer, row: ir.Value, inwards: bool) -> None:
        """Copy a row to or from a buffer, member by member."""
        where: Place = layout.place(buffer)
        for member in range(buffer.members):
            inside = context.address(where, index(member * where.member))
            outside = element(build, row, index(member * buffer.width), kernels.real)
            source, to = (outside, inside) if inwards else (inside, outside)
            copy(build, source, kernels.real, to, kernels.real, buffer.width)

    for buffer, row in zip(given_buffers(kernel_plan), given, strict=True):
        if buffer == plan.x and kernel_plan.reads_x_in_products_only:
            at[buffer.name] = row
        elif buffer.name in layout.batched:
            move(buffer, row, True)
    rows = RowCode(context)
    SumCode(context, rows, None, entry).run(kernel_plan.parameter_only)
    for kernel in kernel_plan.kernels:
        rows.run(kernel, (index(0), index(1)))
    move(plan.logits, result, False)


def copy(
    build: ir.IRBuilder, source: ir.Value, kind: ir.Type, to: ir.Value, to_kind: ir.Type, many: int
) -> None:
    """Copy numbers, real ones of one kind to another perhaps."""

    def one(k: ir.Value) -> None:
        value = build.load(element(build, source, k, kind), typ=kind)
        build.store(as_real(build, value, to_kind), element(build, to, k, to_kind))

    for_range(build, "number", index(0), index(many), one)


def as_real(build: ir.IRBuilder, value: ir.Value, kind: ir.Type) -> ir.Value:
    """A real number as one of another kind, rounded to the nearest."""
    if value.type == kind:
        return value
    wider = isinstance(kind, ir.DoubleType)
    return build.fpext(value, kind) if wider else build.fptrunc(value, kind)


class _Context(Context):
    """A program whose work is soon done, and which nobody waits for."""

    def pieces(
        self,
        which: int,
        between: Range,
        piece: ir.Value,
        body: Callable[[ir.Value, ir.Value], None],
    ) -> None:
        body(*between)

"""From a kernel plan to one function that runs many batches on a team of threads.

    for each batch:
        my rows: gather, then every kernel over rows              barrier
            (or all rows, my columns or inputs of the first layer     barrier)
        my part of every parameter: sums over the batch, update   barrier

and more phases, of either kind, where the plan needs them. Every thread calls the function with the
same table of addresses and numbers, and with its own number. Kernels take sizes and strides as
arguments, so layers that compute the same formulas share one; only the shapes in the calls differ.
"""

from __future__ import annotations

import numpy as np

from ..ir.builder import define, element, for_range, index, ir, minimum, unoptimised
from ..kernels.cancellation import FAR, MISSING, ROWS, is_set
from ..machine.compile_store import CompileReady
from ..machine.fp_mode import flush_subnormals
from ..machine.target import Target
from .buffers import Layout, Slots
from .context import Context
from .kernel_plan import Fused, KernelPlan, Phase
from .kernel_set import Kernels
from .partition import Range
from .row_code import RowCode
from .split_k import SplitK
from .sum_code import SumCode


def emit_program(
    kernel_plan: KernelPlan,
    target: Target,
    sources: dict[str, np.dtype],
    compile_ready: CompileReady = lambda module: None,
) -> ir.Module:
    """Emit the module that defines ``run(table, thread)``, the program of a kernel plan.

    Parameters
    ----------
    kernel_plan : KernelPlan
    target : Target
    sources : dict of str to dtype
        Of the caller's arrays, by the names that the plan gathers from.
    compile_ready : callable
        Called with the module whenever functions of it are complete; see `CompileStore.objects`.
    """
    module = ir.Module("backhand")
    kernels = Kernels(module, target, kernel_plan, compile_ready=compile_ready)
    layout = Layout(kernel_plan, kernels.panel)
    function, build = define(module, "run", [ir.PointerType(), ir.IntType(64)], external=True)
    unoptimised(function)
    (table, thread), entry = function.args, build.block
    as_before = flush_subnormals(build, target)
    at = load_table(build, table, layout.slots(sources))
    with build.if_then(build.icmp_signed("==", thread, index(0))):
        build.store(index(1), element(build, at["barrier"], index(1), ir.IntType(64)))
    context = Context(kernel_plan, layout, kernels, sources, build, at, thread)
    program = _Program(context, entry)
    for_range(build, "batch", at["first"], at["last"], program.batch)
    as_before()
    build.ret_void()
    return module


def load_table(build: ir.IRBuilder, table: ir.Value, slots: Slots) -> dict[str, ir.Value]:
    """The addresses and numbers of a table."""
    at: dict[str, ir.Value] = {}
    for place, (name, expected) in enumerate(slots.items()):
        kind = ir.IntType(64) if expected is None else ir.PointerType()
        slot = element(build, table, index(place), ir.IntType(64))
        at[name] = build.load(slot, typ=kind, name=name)
    return at


class _Program:
    """Writes what is done for a batch."""

    def __init__(self, context: Context, entry: ir.Block) -> None:
        self.context, self.build, self.at = context, context.build, context.at
        self.kernel_plan, self.partition = context.kernel_plan, context.partition
        build, layout, at = self.build, context.layout, self.at
        self.rows = RowCode(context)
        self.split_k = SplitK(context, self.rows) if layout.can_split_k else None
        self.sums = SumCode(context, self.rows, self.split_k, entry)
        self.x = context.kernel_plan.plan.x.name
        mine = build.mul(at["x.per_thread"], context.thread)
        self.all_x, self.total = None, None
        if self.x in at:
            self.all_x = element(build, at[self.x], mine, context.real)
        has_loss = any(
            getattr(kernel, "counts_weights", False) for kernel in self.kernel_plan.kernels
        )
        if self.kernel_plan.accumulates and has_loss:
            self.total = self.rows.weight_sum(index(0), at["rows"])

    def batch(self, number: ir.Value) -> ir.Value | None:
        """A batch, and how many numbers further the next one is."""
        build, at, kernel_plan, context = self.build, self.at, self.kernel_plan, self.context
        begin = build.mul(number, at["batch"])
        rows = minimum(build, at["batch"], build.sub(at["rows"], begin))
        relative = build.sub(number, at["first"])
        context.now = now = {"begin": begin, "rows": rows, "number": relative}
        for name, names in (("scalars", kernel_plan.reals), ("words", kernel_plan.words)):
            kind = context.real if name == "scalars" else ir.IntType(32)
            past = build.mul(relative, index(max(1, len(names))))
            now[name] = element(build, at[name], past, kind)
        now["step"] = build.trunc(build.add(at["step"], relative), ir.IntType(32))
        if self.total:
            now["weights"] = self.total
        if self.all_x:
            past = build.mul(begin, at["x.advance"])
            at[self.x] = element(build, self.all_x, past, context.real)
        # Where no barrier holds threads together, one may be a batch ahead; so each keeps to the
        # same rows of the buffers, even in a last batch that is smaller.
        first, last = self.partition.part(rows if kernel_plan.has_barriers else at["batch"])
        mine = minimum(build, first, rows), minimum(build, last, rows)
        left = self._phases(mine)
        return build.select(left, index(FAR), index(1))

    def _phases(self, mine: Range) -> ir.Value:
        """All phases; whether this was the last batch, because somebody asks to leave."""
        kernel_plan = self.kernel_plan
        if kernel_plan.parameter_only:
            self._parameter_only()
        of_rows = [phase for phase in kernel_plan.phases if phase.rows]
        left = None
        for phase in kernel_plan.phases:
            if phase.rows:
                self._by_rows(phase, mine, phase is of_rows[0])
            if phase is of_rows[-1]:
                for buffer in kernel_plan.copied_out:
                    self.rows.copy_out(buffer, mine)
            if phase.sums:
                left = self._by_parameters(phase, phase is kernel_plan.phases[-1])
            if kernel_plan.has_barriers:
                self.context.barrier()
        return is_set(self.build, self.at["stop"], ROWS) if left is None else left

    def _parameter_only(self) -> None:
        """What is made of parameters: once in a run if they stay as they are."""
        build = self.build
        is_first = build.icmp_signed("==", self.context.now["number"], index(0))
        with build.if_then(
            ir.Constant(ir.IntType(1), 1) if self.kernel_plan.has_barriers else is_first
        ):
            self.sums.run(self.kernel_plan.parameter_only)
            self.context.barrier()

    def _by_rows(self, phase: Phase, mine: Range, begins: bool) -> None:
        """What is done for my rows; in the phase that begins, they are gathered."""
        build, kernel_plan = self.build, self.kernel_plan
        everything = self.partition.chosen((index(0), self.context.now["rows"]), mine)
        first = kernel_plan.first
        for node in kernel_plan.gathers if begins else ():
            if node.out == kernel_plan.plan.x:
                if not node.sparse and first is None:
                    self.rows.gather_in_pieces(node, mine)
            else:
                self.rows.gather(node, *mine)
        for kernel in phase.rows:
            if kernel is first:
                self._first_layer(first, everything)
                with build.if_then(self.partition.separate_x):
                    self.context.barrier()
            else:
                self.rows.run(kernel, mine)

    def _first_layer(self, group: Fused, mine: Range) -> None:
        """Gather x, if it is not read where it is, and take the product with it."""
        gathers = [node for node in self.kernel_plan.gathers if node.out == self.kernel_plan.plan.x]
        x = next((node for node in gathers if not node.sparse), None)

        def usual() -> None:
            if x:
                self.rows.gather_in_pieces(x, mine)
            self.rows.run(group, mine, by_columns=True)

        if self.split_k and x:
            with self.build.if_else(self.partition.splits_k) as (split, not_split):
                with split:
                    self.split_k.run(x, group)
                with not_split:
                    usual()
        else:
            usual()

    def _by_parameters(self, phase: Phase, is_last: bool) -> ir.Value:
        """Sums and updates, unless somebody asks to leave: whether they do."""
        build, stop = self.build, self.at["stop"]
        # Who leaves rows undone says so before the barrier before this, so here all threads agree.
        left = build.or_(is_set(build, stop, ROWS + 1), is_set(build, stop, MISSING))
        goes_on = build.not_(left)
        if "weights" in self.context.now:
            goes_on = build.and_(self.rows.counts(), goes_on)
        with build.if_then(goes_on):
            self.sums.run(phase.sums)
            if is_last:
                self._loss()
        return left

    def _loss(self) -> None:
        """Thread 0 adds the batch's loss to the results."""
        loss, now = self.kernel_plan.plan.loss, self.context.now
        if loss is None or loss.name not in self.at:
            return
        numbers = self.build.mul(now["rows"], index(self.context.layout.place(loss).row))
        given = self.at[loss.name], numbers, now["weights"], self.at["results"]
        add = self.context.kernels.add_loss()
        self.partition.on_one_thread(0, lambda: self.build.call(add, given))

"""Split-k for the first layer: each thread owns some inputs, and hands its sums to the next thread.

    thread s, whose inputs are k in I:
        for each block of rows:
            x[block, I] = gather(block, I);  all but the first are a few blocks ahead with it
            all but the first:  wait for thread s - 1 to hand the block on
            z[block] = (b, or what thread s - 1 left there) + x[block, I] @ w[I]
            the last:  the layer's formulas;  the others:  hand the block on

Each sum is one chain in the order of k, whoever adds to it. What a thread gathers and the weights
that it updates are read by no other, so only the sums travel from one processor to the next: that
pays where a row has many more inputs than the layer has units.
"""

from __future__ import annotations

import dataclasses

from ....plan.nodes import Gather
from .. import tuning
from ..ir.builder import element, for_range, index, ir, minimum
from ..ir.padding import PAD, padded_columns
from .buffers import LINE_WORDS
from .context import Context
from .kernel_plan import Fused
from .partition import Range, whole
from .row_code import RowCode


class SplitK:
    """Writes split-k into a program; whether it is used is decided at every call.

    Parameters
    ----------
    context : Context
    rows : RowCode
    """

    def __init__(self, context: Context, rows: RowCode) -> None:
        self.context, self.rows, self.build = context, rows, context.build
        self.i64 = ir.IntType(64)
        self.inputs = context.partition.part(index(context.layout.inputs), PAD)
        self.block = tuning.SPLIT_K_TILES * context.kernels.height

    def sums(self, left: ir.Value, shared: Range) -> tuple[ir.Value, Range]:
        """Where column 0 of x would be, and which rows of the weights this thread sums."""
        select, on, (first, last) = self.build.select, self.context.partition.splits_k, self.inputs
        before = element(self.build, left, self.build.neg(first), self.context.real)
        mine = select(on, first, shared[0]), select(on, last, shared[1])
        return select(on, before, left), mine

    def run(self, gather: Gather, group: Fused) -> None:
        """Gather the batch and take the first layer's product, with its formulas."""
        context, build = self.context, self.build
        rows, thread, number = context.now["rows"], context.thread, context.now["number"]
        first = build.icmp_signed("==", thread, index(0))
        last = build.icmp_signed("==", build.add(thread, index(1)), context.at["threads"])
        block, out = index(self.block), group.stored[0]
        lead = build.select(first, index(0), index(tuning.SPLIT_K_LEAD * self.block))
        self._gather(gather, last, index(0), minimum(build, lead, rows))
        # Counts go on from batch to batch, so that nobody need set them back.
        most = build.sdiv(build.add(context.at["batch"], index(self.block - 1)), block)
        done = build.mul(number, most)
        # Sums wait for the next thread where the layer's results will be.
        product = dataclasses.replace(group.product, out=out, bias=None, scale=1.0)
        halfway = Fused(product, (), (out,))
        bias = context.address(self.rows.start(group))
        sums = context.layout.place(out)
        stride = context.row_stride(sums)

        def block_of(row: ir.Value) -> None:
            end = minimum(build, build.add(row, block), rows)
            goal = build.add(build.add(done, build.sdiv(row, block)), index(1))
            ahead = (minimum(build, build.add(one, lead), rows) for one in (row, end))
            self._gather(gather, last, *ahead)
            with build.if_then(build.not_(first)):
                before = self._flag(build.sub(thread, index(1)))
                build.call(context.kernels.wait(), [before, goal, context.missing()])
            start = build.select(first, bias, context.address(sums))
            start_ld = build.select(first, index(0), stride)
            with build.if_else(last) as (whole, part):
                with whole:
                    self._product(group, start, start_ld, row, end)
                with part:
                    self._product(halfway, start, start_ld, row, end)
                    build.atomic_rmw("xchg", self._flag(thread), goal, "release")

        for_range(build, "block", index(0), rows, block_of, step=self.block)

    def _flag(self, thread: ir.Value) -> ir.Value:
        """The blocks that a thread has handed on."""
        place = self.build.mul(thread, index(LINE_WORDS))
        return element(self.build, self.context.at["split_k.done"], place, self.i64)

    def _gather(self, node: Gather, last: ir.Value, first_row: ir.Value, end: ir.Value) -> None:
        """This thread's inputs of some rows; only the last thread's may end inside a vector."""
        inputs = self.context.layout.inputs
        whole = inputs // PAD * PAD
        with self.build.if_else(last) as (ragged, even):
            for way, columns, wide in (
                (ragged, inputs, padded_columns(inputs)),
                (even, whole, whole),
            ):
                with way:
                    self.rows.move(node, columns, wide, self.inputs, first_row, end)

    def _product(
        self, group: Fused, start: ir.Value, start_ld: ir.Value, row: ir.Value, end: ir.Value
    ) -> None:
        context, build, (first, last) = self.context, self.build, self.inputs
        kernel, formula = context.kernels.fused(group)
        left = context.operand(context.layout.place(group.product.left), None, 1)
        right = context.layout.matrix(group.product.right)
        skipped = build.mul(first, index(right.row))
        weights = context.address(dataclasses.replace(right, row=0), skipped)
        operands = [*left, weights, index(right.row), self.rows.panel_stride(group)]
        every = whole(padded_columns(group.width))
        ranges = [row, end, *every, build.sub(last, first)]
        numbers = index(0), index(1)
        extra = self.rows.extra(formula, lambda where: context.operand(where, None, 1), numbers)
        build.call(kernel, [*operands, start, start_ld, *ranges, *extra])

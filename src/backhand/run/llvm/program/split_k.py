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
from collections.abc import Callable
from typing import Any, Protocol

from ....plan.nodes import Gather
from .. import tuning
from ..ir.builder import count, element, index, ir, minimum
from ..ir.padding import PAD, padded_columns
from .buffers import LINE_WORDS
from .kernel_plan import Fused, Schedule
from .kernel_set import Kernels
from .partition import Partition, Range, whole


class ProgramContext(Protocol):
    """What `SplitK` needs of the program that it is written into; see `emit.ProgramEmitter`."""

    build: ir.IRBuilder
    thread: ir.Value
    at: dict[str, ir.Value]
    now: dict[str, ir.Value]
    real: ir.Type
    schedule: Schedule
    partition: Partition
    kernels: Kernels

    def missing(self) -> ir.Value: ...
    def stride(self, buffer: str) -> ir.Value: ...
    def columns(self, buffer: str) -> int: ...
    def product(self, group: Fused, columns: int) -> Callable[..., None]: ...
    def move(self, node: Gather, columns: int, wide: int, *where: Any) -> None: ...


class SplitK:
    """Writes split-k into a program; whether it is used is decided at every call.

    Parameters
    ----------
    program : Program
    """

    def __init__(self, program: ProgramContext) -> None:
        self.program, self.build = program, program.build
        self.i64 = ir.IntType(64)
        self.inputs = program.partition.part(index(program.schedule.plan.description.inputs), PAD)
        self.block = tuning.SPLIT_K_TILES * program.kernels.height

    def sums(self, left: ir.Value, shared: Range) -> tuple[ir.Value, Range]:
        """Where column 0 of x would be, and which rows of the weights this thread sums."""
        select, on, (first, last) = self.build.select, self.program.partition.splits_k, self.inputs
        before = element(self.build, left, self.build.neg(first), self.program.real)
        mine = select(on, first, shared[0]), select(on, last, shared[1])
        return select(on, before, left), mine

    def run(self, gather: Gather, group: Fused) -> None:
        """Gather the batch and take the first layer's product, with its formulas."""
        program, build = self.program, self.build
        rows, thread, number = program.now["rows"], program.thread, program.now["number"]
        first = build.icmp_signed("==", thread, index(0))
        last = build.icmp_signed("==", build.add(thread, index(1)), program.at["threads"])
        block, out = index(self.block), group.stored[0]
        lead = build.select(first, index(0), index(tuning.SPLIT_K_LEAD * self.block))
        self._gather(gather, last, index(0), minimum(build, lead, rows))
        # Counts go on from batch to batch, so that nobody need set them back.
        most = build.sdiv(build.add(program.at["batch"], index(self.block - 1)), block)
        done = build.mul(number, most)
        # Sums wait for the next thread where the layer's results will be.
        halfway = Fused(dataclasses.replace(group.product, out=out), (), (out,))
        bias, stride = program.at[group.product.bias or "zeros"], program.stride(out)

        def block_of(row: ir.Value) -> None:
            end = minimum(build, build.add(row, block), rows)
            goal = build.add(build.add(done, build.sdiv(row, block)), index(1))
            ahead = (minimum(build, build.add(one, lead), rows) for one in (row, end))
            self._gather(gather, last, *ahead)
            with build.if_then(build.not_(first)):
                before = self._flag(build.sub(thread, index(1)))
                build.call(program.kernels.wait(), [before, goal, program.missing()])
            start = build.select(first, bias, program.at[out])
            start_ld = build.select(first, index(0), stride)
            with build.if_else(last) as (whole, part):
                with whole:
                    self._product(group, start, start_ld, row, end)
                with part:
                    self._product(halfway, start, start_ld, row, end)
                    build.atomic_rmw("xchg", self._flag(thread), goal, "release")

        count(build, "block", index(0), rows, block_of, step=self.block)

    def _flag(self, thread: ir.Value) -> ir.Value:
        """The blocks that a thread has handed on."""
        place = self.build.mul(thread, index(LINE_WORDS))
        return element(self.build, self.program.at["split_k.done"], place, self.i64)

    def _gather(self, node: Gather, last: ir.Value, first_row: ir.Value, end: ir.Value) -> None:
        """This thread's inputs of some rows; only the last thread's may end inside a vector."""
        program, build = self.program, self.build
        inputs = program.schedule.plan.description.inputs
        whole = inputs // PAD * PAD
        with build.if_else(last) as (ragged, even):
            for way, columns, wide in (
                (ragged, inputs, padded_columns(inputs)),
                (even, whole, whole),
            ):
                with way:
                    program.move(node, columns, wide, self.inputs, first_row, end)

    def _product(
        self, group: Fused, start: ir.Value, start_ld: ir.Value, row: ir.Value, end: ir.Value
    ) -> None:
        program, build, (first, last) = self.program, self.build, self.inputs
        columns = program.columns(group.product.out)
        call = program.product(group, columns)
        right = group.product.right
        stride = program.stride(right)
        weights = element(build, program.at[right], build.mul(first, stride), program.real)
        every = whole(padded_columns(columns))
        depth = build.sub(last, first)
        call((weights, stride), (start, start_ld), (row, end), every, depth)

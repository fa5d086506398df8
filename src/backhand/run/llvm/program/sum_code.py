"""What a thread does for its part of every parameter: sums over the batch, and updates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ....errors import BackhandError
from ....plan.buffers import Buffer
from ....plan.nodes import BatchSum, Cumulate, Product, ScatterAdd, Update
from .. import tuning
from ..ir.builder import element, for_range, index, ir
from ..ir.padding import padded_columns
from ..kernels import tables
from ..kernels.cancellation import SUMS
from ..machine.target import Target
from .buffers import Place, transposed
from .context import Context
from .kernel_plan import CLIP_NORM, Sum
from .partition import Range, whole
from .row_code import RowCode
from .split_k import SplitK


@dataclasses.dataclass(frozen=True)
class Owned:
    """What a thread owns of an array: some rows of each of some members."""

    members: Range | None
    rows: Range


class SumCode:
    """Writes the calls of kernels that sum over the batch, and of updates.

    Parameters
    ----------
    context : Context
    rows : RowCode
    split_k : SplitK or None
    entry : ir.Block
        The program's first block, where numbers are computed that never change.
    """

    def __init__(
        self, context: Context, rows: RowCode, split_k: SplitK | None, entry: ir.Block
    ) -> None:
        self.context, self.rows, self.split_k, self.entry = context, rows, split_k, entry
        self.build, self.at, self.partition = context.build, context.at, context.partition
        self.kernels, self.layout, self.kernel_plan = (
            context.kernels,
            context.layout,
            context.kernel_plan,
        )
        self.piece: dict[int, ir.Value] = {}

    def run(self, sums: Sequence[Sum]) -> None:
        """All sums of a phase, and their updates."""
        clips = self.kernel_plan.clip is not None and any(each.update for each in sums)
        for owner, each in enumerate(sums):
            self._sum(each, owner, "gradient" if clips else "")
        if not clips:
            return
        self.context.barrier()
        self._clip()
        if self.kernel_plan.sparse:  # whose updates clear what others may still sum
            self.context.barrier()
        for owner, each in enumerate(sums):
            if each.update:
                self._sum(each, owner, "update")

    def _clip(self) -> None:
        """The factor of all gradients, among the step's scalars: every thread writes the same."""
        clip, reals = self.kernel_plan.clip, self.kernel_plan.reals
        assert clip is not None
        scalars, real = self.context.now["scalars"], self.context.real
        limit, place = (
            element(self.build, scalars, index(reals.index(name)), real)
            for name in (CLIP_NORM, clip.out.name)
        )
        gradients = [
            (self.at[gradient.name], *self.layout.static[gradient.name], gradient.width)
            for gradient, _ in clip.gradients
        ]
        self.kernels.clip().store(self.build, gradients, limit, place)

    def _sum(self, each: Sum, owner: int, phase: str) -> None:
        node, owned = each.node, self._owned(each)
        if each.in_memory and phase != "update":
            self._in_memory(node, owned)
            if each.update is None:
                return
            phase = phase or "update"
        if isinstance(node, BatchSum):
            self._column_sum(each, node, owned, owner, phase)
        elif isinstance(node, Product) and self.context.entries(node.left):
            self._stored_entries(each, node, owned, phase)
        else:
            self._product(each, owned, phase)

    # who owns what ------------------------------------------------------------------------------

    def _owned(self, each: Sum) -> Owned:
        """Members if there are as many as threads, else rows of each.

        What is finished in memory goes by members, as all that it is made of does.
        """
        build, out = self.build, each.node.out
        matrices = not isinstance(each.node, BatchSum)
        height = int(out.axes[-2]) if matrices else 1
        rows = self.partition.part(index(height), self.kernels.unit(height))
        if isinstance(each.node, Cumulate) and len(out.axes) == 2:
            return Owned(self.partition.part(index(1)), whole(height))
        if len(out.axes) == (2 if matrices else 1):
            return Owned(None, rows if matrices else whole(1))
        members = index(int(out.axes[0]))
        mine = self.partition.part(members)
        if each.in_memory or not matrices:
            return Owned(mine, whole(height))
        many = build.icmp_signed(">=", members, self.at["threads"])

        def chosen(a: Range, b: Range) -> Range:
            first, last = (build.select(many, x, y) for x, y in zip(a, b, strict=True))
            return first, last

        return Owned(chosen(mine, (index(0), members)), chosen(whole(height), rows))

    def _each(self, owned: Owned, body: Callable[[ir.Value | None], None]) -> None:
        """``body(member)`` for those that this thread owns; None if there are none."""
        if owned.members is None:
            body(None)
        else:
            for_range(self.build, "member", *owned.members, body)

    def _summed(self, buffer: Buffer, out: Buffer, member: ir.Value | None) -> tuple[Range, int]:
        """Address and stride of what is summed, and how many of its rows each batch's row has."""
        where, members = self.layout.place(buffer), buffer.members
        if member is not None or members == 1:
            return self.context.operand(where, member, 1), 1
        if not where.is_even(members):
            raise BackhandError(
                f"compiled engine: {out} sums the members of {buffer}, which do not lie evenly"
            )
        return self.context.operand(where, None, members), members

    # kernels ------------------------------------------------------------------------------------

    def _operands(
        self, each: Sum, operands: Sequence[Buffer], member: ir.Value | None
    ) -> list[ir.Value]:
        """What the kernel of a sum takes for its update; see `Kernels.sum`."""
        build, scalars = self.build, self.context.now["scalars"]
        group = each.update.group * self.kernels.group_scalars if each.update else 0
        mine = element(build, scalars, index(group), self.context.real)
        first = operands[0]
        in_panels = first.name in self.layout.packed
        panel = self.layout.panel_stride if in_panels else self.kernels.panel
        given = [mine, scalars, index(self.layout.stride(first)), index(panel)]
        return [*given, *(self._part(buffer, member) for buffer in operands)]

    def _part(self, buffer: Buffer, member: ir.Value | None) -> ir.Value:
        """Where a member's rows of a parameter, gradient or state begin."""
        rows, stride = self.layout.static[buffer.name]
        where = Place(buffer.name, 0, 0, rows // max(1, _members(buffer)) * stride)
        return self.context.operand(where, member, 1)[0]

    def _product(self, each: Sum, owned: Owned, phase: str) -> None:
        build, at, node = self.build, self.at, each.node
        out = node.out
        kernel, operands = self.kernels.sum(each, out.width, phase=phase)
        stored = phase == "update" or each.in_memory
        goes_on = self.kernel_plan.accumulates or stored
        wide, mine = self.kernels.columns_summed(out.width), owned.rows
        column_range = whole(wide)
        zeros = (at["zeros"], index(0))
        x = self.kernel_plan.plan.x if self.kernel_plan.first else None
        of_first = isinstance(node, Product) and node.left == x
        if of_first:
            mine = self.partition.chosen(whole(self.layout.inputs), mine)
            column_range = self.partition.columns_of(wide)

        def member_of(member: ir.Value | None) -> None:
            left: Range = zeros
            right: Range = zeros
            depth: ir.Value = index(0)
            rows = mine
            if isinstance(node, Product):
                left, many = self._summed(node.left, out, member)
                right, _ = self._summed(node.right, out, member)
                if not stored:
                    depth = build.mul(self.context.now["rows"], index(many))
                if of_first and self.split_k:
                    moved, rows = self.split_k.sums(left[0], mine)
                    left = moved, left[1]
            start = (self._part(out, member), index(self.layout.stride(out))) if goes_on else zeros
            extra = self._operands(each, operands, member)

            def some(first: ir.Value, last: ir.Value) -> None:
                operands_ = [*left, *right, index(self.kernels.panel), *start]
                build.call(kernel, [*operands_, first, last, *column_range, depth, *extra])

            self.context.pieces(SUMS, rows, self._sums_at_once(out.width), some)
            if phase != "gradient" and each.update:
                self._transpose(each.update, rows, member)

        self._each(owned, member_of)

    def _column_sum(self, each: Sum, node: BatchSum, owned: Owned, owner: int, phase: str) -> None:
        kernel, operands = self.kernels.sum(each, node.out.width, phase=phase)
        goes_on = self.kernel_plan.accumulates or phase == "update"
        every = index(0), index(padded_columns(node.out.width))

        def member_of(member: ir.Value | None) -> None:
            source, many = self._summed(node.source, node.out, member)
            depth = self.build.mul(self.context.now["rows"], index(many))
            rows = index(0), index(0) if phase == "update" else depth
            start = [self._part(node.out, member)] if goes_on else []
            extra = self._operands(each, operands, member)
            self.build.call(kernel, [*source, *rows, *every, *start, *extra])

        if owned.members is None:
            self.partition.on_one_thread(owner, lambda: member_of(None))
        else:
            self._each(owned, member_of)

    def _stored_entries(self, each: Sum, node: Product, owned: Owned, phase: str) -> None:
        """The sum over a batch of sparse rows."""
        build, columns, depth = self.build, node.out.width, self.context.now["rows"]
        entries = self.context.entries(node.left)
        kernel, operands = self.kernels.sum(each, columns, entries, phase)
        depth = index(0) if phase == "update" else depth
        out = self._part(node.out, None), index(self.layout.stride(node.out))
        summed = [*self._summed(node.right, node.out, None)[0], *out]
        extra = self._operands(each, operands, None)

        def add(first: ir.Value, last: ir.Value, some: Range, done: bool) -> None:
            flag = ir.Constant(ir.IntType(1), done)
            build.call(kernel, [*self.context.csr(), first, last, *summed, *some, flag, *extra])

        piece = index(tuning.SPARSE_PIECE_ROWS)
        self.context.pieces(
            SUMS, (index(0), depth), piece, lambda a, b: add(a, b, owned.rows, False)
        )
        self.context.pieces(
            SUMS,
            owned.rows,
            self._sums_at_once(columns),
            lambda a, b: add(*whole(0), (a, b), True),
        )

    def _sums_at_once(self, columns: int) -> ir.Value:
        """Rows of a parameter whose sums over a batch are a piece of work: whole units."""
        if columns not in self.piece:
            unit, most = self.kernels.units_at_once(columns)
            with self.build.goto_block(self.entry):
                units = self.build.udiv(index(most), self.at["batch"])
                self.piece[columns] = self.build.mul(self.build.add(units, index(1)), index(unit))
        return self.piece[columns]

    def _transpose(self, update: Update, mine: Range, member: ir.Value | None) -> None:
        parameter = update.parameter
        if parameter not in self.kernel_plan.transposed:
            return
        copies = self.layout.matrix(parameter, is_transposed=True)
        copy = self.context.operand(dataclasses.replace(copies, row=0), member, 1)[0]
        source = self._part(parameter, member), index(self.layout.stride(parameter))
        operands = [*source, copy, index(self.layout.static[transposed(parameter)][1])]
        given = [*operands, *mine, *whole(parameter.width)]
        self.build.call(self.kernels.transpose(), given)

    # what is finished in memory -----------------------------------------------------------------

    def _in_memory(self, node: object, owned: Owned) -> None:
        match node:
            case ScatterAdd():
                self._scatter(node, owned)
            case Cumulate():
                self._cumulate(node, owned)

    def _scatter(self, node: ScatterAdd, owned: Owned) -> None:
        out, context = node.out, self.context
        kernel = tables.emit_scatter(*self._where(), out.width)
        numbers, source = self.rows.numbers(node.index, node.source), self.layout.place(node.source)
        clears = ir.Constant(ir.IntType(1), not self.kernel_plan.accumulates)

        def member_of(member: ir.Value | None) -> None:
            given = [*context.operand(numbers, member, 1), *context.operand(source, member, 1)]
            table = [self._part(out, member), index(self.layout.stride(out))]
            values = index(int(out.axes[-2]))
            rows = [context.now["rows"], *given, *table, values, *owned.rows, clears]
            self.build.call(kernel, rows)

        self._each(owned, member_of)

    def _cumulate(self, node: Cumulate, owned: Owned) -> None:
        out, plus = node.out, node.plus
        kernel = tables.emit_cumulate(*self._where(), out.width, node.reverse, plus is not None)

        def member_of(member: ir.Value | None) -> None:
            if len(out.axes) == 2:
                member = None
            buffers = (node.source, plus or node.source, out)
            places = [self._part(buffer, member) for buffer in buffers]
            values = index(int(out.axes[-2]))
            self.build.call(kernel, [values, index(self.layout.stride(out)), *places])

        self._each(owned, member_of)

    def _where(self) -> tuple[ir.Module, Target, np.dtype]:
        return self.kernels.module, self.kernels.target, self.kernels.dtype


def _members(buffer: Buffer) -> int:
    """Of a parameter (M, D, K) or (M, K) the first axis: how many parts it falls into."""
    return int(buffer.axes[0]) if len(buffer.axes) > 1 else 1

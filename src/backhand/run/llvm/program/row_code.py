"""What a thread does for its rows of a batch: calls of the kernels over rows."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from ....plan.buffers import Buffer
from ....plan.nodes import Gather, Lookup, MemberSum
from ..ir.builder import element, element_type, index, ir, null
from ..ir.padding import padded_columns
from ..kernels import tables
from ..kernels.cancellation import ROWS, leave_if_nonfinite
from ..kernels.gather import emit_gather
from .buffers import DTYPES, Place, columns
from .context import Context
from .formula_graphs import RowFormula
from .kernel_plan import Fused, RowKernel, RowMap
from .partition import Range, whole

Operand = Callable[[Place], Range]


class RowCode:
    """Writes the calls of kernels over rows.

    Parameters
    ----------
    context : Context
    """

    def __init__(self, context: Context) -> None:
        self.context, self.build = context, context.build
        self.kernels, self.layout, self.kernel_plan = (
            context.kernels,
            context.layout,
            context.kernel_plan,
        )
        self.module, self.dtype, self.at = self.kernels.module, context.dtype, context.at

    def run(self, kernel: RowKernel, mine: Range, by_columns: bool = False) -> None:
        """Call a kernel for some rows; ``by_columns``, for this thread's columns of them."""
        match kernel:
            case Fused():
                self._fused(kernel, mine, by_columns)
            case RowMap():
                self._row_map(kernel, mine)
            case Lookup():
                self._lookup(kernel, mine)
            case MemberSum():
                self._member_sum(kernel, mine)

    # the caller's rows --------------------------------------------------------------------------

    def gather(self, node: Gather, first: ir.Value, last: ir.Value) -> None:
        """Rows of the batch from the caller's array, if there is one."""
        build, out, wide = self.build, node.out, columns(node)
        there = build.icmp_unsigned("!=", self.at[node.source], null())
        padded_to = padded_columns(out.width)
        if self.layout.batched[out.name][0] <= wide:  # no room behind
            padded_to = out.width
        with build.if_then(there):
            for member in range(out.members):
                begin = member * out.width
                some = index(begin), index(begin + out.width)
                self.move(node, out.width, padded_to, some, first, last, member)

    def gather_in_pieces(self, node: Gather, mine: Range) -> None:
        """As `gather`, and ask between pieces whether to go on."""
        piece = index(self.kernels.rows_at_once(1, node.out.width))
        self.context.pieces(ROWS, mine, piece, functools.partial(self.gather, node))

    def move(
        self,
        node: Gather,
        many: int,
        wide: int,
        some: Range,
        first: ir.Value,
        last: ir.Value,
        member: int = 0,
    ) -> None:
        """Gather some columns of rows, padded to ``wide``, by the function for ``many``."""
        build, at, source, out = self.build, self.at, node.source, node.out
        dtype = self.context.sources[source]
        begin, end = some
        where = self.layout.place(out)
        start = element(build, at[source], begin, element_type(dtype))
        given = start, at[f"{source}.stride"], at["order"], self.context.now["begin"]
        to = self.context.address(where, index(member * where.member), kind=self._kind(out))
        between = build.sub(end, begin), first, last, at["rows"]
        mover = self._mover(dtype, DTYPES.get(out.kind, self.dtype), many, wide)
        build.call(mover, [*given, to, self.context.row_stride(where), *between])

    @staticmethod
    def _kind(buffer: Buffer) -> ir.Type | None:
        return element_type(DTYPES[buffer.kind]) if buffer.kind in DTYPES else None

    def _mover(self, dtype: np.dtype, to: np.dtype, many: int, wide: int) -> ir.Function:
        lanes = self.kernels.target.lanes(self.dtype)
        return emit_gather(self.module, lanes, dtype, to, many, wide)

    def copy_out(self, buffer: Buffer, mine: Range) -> None:
        """My rows of a buffer to the caller's array: row i of the batch is row begin + i there."""
        build, width, members = self.build, buffer.width, buffer.members
        where = Place(f"out.{buffer.name}", 0, members * width, width if members > 1 else 0)
        before = build.mul(self.context.now["begin"], index(where.row))
        mover = self._mover(self.dtype, self.dtype, width, width)

        def copy(operand: Operand, rows: Range, numbers: Range) -> None:
            source, stride = operand(self.layout.place(buffer))
            to, to_stride = operand(where)
            stride = build.mul(stride, index(self.dtype.itemsize))
            to = element(build, to, before, self.context.real)
            given = [source, stride, null(), index(0), to, to_stride, index(width)]
            build.call(mover, [*given, *rows, rows[1]])

        self.context.over_members(members, [self.layout.place(buffer), where], mine, copy)

    # products and row maps ----------------------------------------------------------------------

    def _fused(self, group: Fused, mine: Range, by_columns: bool) -> None:
        context, product = self.context, group.product
        entries = context.entries(product.left)
        kernel, formula = self.kernels.fused(group, entries)
        right = self.layout.matrix(product.right, product.right_transposed)
        matrix, start = dataclasses.replace(right, row=0), self.start(group)
        left = self.layout.place(product.left)
        wide, depth = padded_columns(group.width), product.left.width
        column_range = context.partition.columns_of(wide) if by_columns else whole(wide)
        places = [left, matrix, start, *self._places(formula)]

        def call(operand: Operand, rows: Range, numbers: Range) -> None:
            weights, begin = operand(matrix)[0], operand(start)
            extra = self.extra(formula, operand, numbers)
            if entries:
                csr = [*context.csr(), weights, index(right.row), begin[0], *rows]
                self.build.call(kernel, [*csr, *extra])
                return
            operands = [*operand(left), weights, index(right.row), self.panel_stride(group), *begin]
            self.build.call(kernel, [*operands, *rows, *column_range, index(depth), *extra])

        def some(first: ir.Value, last: ir.Value) -> None:
            context.over_members(group.members, places, (first, last), call)

        piece = self.kernels.rows_at_once(depth, group.width) // group.members
        context.pieces(ROWS, mine, index(max(1, piece)), some)

    def start(self, group: Fused) -> Place:
        """What the sums of a product begin with: a row of biases, or zeros."""
        bias = group.product.bias
        if bias is None or group.product.scale != 1.0:
            return Place("zeros", 0, 0, 0)
        return self.layout.place(bias)

    def panel_stride(self, group: Fused) -> ir.Value:
        """Elements from one panel of columns of a product's weights to the next."""
        packed = group.product.right.name in self.layout.packed
        return index(self.layout.panel_stride if packed else self.kernels.panel)

    def _places(self, formula: RowFormula) -> list[Place]:
        return [self.layout.place(buffer) for buffer in (*formula.reads, *formula.stores)]

    def extra(self, formula: RowFormula, operand: Operand, numbers: Range) -> list[ir.Value]:
        """What a product's kernel takes for its formulas; see `Kernels.fused`."""
        operands = self._operands(formula, operand)
        return [*operands, index(formula.width), *numbers, *self._same(formula)]

    def _operands(self, formula: RowFormula, operand: Operand) -> list[ir.Value]:
        return [value for where in self._places(formula) for value in operand(where)]

    def _same(self, formula: RowFormula) -> list[ir.Value]:
        """The numbers that are the same for all rows: keys of noise, and per-step scalars."""
        build, now, word = self.build, self.context.now, ir.IntType(32)
        found: list[ir.Value] = []
        for layer in formula.layers:
            seed = build.trunc(self.at["seed"], word)
            given = [seed, now["step"], ir.Constant(word, layer)]
            found.append(build.call(self.kernels.layer_key(), given))
        for buffer in formula.scalars:
            real = buffer.kind == "real"
            kind, base = (self.context.real, "scalars") if real else (word, "words")
            names = self.kernel_plan.reals if real else self.kernel_plan.words
            place = element(build, now[base], index(names.index(buffer.name)), kind)
            found.append(build.load(place, typ=kind))
        return found

    def _row_map(self, group: RowMap, mine: Range) -> None:
        context, build = self.context, self.build
        kernel, formula = self.kernels.row_map(group)
        if group.counts_weights:
            self.weigh()
        total = context.now.get("weights", ir.Constant(ir.DoubleType(), 0))
        same = self._same(formula)

        def call(operand: Operand, rows: Range, numbers: Range) -> None:
            operands = self._operands(formula, operand)
            build.call(kernel, [*rows, total, *numbers, *operands, *same])

        context.over_members(group.members, self._places(formula), mine, call)
        loss = self.kernel_plan.plan.loss
        if loss in group.stored and self.kernel_plan.learns:
            where = self.layout.place(loss)
            first, last = (build.mul(row, index(where.row)) for row in mine)
            with build.if_then(self.counts()):
                words, begin = self.at["stop"], context.now["begin"]
                leave_if_nonfinite(
                    build, words, self.dtype, self.at[where.name], (first, last), begin
                )

    def _lookup(self, node: Lookup, mine: Range) -> None:
        layout, table = self.layout, self.layout.matrix(node.table)
        kernel = tables.emit_lookup(self.module, self.kernels.target, self.dtype, node.out.width)
        values = index(int(node.table.axes[-2]))
        rows_of, number = dataclasses.replace(table, row=0), self.numbers(node.index, node.out)
        out = layout.place(node.out)

        def call(operand: Operand, rows: Range, numbers: Range) -> None:
            found = operand(rows_of)[0], index(table.row), values
            self.build.call(kernel, [*rows, *operand(number), *found, *operand(out)])

        self.context.over_members(node.out.members, [number, rows_of, out], mine, call)

    def numbers(self, numbers: Buffer, like: Buffer) -> Place:
        """Where the numbers (N, M) lie that belong to rows (N, M, K): a member is a column."""
        where = self.layout.place(numbers)
        return dataclasses.replace(where, member=int(like.members > 1))

    def _member_sum(self, node: MemberSum, mine: Range) -> None:
        source, out = self.layout.place(node.source), self.layout.place(node.out)
        where = self.module, self.kernels.target, self.dtype
        kernel = tables.emit_member_sum(*where, node.out.width)
        given = [self.context.address(source), self.context.row_stride(source)]
        given += [index(source.member), index(node.source.members)]
        to = self.context.address(out), self.context.row_stride(out)
        self.build.call(kernel, [*mine, *given, *to])

    # the weight of a batch ----------------------------------------------------------------------

    def weigh(self) -> None:
        """Let ``now["weights"]`` be the batch's sum of weights, if it is not known."""
        context = self.context
        if "weights" not in context.now:
            context.now["weights"] = self.weight_sum(context.now["begin"], context.now["rows"])

    def weight_sum(self, begin: ir.Value, rows: ir.Value) -> ir.Value:
        """The sum of rows' weights; each thread works it out for itself, in one order."""
        weight, at = self.kernel_plan.plan.weight, self.at
        source = next(g.source for g in self.kernel_plan.gathers if g.out == weight)
        kernel = self.kernels.weight_sum(self.context.sources[source])
        given = [at[source], at[f"{source}.stride"], at["order"], begin, rows]
        return self.build.call(kernel, given)

    def counts(self) -> ir.Value:
        """Whether a batch has any weight: if not, it says nothing, and is passed over."""
        zero = ir.Constant(ir.DoubleType(), 0)
        return self.build.fcmp_ordered(">", self.context.now["weights"], zero)

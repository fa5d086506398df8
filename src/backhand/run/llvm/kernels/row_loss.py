"""The loss and its gradient over a batch: a formula with reductions, for every row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....expr.graph import Graph
from ....plan.nodes import NormaliseWeights
from .. import tuning
from ..ir.builder import IR, count, element, element_type, index, ir_module
from ..ir.simd import Lanes
from ..lowering import rows_in_lanes
from ..lowering.rows import MemoryRow, emit_row
from ..machine.target import Target


def emit_row_loss(
    module: IR,
    name: str,
    target: Target,
    dtype: np.dtype,
    graph: Graph,
    reads: Sequence[str],
    stores: int,
    columns: int,
) -> IR:
    """Add to the module the function of a formula over rows.

    It takes row_begin, row_end, ``total`` (a double), then for each input and each output its
    address and row stride.

    Parameters
    ----------
    module, name, target, dtype
        As for `gemm.emit_product`.
    graph : Graph
        The formula; its input ``total`` is a number for all rows.
    reads : sequence of str
        Its other inputs, in order.
    stores : int
        How many outputs it has.
    columns : int
        Of a row.
    """
    return _RowLossEmitter(module, name, target, dtype, graph, reads, stores, columns).emit()


class _RowLossEmitter:
    def __init__(
        self,
        module: IR,
        name: str,
        target: Target,
        dtype: np.dtype,
        graph: Graph,
        reads: Sequence[str],
        stores: int,
        columns: int,
    ) -> None:
        ir = ir_module()
        i64, double = ir.IntType(64), ir.DoubleType()
        pairs = [ir.PointerType(), i64] * (len(reads) + stores)
        kind = ir.FunctionType(ir.VoidType(), [i64, i64, double, *pairs])
        self.function = ir.Function(module, kind, name)
        self.function.linkage = "internal"
        self.graph, self.reads, self.columns = graph, reads, columns
        self.begin, self.end, total, *rest = self.function.args
        self.pairs = list(zip(rest[::2], rest[1::2], strict=True))
        self.build = build = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.real, self.word = element_type(dtype), ir.IntType(32)
        self.total = total if self.real == double else build.fptrunc(total, self.real)
        self.lanes = Lanes(build, dtype, target.lanes(dtype))
        kinds = [graph.inputs.get(name) for name in reads]
        self.kinds = [self.word if kind == "index" else self.real for kind in kinds]
        self.kinds += [self.real] * stores

    def emit(self) -> IR:
        lanes = self.lanes
        if self.columns <= tuning.ROWS_IN_LANES_COLUMNS:
            count(self.build, "rows", self.begin, self.end, self._some_rows, step=lanes.count)
        else:
            count(self.build, "row", self.begin, self.end, self._one_row)
        self.build.ret_void()
        return self.function

    def _row(self, which: int, row: IR) -> IR:
        """The address of a row of an operand."""
        base, stride = self.pairs[which]
        return element(self.build, base, self.build.mul(row, stride), self.kinds[which])

    def _one_row(self, row: IR) -> None:
        """A row's columns in the lanes."""
        inputs: dict[str, Any] = {"total": self.total}
        for i, name in enumerate(self.reads):
            place = self._row(i, row)
            vector = self.graph.inputs.get(name) == "real"
            inputs[name] = place if vector else self.build.load(place, typ=self.kinds[i])
        outputs = [self._row(i, row) for i in range(len(self.reads), len(self.pairs))]
        memory = MemoryRow(inputs, outputs, self.graph.inputs)
        results = emit_row(self.graph, self.lanes, self.columns, memory)
        for result, place in zip(results, outputs, strict=True):
            if result is not None:
                self.build.store(result, place)

    def _some_rows(self, first: IR) -> None:
        """A row in each lane; where there are no more, the last one again."""
        build, lanes = self.build, self.lanes
        left = build.trunc(build.sub(build.sub(self.end, index(1)), first), self.word)
        last, each = lanes.splat(left), lanes.iota()
        which = build.select(build.icmp_signed("<", each, last), each, last)
        lines = [
            rows_in_lanes.RowLanes(lanes, self._row(i, first), stride, which, kind)
            for i, ((_, stride), kind) in enumerate(zip(self.pairs, self.kinds, strict=True))
        ]
        total, at = lanes.splat(self.total), dict(zip(self.reads, lines, strict=False))
        results = rows_in_lanes.emit_rows_in_lanes(
            self.graph,
            lanes,
            self.columns,
            lambda name, column: total if name == "total" else at[name].load(column),
        )
        for line, columns in zip(lines[len(self.reads) :], results, strict=True):
            for column, value in enumerate(columns):
                line.store(column, value)


class Summable:
    """A traced value whose sum is one that a formula does not see: over its row, or the batch."""

    def __init__(self, value: Any, xp: Any = None, total: Any = None) -> None:
        self.value, self._xp, self._total = value, xp, total

    def sum(self) -> Any:
        """The batch's sum if it is known, else this row's part of it."""
        return self._xp.row_sum(self.value) if self._total is None else self._total

    def __mul__(self, other: Any) -> Summable:
        return Summable(self.value * unwrapped(other), self._xp, self._total)

    def __truediv__(self, other: Any) -> Summable:
        return Summable(self.value / unwrapped(other), self._xp, self._total)


def unwrapped(value: Any) -> Any:
    """What a `Summable` holds."""
    return value.value if isinstance(value, Summable) else value


def normalised_weight(node: NormaliseWeights, weight: Any, total: Any) -> Any:
    """A row's weight divided by the batch's sum of weights, by the node's formula."""
    return unwrapped(node.formula(Summable(weight, total=total), node.outputs))

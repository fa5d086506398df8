"""Formulas with reductions, over one row of K columns.

What a reduction computes, whatever the vectors::

    sums = [-0.0] * 16
    for k in range(K):  sums[k % 16] += value[k]
    for half in 8, 4, 2, 1:  sums = [sums[i] + sums[i + half] for i in range(half)]
    result = sums[0]

Sixteen virtual lanes, each summed in the order of the columns, then a fixed tree: 16, 8, 4, 2 or 1
real lanes give the same bits. A maximum goes the same way. Lanes beyond the last column give the
identity, -0.0 or -inf, which changes nothing, so that adding it may as well be left out.

A formula falls into passes at its reductions (``graph.stages``). Each pass is a loop over the row
that computes again what it needs of earlier ones, since keeping it would take a buffer; a row of
few vectors has no loops, and there nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ....errors import InputError
from ....expr.graph import Graph
from .. import tuning
from ..ir.builder import element, fold, for_range, index, ir
from ..ir.simd import Lanes, tree
from .lower import Scope, spread_arguments

VIRTUAL_LANES = 16
IDENTITY = {"row_sum": -0.0, "row_max": float("-inf")}


def emit_row(
    graph: Graph,
    lanes: Lanes,
    columns: int,
    inputs: Mapping[str, ir.Value],
    outputs: Sequence[ir.Value],
    kinds: Sequence[str] | None = None,
) -> tuple[ir.Value | None, ...]:
    """Emit a formula over one row, with as many passes as it has reductions in sequence.

    Rows have room for whole vectors; what is written beyond the last column is zero.

    Parameters
    ----------
    graph : Graph
        The formula; without reductions it takes one pass.
    lanes : Lanes
        Where, and how wide at most: 1, 2, 4, 8 or 16 lanes. The builder ends in
        another block than it began in.
    columns : int
        K, at least 1.
    inputs : mapping of str to ir.Value
        Addresses of inputs of kind ``real``, values of those that are one number a row.
    outputs : sequence of ir.Value
        Addresses of the outputs, which may be those of inputs; not read for one number a row.
    kinds : sequence of {"row", "columns", "number"}, optional
        What each output is: a row; columns with others behind them, which are not written; or a
        number. By default a number if it is the same for the whole row.

    Returns
    -------
    tuple of ir.Value or None
        The outputs that are one number a row, as scalars; None for those that were stored.

    Raises
    ------
    InputError
        If the lanes do not divide 16, or there are no columns.
    """
    if VIRTUAL_LANES % lanes.count:
        raise InputError(f"a row reduction takes 1, 2, 4, 8 or 16 lanes, got {lanes.count}")
    if columns < 1:
        raise InputError(f"a row has at least one column, got {columns}")
    kinds = kinds or ["number" if uniform else "row" for uniform in graph.uniform]
    return _RowEmitter(graph, lanes, columns, inputs, outputs, kinds).emit()


class _RowEmitter:
    def __init__(
        self,
        graph: Graph,
        lanes: Lanes,
        columns: int,
        inputs: Mapping[str, ir.Value],
        outputs: Sequence[ir.Value],
        kinds: Sequence[str],
    ) -> None:
        self.graph, self.lanes, self.inputs, self.outputs = graph, lanes, inputs, outputs
        self.kinds = kinds
        self.full, self.partial = divmod(columns, lanes.count)
        self.vectors = self.full + bool(self.partial)
        self.straight = self.vectors <= tuning.STRAIGHT_VECTORS
        self.rows = self._scope(0, None)
        self.kept = [self._scope_of(i) for i in range(self.vectors)] if self.straight else []
        self.wanted = graph.needed(graph.outputs, set())

    def emit(self) -> tuple[ir.Value | None, ...]:
        outputs = [k for k, kind in enumerate(self.kinds) if kind != "number"]
        for stage in range(self.graph.stages + 1):
            self._uniform_nodes(stage)
            reductions = [
                number
                for number in self.wanted
                if self.graph.nodes[number].arguments
                and self.graph.nodes[number].op in IDENTITY
                and self.graph.nodes[number].level == stage + 1
            ]
            if reductions:
                self._reduce(reductions)
        if outputs:
            self._store(outputs)
        return tuple(
            self.rows.scalar(number) if kind == "number" else None
            for number, kind in zip(self.graph.outputs, self.kinds, strict=True)
        )

    # one vector of the row ------------------------------------------------------------------------

    def _scope(self, column: ir.Value | int, rows: Scope | None) -> Scope:
        def load(name: str) -> ir.Value:
            given = self.inputs[name]
            if self.graph.inputs[name] != "real":
                return given
            return self.lanes.load(self._place(given, column))

        return Scope(self.graph, self.lanes, load, column, rows)

    def _place(self, base: ir.Value, column: ir.Value | int) -> ir.Value:
        """The address of a column of a row."""
        position = index(column) if isinstance(column, int) else column
        return element(self.lanes.builder, base, position, self.lanes.element)

    def _mask(self, vector: int) -> ir.Value | None:
        """What holds in the lanes of a vector that are columns; None if all are."""
        return None if vector < self.full else self.lanes.first_lanes(self.partial)

    def _scope_of(self, vector: int) -> Scope:
        return self._scope(vector * self.lanes.count, self.rows)

    def _at(self, vector: int) -> Scope:
        """The scope of a vector outside loops; in a short row, with all that is known of it."""
        return self.kept[vector] if self.straight else self._scope_of(vector)

    def _uniform_nodes(self, stage: int) -> None:
        """Compute what is the same in the whole row and can be by now, outside every loop."""
        ready = [
            number
            for number in self.wanted
            if self.graph.nodes[number].uniform
            and self.graph.nodes[number].level <= stage
            and self.graph.nodes[number].op not in IDENTITY
        ]
        self.rows.compute(ready)

    def _prepare(self, targets: Sequence[int]) -> None:
        """Spread uniform values over lanes before a loop, or it would do so each time."""
        numbers = self.graph.needed(targets, set(self.rows.uniform))
        spread_arguments(self.rows, numbers)
        for number in targets:
            if number in self.rows.uniform:
                self.rows.vector(number)

    # passes ---------------------------------------------------------------------------------------

    def _combine(self, op: str) -> Callable[[ir.Value, ir.Value], ir.Value]:
        """What makes two accumulators one."""
        return self.lanes.add if op == "row_sum" else self.lanes.maximum

    def _accumulate(
        self, numbers: Sequence[int], scope: Scope, mask: ir.Value | None, sums: list[Any]
    ) -> list[Any]:
        """Take one vector into the accumulator of each reduction."""
        arguments = [self.graph.nodes[number].arguments[0] for number in numbers]
        scope.compute(arguments)
        result = []
        for number, argument, total in zip(numbers, arguments, sums, strict=True):
            op = self.graph.nodes[number].op
            value = scope.vector(argument)
            if mask is not None:
                value = self.lanes.where(mask, value, self.lanes.real(IDENTITY[op]))
            result.append(value if total is None else self._combine(op)(total, value))
        return result

    def _reduce(self, numbers: Sequence[int]) -> None:
        """One pass, for all reductions whose arguments can be computed by now."""
        lanes, graph = self.lanes, self.graph
        ways = VIRTUAL_LANES // lanes.count
        sums: list[list[Any]] = [[None] * len(numbers) for _ in range(ways)]
        looped = 0 if self.straight else self.full // ways
        if looped:
            self._prepare([graph.nodes[number].arguments[0] for number in numbers])

            def body(column: ir.Value, held: list[ir.Value]) -> list[ir.Value]:
                new: list[ir.Value] = []
                for way in range(ways):
                    offset = index(way * lanes.count)
                    here = lanes.builder.add(column, offset) if way else column
                    mine = held[way * len(numbers) : (way + 1) * len(numbers)]
                    scope = self._scope(here, self.rows)
                    new += self._accumulate(numbers, scope, None, mine)
                return new

            identities = [lanes.real(IDENTITY[graph.nodes[number].op]) for number in numbers]
            end = index(looped * VIRTUAL_LANES)
            starts = identities * ways
            flat = fold(lanes.builder, "columns", index(0), end, starts, body, VIRTUAL_LANES)
            sums = [flat[way * len(numbers) : (way + 1) * len(numbers)] for way in range(ways)]
        for vector in range(looped * ways, self.vectors):
            way = vector % ways
            sums[way] = self._accumulate(numbers, self._at(vector), self._mask(vector), sums[way])
        for k, number in enumerate(numbers):
            total = self._tree(graph.nodes[number].op, [way[k] for way in sums])
            self.rows.uniform[number] = total

    def _tree(self, op: str, sums: list[ir.Value | None]) -> ir.Value:
        """The sixteen virtual lanes as one scalar."""
        lanes = self.lanes
        whole = tree(sums, self._combine(op))
        if op == "row_sum":
            return lanes.across(whole, lanes.add)
        total = lanes.across(whole, lanes.max_keeping_right)  # and one test for NaN for all of it
        nan = lanes.scalar.real(float("nan"))
        return lanes.builder.select(lanes.any_nan(whole), nan, total)

    def _store(self, outputs: Sequence[int]) -> None:
        """The last pass."""
        lanes = self.lanes
        targets = [self.graph.outputs[k] for k in outputs]

        def keep(scope: Scope, column: ir.Value | int, mask: ir.Value | None) -> None:
            scope.compute(targets)
            for k, target in zip(outputs, targets, strict=True):
                value, place = scope.vector(target), self._place(self.outputs[k], column)
                if mask is None:
                    lanes.store(value, place)
                elif self.kinds[k] == "columns":
                    lanes.masked_store(value, place, mask)
                else:
                    lanes.store(lanes.where(mask, value, lanes.real(0.0)), place)

        looped = 0 if self.straight else self.full
        if looped:
            self._prepare(targets)

            def body(column: ir.Value) -> None:
                keep(self._scope(column, self.rows), column, None)

            end = index(looped * lanes.count)
            for_range(lanes.builder, "columns", index(0), end, body, lanes.count)
        for vector in range(looped, self.vectors):
            keep(self._at(vector), vector * lanes.count, self._mask(vector))

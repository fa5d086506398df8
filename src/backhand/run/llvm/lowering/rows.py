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
from typing import Any, Protocol

from ....errors import InputError
from ....expr.graph import Graph
from .. import tuning
from ..ir.builder import index, ir_module
from ..ir.simd import Lanes, Value
from .lower import Scope, spread_arguments

VIRTUAL_LANES = 16
NARROWEST = 4
"""The fewest lanes for a row with fewer columns than a vector has lanes."""

IDENTITY = {"row_sum": -0.0, "row_max": float("-inf")}


class Row(Protocol):
    """How an executor holds a row's inputs and outputs."""

    def load(self, lanes: Lanes, name: str, column: Value | int, mask: Value | None) -> Value:
        """The vector of input ``name`` from ``column`` on, or a scalar for a uniform kind.

        ``mask`` is None, or holds in the lanes that are columns; others may give anything.
        """

    def store(
        self, lanes: Lanes, output: int, column: Value | int, value: Value, mask: Value | None
    ) -> None:
        """Keep a vector of an output; lanes that are no columns are zero in it."""


class MemoryRow:
    """A row in memory: a pointer for each vector input and output, a scalar for each other input.

    Parameters
    ----------
    inputs : mapping of str to ir.Value
        Pointers for kinds ``real`` and ``words``, values for the kinds that are uniform.
    outputs : sequence of ir.Value or None
        Pointers for the outputs that are not uniform, in order; None where one is.
    kinds : mapping of str to str
        ``graph.inputs``.
    padded : bool
        Whether rows have room for whole vectors; what is written beyond the last column is zero.
        If not, nothing there is touched.
    """

    def __init__(
        self,
        inputs: Mapping[str, Value],
        outputs: Sequence[Value | None],
        kinds: Mapping[str, str],
        padded: bool = True,
    ) -> None:
        self.inputs, self.outputs, self.kinds = inputs, outputs, kinds
        self.padded = padded

    @staticmethod
    def _at(lanes: Lanes, base: Value, column: Value | int, element: Any) -> Value:
        position = index(column) if isinstance(column, int) else column
        return lanes.builder.gep(base, [position], source_etype=element)

    def load(self, lanes: Lanes, name: str, column: Value | int, mask: Value | None) -> Value:
        base, kind = self.inputs[name], self.kinds[name]
        if kind not in ("real", "words"):
            return base
        real = kind == "real"
        element = lanes.element if real else lanes.word_element
        pointer = self._at(lanes, base, column, element)
        type_ = lanes.vector if real else lanes.word_vector
        return lanes.load(pointer, type_, None if self.padded else mask)

    def store(
        self, lanes: Lanes, output: int, column: Value | int, value: Value, mask: Value | None
    ) -> None:
        base = self.outputs[output]
        if base is None:
            raise InputError(f"output {output} differs from column to column and has no place")
        pointer = self._at(lanes, base, column, lanes.element)
        lanes.store(value, pointer, None if self.padded else mask)


def emit_row(graph: Graph, lanes: Lanes, columns: int, row: Row) -> tuple[Value | None, ...]:
    """Emit a formula over one row, with as many passes as it has reductions in sequence.

    Parameters
    ----------
    graph : Graph
        The formula; without reductions it takes one pass.
    lanes : Lanes
        Where, and how wide at most: 1, 2, 4, 8 or 16 lanes. The builder ends in
        another block than it began in.
    columns : int
        K, at least 1.
    row : Row
        Where inputs come from and outputs go. An output may overwrite an input.

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
    enough = max(NARROWEST, 1 << (columns - 1).bit_length())
    if enough < lanes.count:
        lanes = Lanes(lanes.builder, lanes.dtype, enough)
    return _RowEmitter(graph, lanes, columns, row).emit()


class _RowEmitter:
    def __init__(self, graph: Graph, lanes: Lanes, columns: int, row: Row) -> None:
        self.graph, self.lanes, self.columns, self.row = graph, lanes, columns, row
        self.full, self.partial = divmod(columns, lanes.count)
        self.vectors = self.full + bool(self.partial)
        self.straight = self.vectors <= tuning.STRAIGHT_VECTORS
        self.rows = self._scope(0, None, None)
        self.kept = [self._scope_of(i) for i in range(self.vectors)] if self.straight else []
        self.wanted = graph.needed(graph.outputs, set())

    def emit(self) -> tuple[Value | None, ...]:
        outputs = [k for k, uniform in enumerate(self.graph.uniform) if not uniform]
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
            self.rows.scalar(number) if uniform else None
            for number, uniform in zip(self.graph.outputs, self.graph.uniform, strict=True)
        )

    # one vector of the row ------------------------------------------------------------------------

    def _scope(self, column: Value | int, mask: Value | None, rows: Scope | None) -> Scope:
        def load(name: str) -> Value:
            return self.row.load(self.lanes, name, column, mask)

        return Scope(self.graph, self.lanes, load, column, rows)

    def _mask(self, vector: int) -> Value | None:
        """What holds in the lanes of a vector that are columns; None if all are."""
        return None if vector < self.full else self.lanes.first_lanes(self.partial)

    def _scope_of(self, vector: int) -> Scope:
        return self._scope(vector * self.lanes.count, self._mask(vector), self.rows)

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

    def _combine(self, op: str, a: Value | None, b: Value | None) -> Value | None:
        """Two accumulators as one; None stands for the identity."""
        if a is None or b is None:
            return b if a is None else a
        return self.lanes.add(a, b) if op == "row_sum" else self.lanes.maximum(a, b)

    def _accumulate(
        self, numbers: Sequence[int], scope: Scope, mask: Value | None, sums: list[Any]
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
            result.append(self._combine(op, total, value))
        return result

    def _reduce(self, numbers: Sequence[int]) -> None:
        """One pass, for all reductions whose arguments can be computed by now."""
        lanes, graph = self.lanes, self.graph
        ways = VIRTUAL_LANES // lanes.count
        sums: list[list[Any]] = [[None] * len(numbers) for _ in range(ways)]
        looped = 0 if self.straight else self.full // ways
        if looped:
            self._prepare([graph.nodes[number].arguments[0] for number in numbers])

            def body(column: Value, held: list[Value]) -> list[Value]:
                new: list[Value] = []
                for way in range(ways):
                    offset = index(way * lanes.count)
                    here = lanes.builder.add(column, offset) if way else column
                    mine = held[way * len(numbers) : (way + 1) * len(numbers)]
                    scope = self._scope(here, None, self.rows)
                    new += self._accumulate(numbers, scope, None, mine)
                return new

            identities = [lanes.real(IDENTITY[graph.nodes[number].op]) for number in numbers]
            flat = self._loop(looped * VIRTUAL_LANES, VIRTUAL_LANES, identities * ways, body)
            sums = [flat[way * len(numbers) : (way + 1) * len(numbers)] for way in range(ways)]
        for vector in range(looped * ways, self.vectors):
            way = vector % ways
            sums[way] = self._accumulate(numbers, self._at(vector), self._mask(vector), sums[way])
        for k, number in enumerate(numbers):
            total = self._tree(graph.nodes[number].op, [way[k] for way in sums])
            self.rows.uniform[number] = total

    def _tree(self, op: str, sums: list[Value | None]) -> Value:
        """The sixteen virtual lanes as one scalar."""
        lanes, build = self.lanes, self.lanes.builder
        while len(sums) > 1:
            half = len(sums) // 2
            sums = [self._combine(op, sums[i], sums[i + half]) for i in range(half)]
        whole: Value = sums[0]
        total = whole
        while hasattr(total.type, "count") and total.type.count > 2:
            a, b = lanes.halves(total)
            total = lanes.add(a, b) if op == "row_sum" else lanes.max_keeping_right(a, b)
        if lanes.count > 1:
            a, b = (build.extract_element(total, lanes.word_element(k)) for k in range(2))
            total = lanes.add(a, b) if op == "row_sum" else lanes.max_keeping_right(a, b)
        if op == "row_max":  # one test for NaN instead of one at each level
            total = build.select(lanes.any_nan(whole), lanes.scalar.real(float("nan")), total)
        return total

    def _store(self, outputs: Sequence[int]) -> None:
        """The last pass."""
        lanes = self.lanes
        targets = [self.graph.outputs[k] for k in outputs]

        def keep(scope: Scope, column: Value | int, mask: Value | None) -> None:
            scope.compute(targets)
            for k, target in zip(outputs, targets, strict=True):
                value = scope.vector(target)
                if mask is not None:
                    value = lanes.where(mask, value, lanes.real(0.0))
                self.row.store(lanes, k, column, value, mask)

        looped = 0 if self.straight else self.full
        if looped:
            self._prepare(targets)

            def body(column: Value, held: list[Value]) -> list[Value]:
                keep(self._scope(column, None, self.rows), column, None)
                return held

            self._loop(looped * lanes.count, lanes.count, [], body)
        for vector in range(looped, self.vectors):
            keep(self._at(vector), vector * lanes.count, self._mask(vector))

    def _loop(
        self,
        end: int,
        step: int,
        held: list[Value],
        body: Callable[[Value, list[Value]], list[Value]],
    ) -> list[Value]:
        """``for column in range(0, end, step): held = body(column, held)``, end > 0."""
        build = self.lanes.builder
        before = build.block
        loop, after = build.append_basic_block("columns"), build.append_basic_block("columns.end")
        build.branch(loop)
        build.position_at_end(loop)
        column = build.phi(ir_module().IntType(64))
        column.add_incoming(index(0), before)
        carried = []
        for value in held:
            phi = build.phi(value.type)
            phi.add_incoming(value, before)
            carried.append(phi)
        new = body(column, carried)
        for phi, value in zip(carried, new, strict=True):
            phi.add_incoming(value, build.block)
        following = build.add(column, index(step))
        column.add_incoming(following, build.block)
        build.cbranch(build.icmp_signed("<", following, index(end)), loop, after)
        build.position_at_end(after)
        return new

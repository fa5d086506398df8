"""From a graph to instructions: one table that says what each operation becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ....errors import InputError
from ....expr.functions import function_graph
from ....expr.graph import Graph, Node
from ....expr.trace import FUNCTIONS
from ..ir.builder import ir
from ..ir.simd import Lanes

REAL = ("add", "sub", "mul", "div", "neg", "abs", "sqrt", "fma", "copysign", "round")
WORDS = {"multiply": "mul", "xor": "xor"}


class Scope:
    """Emitted values of a graph's nodes at one place in the program.

    Parameters
    ----------
    graph : Graph
        Whose nodes.
    lanes : Lanes
        How wide the nodes are that differ from column to column.
    inputs : mapping of str to ir.Value, or callable of the name
        The inputs; a callable is asked once for each that is needed.
    column : ir.Value or int, optional
        The column of the first lane.
    rows : Scope, optional
        Where nodes live that are the same in the whole row; by default here.
    """

    def __init__(
        self,
        graph: Graph,
        lanes: Lanes,
        inputs: Mapping[str, ir.Value] | Callable[[str], ir.Value],
        column: ir.Value | int | None = None,
        rows: Scope | None = None,
    ) -> None:
        self.graph, self.lanes, self.column = graph, lanes, column
        self._input = inputs if callable(inputs) else inputs.__getitem__
        self.rows = self if rows is None else rows
        self.uniform: dict[int, ir.Value] = {}
        self.spread: dict[int, ir.Value] = {}
        self.varying: dict[int, ir.Value] = {}
        self._columns: ir.Value | None = None

    def columns(self) -> ir.Value:
        """The columns that the lanes stand for, as words."""
        if self._columns is None:
            self._columns = self.lanes.columns(0 if self.column is None else self.column)
        return self._columns

    def compute(self, targets: Sequence[int]) -> None:
        """Emit whatever ``targets`` need and is not there yet."""
        known = {*self.varying, *self.rows.uniform}
        for number in self.graph.needed(targets, known):
            node = self.graph.nodes[number]
            if node.op == "constant":
                continue
            if node.uniform:
                self.rows.uniform[number] = self._emit(node, self.lanes.scalar)
            else:
                self.varying[number] = self._emit(node, self.lanes)

    def scalar(self, number: int) -> ir.Value:
        """The value of a uniform node, as a scalar."""
        node = self.graph.nodes[number]
        if node.op == "constant":
            return constant(self.lanes.scalar, node)
        return self.rows.uniform[number]

    def vector(self, number: int) -> ir.Value:
        """The value of any node, as a vector."""
        node = self.graph.nodes[number]
        if node.op == "constant":
            return constant(self.lanes, node)
        if not node.uniform:
            return self.varying[number]
        spread = self.rows.spread
        if number not in spread:
            spread[number] = self.lanes.splat(self.rows.uniform[number])
        return spread[number]

    def _emit(self, node: Node, lanes: Lanes) -> ir.Value:
        if node.op == "input":
            return self._input(node.detail)
        if node.op == "column":
            return self.columns()
        get = self.scalar if node.uniform else self.vector
        if node.op == "is_column":
            index, word = self.scalar(node.arguments[0]), lanes.word_element
            if index.type != word:
                index = lanes.builder.trunc(index, word)
            return lanes.word_equal(self.columns(), lanes.splat(index))
        arguments = [get(number) for number in node.arguments]
        if node.op in FUNCTIONS:
            return emit_vector(function_graph(node.op, lanes.single), lanes, {"a": arguments[0]})[0]
        if node.op in ("minimum", "maximum"):
            return self._extremum(node, lanes, arguments)
        return primitive(lanes, node, arguments)

    def _extremum(self, node: Node, lanes: Lanes, arguments: list[ir.Value]) -> ir.Value:
        """Put a constant on the left, where a NaN of the other side passes for free."""
        a, b = arguments
        left, right = (self.graph.nodes[number] for number in node.arguments)
        if right.op == "constant":
            left, right, a, b = right, left, b, a
        free = left.op == "constant" and left.detail == left.detail
        name = {"minimum": "min", "maximum": "max"}[node.op] + "_keeping_right"
        emit: Callable[..., ir.Value] = getattr(lanes, name if free else node.op)
        return emit(a, b)


def constant(lanes: Lanes, node: Node) -> ir.Value:
    make = {"real": lanes.real, "word": lanes.word, "bits": lanes.bits_constant}[node.kind]
    return make(node.detail)


def primitive(lanes: Lanes, node: Node, arguments: list[ir.Value]) -> ir.Value:
    """The instructions of an operation that is not made of others."""
    op = node.op
    if op in REAL:
        emit: Callable[..., ir.Value] = getattr(lanes, op)
        return emit(*arguments)
    if op == "compare":
        return lanes.compare(node.detail, *arguments)
    if op == "where":
        return lanes.where(*arguments)
    if op == "below":
        return lanes.word_below(*arguments)
    if op == "high":
        return lanes.word_high(*arguments)
    if op in WORDS:
        return lanes.integer(WORDS[op], *arguments)
    if op == "shift":
        return lanes.integer("lshr", arguments[0], lanes.word(node.detail))
    if op == "bits":
        return lanes.bits(arguments[0])
    if op == "real":
        return lanes.real_of_bits(arguments[0])
    if op == "integer":
        return lanes.integer(node.detail, *arguments)
    raise AssertionError(f"no instruction for {op}")


def emit_vector(
    graph: Graph,
    lanes: Lanes,
    inputs: Mapping[str, Any],
    column: ir.Value | int | None = None,
) -> tuple[ir.Value, ...]:
    """Emit a formula without reductions on one vector.

    Parameters
    ----------
    graph : Graph
    lanes : Lanes
        Where and how wide; with one lane everything is scalar.
    inputs : mapping of str to ir.Value
        For every name in the graph's ``inputs``: a vector for ``real`` and ``words``, a scalar for
        the kinds that are the same in all columns.
    column : ir.Value or int, optional
        The column of the first lane, an i32 or i64.

    Returns
    -------
    tuple of ir.Value
        One vector for each output.

    Raises
    ------
    InputError
        If it has reductions, which need the whole row, or needs ``column`` and has none.
    """
    if graph.stages:
        raise InputError(
            f"formula {graph.name!r} reduces over a row and is given one vector of it: emit it "
            "with `emit_row`"
        )
    if graph.reads_columns and column is None:
        raise InputError(f"formula {graph.name!r} reads the column, and none was given")
    scope = Scope(graph, lanes, inputs, column)
    scope.compute(graph.outputs)
    return tuple(scope.vector(number) for number in graph.outputs)


def spread_arguments(scope: Scope, numbers: Iterable[int]) -> None:
    """Spread over the lanes, here and now, what nodes ``numbers`` read that is uniform."""
    for number in numbers:
        node = scope.graph.nodes[number]
        if not node.uniform and node.op != "is_column":
            for argument in node.arguments:
                if argument in scope.rows.uniform:
                    scope.vector(argument)

"""Formulas with reductions over rows of few columns: one row in each lane.

A row of two columns in a vector of sixteen lanes leaves fourteen of them idle, and its sum goes
through four halves. Here every column is a vector, sixteen rows high, and a sum over the columns
adds vectors, in the order that `rows` states, so the bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....expr.graph import Graph, Node
from ..ir.builder import element, index, ir
from ..ir.simd import Lanes, tree
from .lower import Scope, constant
from .rows import IDENTITY, VIRTUAL_LANES

Load = Callable[[str, int], ir.Value]


def emit_rows_in_lanes(
    graph: Graph, lanes: Lanes, columns: int, load: Load
) -> list[list[ir.Value]]:
    """Emit a formula over as many rows as there are lanes.

    Parameters
    ----------
    graph : Graph
    lanes : Lanes
    columns : int
        K, from 1 to 16.
    load : callable
        ``load(name, column)`` gives an input of each row, for kinds that are the same in a whole
        row only at column 0.

    Returns
    -------
    list of list of ir.Value
        For each output its columns, or the one number that it is.
    """
    emitter = _Columns(graph, lanes, columns, load)
    for number in graph.needed(graph.outputs, set()):
        emitter.add(number)
    return [emitter.known[number] for number in graph.outputs]


class _Columns(Scope):
    """Emitted values of a graph's nodes: for each its columns, or one if they are all the same."""

    def __init__(self, graph: Graph, lanes: Lanes, columns: int, load: Load) -> None:
        super().__init__(graph, lanes, {})
        self.count, self.load, self.at = columns, load, 0
        self.known: dict[int, list[ir.Value]] = {}

    def add(self, number: int) -> None:
        node = self.graph.nodes[number]
        places = range(1 if node.uniform else self.count)
        self.known[number] = [self._of(node, place) for place in places]

    def _of(self, node: Node, place: int) -> ir.Value:
        self.at = place
        if node.op == "constant":
            return constant(self.lanes, node)
        if node.op == "input":
            return self.load(node.detail, place)
        if node.op == "column":
            return self.lanes.word(place)
        if node.op == "is_column":
            return self.lanes.word_equal(self.lanes.word(place), self.vector(node.arguments[0]))
        if node.op in IDENTITY:
            return self._reduced(node)
        return self._emit(node, self.lanes)

    def vector(self, number: int) -> ir.Value:
        """A node at the column at work."""
        values = self.known[number]
        return values[0] if len(values) == 1 else values[self.at]

    scalar = vector

    def _reduced(self, node: Node) -> ir.Value:
        """All columns of a node as one number, by the tree over virtual lanes."""
        values = self.known[node.arguments[0]]
        values = values if len(values) == self.count else values * self.count
        combine = self.lanes.add if node.op == "row_sum" else self.lanes.maximum
        return tree([*values, *[None] * (VIRTUAL_LANES - self.count)], combine)


class RowLanes:
    """Some rows of a buffer, one in each lane.

    Parameters
    ----------
    lanes : Lanes
    base : ir.Value
        Address of the first of these rows.
    stride : ir.Value
        Elements from one row to the next.
    which : ir.Value
        Words: the row of each lane. A row may come twice; it is then stored twice, the same.
    kind : ir.Type
        Of an element.
    """

    def __init__(
        self, lanes: Lanes, base: ir.Value, stride: ir.Value, which: ir.Value, kind: ir.Type
    ) -> None:
        build = lanes.builder
        self.lanes, self.base, self.kind = lanes, base, kind
        self.offsets = build.mul(which, lanes.splat(build.trunc(stride, lanes.word_element)))

    def _places(self, column: int) -> list[Any]:
        """What both intrinsics take: the addresses, their alignment, and all of them."""
        lanes = self.lanes
        start = element(lanes.builder, self.base, index(column), self.kind)
        places = lanes.builder.gep(start, [self.offsets], source_etype=self.kind)
        places.type = ir.VectorType(ir.PointerType(), lanes.count)  # llvmlite takes it for one
        item = {"double": 8}.get(str(self.kind), 4)
        return [places, lanes.word_element(item), lanes.first_lanes(lanes.count)]

    def load(self, column: int) -> ir.Value:
        kind = ir.VectorType(self.kind, self.lanes.count)
        return self.lanes.gather(kind, *self._places(column))

    def store(self, column: int, value: ir.Value) -> None:
        self.lanes.scatter(value, *self._places(column))

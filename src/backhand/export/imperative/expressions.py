"""Formula graphs as statements of a language like C: one line for each node.

A formula over a row of ``n`` columns becomes a function of pointers to rows. One that reduces goes
over the row in as many passes as it has reductions in sequence, and a reduction has the bits of the
machine code (see `run.llvm.lowering.rows`): sixteen lanes, each in the order of the columns, and
then a tree. Functions such as exp are graphs as well, and a function each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...expr.functions import function_graph
from ...expr.graph import FUNCTIONS, Graph, Node
from .dialect import Dialect, Parameter

LANES = 16
"""Lanes of a reduction: a part of every result."""

IDENTITY = {"row_sum": -0.0, "row_max": -math.inf}


def indented(lines: Sequence[str]) -> list[str]:
    """One level further in."""
    return [f"    {line}" for line in lines]


class Expressions:
    """The statements of a graph's nodes at one place of a program.

    Parameters
    ----------
    graph : Graph
    dialect : Dialect
    dtype : {"float32", "float64"}
    column : str
        The name of the column that is being computed.
    rows : Expressions, optional
        Where nodes are computed that are the same for the whole row; by default here.
    """

    def __init__(
        self,
        graph: Graph,
        dialect: Dialect,
        dtype: str,
        column: str = "k",
        rows: Expressions | None = None,
    ) -> None:
        self.graph, self.dialect, self.dtype, self.column = graph, dialect, dtype, column
        self.rows = self if rows is None else rows
        self.names: dict[int, str] = {}
        self.lines: list[str] = []

    def compute(self, targets: Sequence[int]) -> None:
        """Write the statements of whatever ``targets`` need and is not there yet."""
        known = {*self.names, *self.rows.names}
        for number in self.graph.needed(targets, known):
            node = self.graph.nodes[number]
            where = self.rows if node.uniform else self
            text = self._text(node)
            if node.op == "constant":
                where.names[number] = text
                continue
            name = f"v{number}"
            where.names[number] = name
            where.lines.append(self.dialect.let(node.kind, self.dtype, name, text))

    def text(self, number: int) -> str:
        """The name or the constant that stands for a node."""
        return self.names[number] if number in self.names else self.rows.names[number]

    def _text(self, node: Node) -> str:
        dialect, dtype = self.dialect, self.dtype
        if node.op == "constant":
            return dialect.constant(node.kind, dtype, node.detail)
        if node.op == "input":
            scalar = self.graph.inputs[node.detail] not in ("real", "words")
            return dialect.element(node.detail, "0" if scalar else self.column)
        if node.op == "column":
            return dialect.word_of(self.column)
        arguments = [self.text(number) for number in node.arguments]
        if node.op == "is_column":
            return f"{arguments[0]} == {self.column}"
        if node.op in FUNCTIONS:
            return f"{dialect.function_of(node.op, dtype)}({arguments[0]})"
        if node.op in ("minimum", "maximum"):
            return self._extremum(node, arguments)
        if node.op == "compare":
            return f"{arguments[0]} {node.detail} {arguments[1]}"
        if node.op == "where":
            return "{} ? {} : {}".format(*arguments)
        return dialect.operation(node, arguments, dtype)

    def _extremum(self, node: Node, arguments: list[str]) -> str:
        """The order of operands is the machine code's, which at a tie of zeros gives the right."""
        (a, b), sign = arguments, "<" if node.op == "minimum" else ">"
        left, right = (self.graph.nodes[number] for number in node.arguments)
        if right.op == "constant":
            left, a, b = right, b, a
        if left.op == "constant" and left.detail == left.detail:
            return f"{a} {sign} {b} ? {a} : {b}"
        self.dialect.uses(node.op, self.dtype)
        return f"{self.dialect.helper(node.op, self.dtype)}({a}, {b})"


def function_lines(name: str, dialect: Dialect, dtype: str) -> list[str]:
    """The definition of a function of one number, such as exp."""
    graph = function_graph(name, dtype == "float32")
    body = _Function(graph, dialect, dtype)
    body.compute(graph.outputs)
    lines = [*body.lines, f"return {body.text(graph.outputs[0])};"]
    return dialect.define(name, dtype, [Parameter("a", dtype, "number")], lines, dtype)


class _Function(Expressions):
    def _text(self, node: Node) -> str:
        return "a" if node.op == "input" else super()._text(node)


def row_lines(
    name: str,
    graph: Graph,
    dialect: Dialect,
    dtype: str,
    parameters: Sequence[Parameter],
    wide: Sequence[bool],
) -> list[str]:
    """The definition of a function that computes a formula on one row.

    Parameters
    ----------
    name : str
        Of the function.
    graph : Graph
        Its inputs are called as the parameters.
    dialect : Dialect
    dtype : {"float32", "float64"}
    parameters : sequence of Parameter
        Of ``name``; ``n``, the number of columns, goes before them if it is read. Outputs are
        called y0, ....
    wide : sequence of bool
        For each output, whether it is a row, and not one number.
    """
    rows = Expressions(graph, dialect, dtype)
    wanted, lines = graph.needed(graph.outputs, set()), []

    def loop(body: Sequence[str]) -> list[str]:
        return dialect.loop("k", "n", body)

    for stage in range(graph.stages + 1):
        ready = [
            number
            for number in wanted
            if (node := graph.nodes[number]).uniform
            and node.level <= stage
            and node.op not in IDENTITY
        ]
        rows.compute(ready)
        lines += rows.lines
        rows.lines = []
        reductions = [
            number
            for number in wanted
            if graph.nodes[number].op in IDENTITY and graph.nodes[number].level == stage + 1
        ]
        if not reductions:
            continue
        here = Expressions(graph, dialect, dtype, rows=rows)
        here.compute([graph.nodes[number].arguments[0] for number in reductions])
        body = here.lines
        for number in reductions:
            node = graph.nodes[number]
            op = {"row_sum": "add", "row_max": "maximum"}[node.op]
            lanes, value = f"lanes{number}", here.text(node.arguments[0])
            lines += dialect.lanes(lanes, dtype, LANES, IDENTITY[node.op])
            lane = f"{lanes}[k & {LANES - 1}]"
            dialect.uses(op, dtype)
            dialect.uses(f"tree_{op}", dtype)
            body.append(f"{lane} = {dialect.helper(op, dtype)}({lane}, {value});")
        lines += loop(body)
        for number in reductions:
            op = {"row_sum": "tree_add", "row_max": "tree_maximum"}[graph.nodes[number].op]
            found = f"{dialect.helper(op, dtype)}(lanes{number})"
            rows.names[number] = f"v{number}"
            lines.append(dialect.let("real", dtype, f"v{number}", found))
    targets = [number for number, row in zip(graph.outputs, wide, strict=True) if row]
    if targets:
        here = Expressions(graph, dialect, dtype, rows=rows)
        here.compute(targets)
        lines += rows.lines  # constants that only outputs read
        stores = [
            f"{dialect.element(f'y{i}', 'k')} = {here.text(number)};"
            for i, (number, row) in enumerate(zip(graph.outputs, wide, strict=True))
            if row
        ]
        lines += loop([*here.lines, *stores])
    for i, (number, row) in enumerate(zip(graph.outputs, wide, strict=True)):
        if not row:
            lines.append(f"{dialect.element(f'y{i}', '0')} = {rows.text(number)};")
    return dialect.define(name, dtype, parameters, lines)

"""Formulas as lines for people: ``e = exp(z - m)``, with places where names or numbers go.

What a graph uses more than once, and what goes into a sum over the row, has a line and a name.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

from .graph import Graph

TIMES, MINUS = " \u00d7 ", "\u2212"

CHOICE, COMPARED, ADDED, MULTIPLIED, SIGNED, WHOLE = range(6)
"""How tightly terms hold together, from the loosest."""

NAMES = {"exp": "e", "row_max": "m", "row_sum": "s"}
"""What lines of an operation are called; all others are a."""

SIGNS = {"<=": "\u2264", ">=": "\u2265", "==": "="}


@dataclasses.dataclass(frozen=True)
class Part:
    """A piece of a line.

    Attributes
    ----------
    kind : {"text", "input", "line", "column"}
        A text; the value of an input or of an earlier line; the number of the column.
    of : str or int
        The text, the input's name or the line's number.
    """

    kind: str
    of: str | int = ""


@dataclasses.dataclass(frozen=True)
class Line:
    """One statement of a formula.

    Attributes
    ----------
    node : int
        Which node of the graph it gives.
    name : str
        What later lines call it; empty if none does.
    parts : tuple of Part
    output : int or None
        Which output of the formula it is.
    uniform : bool
        Whether it is one number for the whole row.
    """

    node: int
    name: str
    parts: tuple[Part, ...]
    output: int | None
    uniform: bool


def lines_of(graph: Graph) -> tuple[Line, ...]:
    """The statements of a formula, in an order in which they can be read."""
    used = Counter(a for node in graph.nodes for a in node.arguments)
    summed = {node.arguments[0] for node in graph.nodes if node.op in ("row_sum", "row_max")}
    own = {
        number
        for number, node in enumerate(graph.nodes)
        if node.kind == "real"
        and node.op not in ("constant", "input")
        and (used[number] > 1 or number in summed or node.op in ("row_sum", "row_max"))
    }
    found: list[Line] = []
    place: dict[int, int] = {}
    taken: Counter[str] = Counter()
    for number in sorted({*own, *graph.outputs}):
        node = graph.nodes[number]
        parts = tuple(_joined(_term(graph, number, place, inside=False)[0]))
        name = ""
        if used[number] and node.op not in ("constant", "input"):
            letter = NAMES.get(node.op, "a")
            taken[letter] += 1
            name = f"{letter}{taken[letter] if taken[letter] > 1 else ''}"
        outputs: list[int | None] = [k for k, of in enumerate(graph.outputs) if of == number]
        place[number] = len(found)
        found += [Line(number, name, parts, output, node.uniform) for output in outputs or [None]]
    return tuple(found)


Term = tuple[list[Part], int]


def _text(text: str) -> list[Part]:
    return [Part("text", text)]


def _term(graph: Graph, number: int, place: dict[int, int], inside: bool = True) -> Term:
    """A node as parts, and how tightly they hold together."""
    node = graph.nodes[number]
    if inside and number in place:
        return [Part("line", place[number])], WHOLE
    if node.op == "input":
        return [Part("input", node.detail)], WHOLE
    if node.op == "constant":
        return _text(_number(node.detail)), SIGNED if node.detail < 0 else WHOLE
    given = [_term(graph, a, place) for a in node.arguments]

    def held(k: int, least: int) -> list[Part]:
        parts, tightness = given[k]
        return parts if tightness >= least else [*_text("("), *parts, *_text(")")]

    def between(sign: str, own: int, right: int) -> Term:
        return [*held(0, own), *_text(sign), *held(1, right)], own

    match node.op:
        case "add":
            return between(" + ", ADDED, ADDED)
        case "sub":
            return between(f" {MINUS} ", ADDED, MULTIPLIED)
        case "mul":
            return between(TIMES, MULTIPLIED, MULTIPLIED)
        case "div":
            return between(" / ", MULTIPLIED, SIGNED)
        case "neg":
            return [*_text(MINUS), *held(0, WHOLE)], SIGNED
        case "abs":
            return [*_text("|"), *given[0][0], *_text("|")], WHOLE
        case "compare":
            return between(f" {SIGNS.get(node.detail, node.detail)} ", COMPARED, ADDED)
        case "is_column":
            return [Part("column"), *_text(" = "), *held(0, ADDED)], COMPARED
        case "where":
            parts = [*held(1, COMPARED), *_text(" if "), *held(0, COMPARED)]
            return [*parts, *_text(" else "), *held(2, CHOICE)], CHOICE
        case "row_sum":
            return [*_text("sum of all "), *held(0, WHOLE)], CHOICE
        case "row_max":
            return [*_text("largest of all "), *held(0, WHOLE)], CHOICE
    names = {"minimum": "min", "maximum": "max"}
    inner: list[Part] = []
    for k, (parts, _) in enumerate(given):
        inner += [*_text(", " * (k > 0)), *parts]
    return [*_text(f"{names.get(node.op, node.op)}("), *inner, *_text(")")], WHOLE


def _joined(parts: list[Part]) -> list[Part]:
    """With texts that stand side by side as one."""
    found: list[Part] = []
    for part in parts:
        if found and part.kind == found[-1].kind == "text":
            found[-1] = Part("text", f"{found[-1].of}{part.of}")
        elif part.of != "" or part.kind == "column":
            found.append(part)
    return found


def _number(value: float) -> str:
    text = f"{abs(value):.6g}" if math.isfinite(value) else "\u221e"
    return f"{MINUS if math.copysign(1.0, value) < 0 else ''}{text}"

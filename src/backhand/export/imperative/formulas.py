"""Nodes of a plan that apply a formula, as that formula over one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...expr.graph import Graph
from ...expr.summable import Summable, plain
from ...expr.trace import trace
from ...plan.buffers import Axes, Buffer, broadcast
from ...plan.nodes import Map, NormaliseWeights, ScaleRows, formula_name

Formula = tuple[Callable[..., Any], tuple[Buffer, ...], tuple[Buffer, ...], Axes]


Applied = (Map, NormaliseWeights, ScaleRows)
"""The nodes that apply a formula."""


def formula_of(node: Map | NormaliseWeights | ScaleRows, adding: bool = True) -> Formula:
    """A node on one row as ``formula(xp, *inputs)``: that, its inputs, outputs and common axes.

    ``ScaleRows`` to one number adds to what is there, if that is wanted.
    """
    if isinstance(node, NormaliseWeights):

        def normalised(xp: Any, weight: Any) -> Any:
            return plain(node.formula(Summable(weight, total=weight), node.outputs))

        return normalised, (node.weight,), (node.out,), node.out.axes
    if isinstance(node, ScaleRows):

        def scaled(xp: Any, source: Any, share: Any) -> Any:
            return plain(node.formula(Summable(source, xp), share))

        def added(xp: Any, source: Any, share: Any, before: Any) -> Any:
            return before + scaled(xp, source, share)

        if node.out.axes or not adding:
            return scaled, (node.source, node.share), (node.out,), node.source.axes
        return added, (node.source, node.share, node.out), (node.out,), node.source.axes
    inputs = tuple(buffer for buffer in node.inputs if buffer is not None)
    scalars = tuple(buffer for _, buffer in node.scalars)

    def formula(xp: Any, *given: Any) -> Any:
        rest = iter(given)
        arguments = [None if buffer is None else next(rest) for buffer in node.inputs]
        named = {name: next(rest) for name, _ in node.scalars}
        return node.formula(xp, *arguments, **dict(node.keywords), **named)

    formula.__name__ = formula_name(node.formula)
    return formula, (*inputs, *scalars), node.outs, broadcast(list(inputs), str(node))


def traced(
    formula: Callable[..., Any], inputs: Sequence[Buffer], axes: Axes
) -> tuple[Graph, dict[Buffer, str]]:
    """The graph of a formula over buffers with common axes, and the names of its inputs."""
    names: dict[Buffer, str] = {}
    for buffer in inputs:
        names.setdefault(buffer, f"x{len(names)}")
    width = int(axes[-1]) if axes else 1
    return trace(formula, [(names[b], _kind(b, width)) for b in inputs]), names


def dtype_of(buffer: Buffer, real: str) -> str:
    """The dtype of what a formula finds in a buffer."""
    return {"index": "int32", "word": "uint32"}.get(buffer.kind, real)


def _kind(buffer: Buffer, width: int) -> str:
    """What a formula over rows of some columns finds in a buffer: a row, or one number."""
    if buffer.kind == "index":
        return "index"
    wide = buffer.width == width and bool(buffer.axes)
    if buffer.kind == "word":
        return "words" if wide else "word"
    return "real" if wide else "scalar"

"""The formulas of a plan as the graphs that kernels are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....expr.graph import Graph
from ....expr.trace import trace
from ....formulas import noise
from .kernel_plan import BatchSum, Fused, RowLoss

Names = tuple[str, ...]


def fused_graph(group: Fused, words: Mapping[str, int]) -> tuple[Graph, Names, tuple[int, ...]]:
    """The formulas on the elements of a product.

    Parameters
    ----------
    group : Fused
    words : mapping of str to int
        The layer of each buffer of noise.

    Returns
    -------
    graph
        Its inputs are ``product``, ``row``, ``column``, then ``read0``, ... for each buffer and
        ``key0``, ... for each layer; its outputs are what the group stores.
    reads : tuple of str
        Buffers that it reads.
    layers : tuple of int
        Whose noise it draws.
    """
    inner = {group.product.out, *(node.out for node in group.maps)}
    named = [name for node in group.maps for name in node.inputs if name]
    read = [name for name in named if name not in inner]
    outer = tuple(dict.fromkeys(name for name in read if name not in words))
    layers = tuple(dict.fromkeys(words[name] for name in read if name in words))

    def formula(xp: Any, product: Any, row: Any, column: Any, *rest: Any) -> tuple[Any, ...]:
        at = {group.product.out: product, **dict(zip(outer, rest, strict=False))}
        for layer, key in zip(layers, rest[len(outer) :], strict=True):
            drawn = noise.noise(xp, noise.row_key(xp, key, row), column)
            at |= {name: drawn for name, of in words.items() if of == layer}
        for node in group.maps:
            node.apply(xp, at)
        return tuple(at[name] for name in group.stored)

    inputs = [("product", "real"), ("row", "word"), ("column", "column")]
    inputs += [(f"read{i}", "real") for i in range(len(outer))]
    inputs += [(f"key{i}", "word") for i in range(len(layers))]
    return trace(formula, inputs), outer, layers


def row_loss_graph(group: RowLoss, target_kind: str) -> tuple[Graph, Names]:
    """The loss and its gradient on a row, and the buffers that it reads.

    ``total``, the first input, is the batch's sum of weights.
    """
    node = group.normalise
    inner = {node.out, *(n.out for n in group.maps), *(n.out for n in group.scales)}
    reads = [name for one in group.maps for name in one.inputs if name]
    outer = tuple(dict.fromkeys(name for name in (*reads, node.weight) if name not in inner))

    def formula(xp: Any, total: Any, *values: Any) -> tuple[Any, ...]:
        at = dict(zip(outer, values, strict=True))
        weight = _Summable(at[node.weight], total=total)
        at[node.out] = _plain(node.formula(weight, node.outputs))
        for one in group.maps:
            one.apply(xp, at)
        for scale in group.scales:
            source = _Summable(at[scale.source], xp)
            at[scale.out] = _plain(scale.formula(source, at[scale.share]))
        summed = {scale.source: at[scale.out] for scale in group.scales}
        return tuple(summed.get(name, at[name]) for name in group.stored)

    kinds = {"t": target_kind, node.weight: "scalar"}
    inputs = [("total", "scalar"), *((name, kinds.get(name, "real")) for name in outer)]
    return trace(formula, inputs), outer


def batch_sum_graph(batch_sum: BatchSum, scalars: Names, phase: str) -> tuple[Graph, Names]:
    """What becomes of an element of a gradient, and the buffers that it reads and stores.

    Its inputs are ``gradient``, ``read0``, ... for the buffers, and run-time scalars by name; its
    outputs go to the buffers in order. See `Kernels.batch_sum` for the phases.
    """
    update = batch_sum.update
    if update is None:
        return trace(lambda xp, g: g, [("gradient", "real")]), (batch_sum.node.out,)
    keywords = dict.fromkeys(scalars, "real")
    if phase == "gradient":

        def penalised(xp: Any, g: Any, w: Any, **at: Any) -> Any:
            return update.penalised(xp, w, g, at["l2"])

        inputs = [("gradient", "real"), ("read1", "real")]
        return trace(penalised, inputs, keywords), (batch_sum.node.out, update.parameter)

    def formula(xp: Any, g: Any, w: Any, *state: Any, **at: Any) -> Any:
        l2, clip, _ = (at.pop(key, None) for key in ("l2", "clip", "clip_norm"))
        return update.apply(xp, w, g, *state, scalars=at, l2=l2, clip=clip)

    operands = update.parameter, *update.state
    inputs = [("gradient", "real"), *((f"read{i}", "real") for i in range(len(operands)))]
    return trace(formula, inputs, keywords), operands


class _Summable:
    """A traced value whose sum is one that a formula does not see: over its row, or the batch."""

    def __init__(self, value: Any, xp: Any = None, total: Any = None) -> None:
        self.value, self._xp, self._total = value, xp, total

    def sum(self) -> Any:
        """The batch's sum if it is known, else this row's part of it."""
        return self._xp.row_sum(self.value) if self._total is None else self._total

    def __mul__(self, other: Any) -> _Summable:
        return _Summable(self.value * _plain(other), self._xp, self._total)

    def __truediv__(self, other: Any) -> _Summable:
        return _Summable(self.value / _plain(other), self._xp, self._total)


def _plain(value: Any) -> Any:
    """What a `_Summable` holds."""
    return value.value if isinstance(value, _Summable) else value

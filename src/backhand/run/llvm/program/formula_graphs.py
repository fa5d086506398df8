"""The formulas of a plan as the graphs that kernels are made of."""

from __future__ import annotations

import dataclasses
from typing import Any

from ....expr.graph import Graph
from ....expr.summable import Summable, plain
from ....expr.trace import trace
from ....formulas import noise
from ....plan.buffers import Buffer
from ....plan.nodes import Map, Noise, NormaliseWeights, Product, ScaleRows
from .kernel_plan import Fused, KernelPlan, Region, RowMap, Sum, region

Names = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class RowFormula:
    """What a kernel over rows computes.

    Attributes
    ----------
    graph : Graph
        Its inputs are ``product``, the element of a product; ``total``, the batch's sum of
        weights; ``row`` and ``column``; then ``read0``, ... for each buffer, ``key0``, ... for
        each layer of noise and ``scalar0``, ... for each per-step scalar; its outputs are stored.
    reads : tuple of Buffer
    stores : tuple of Buffer
    layers : tuple of int
        Whose noise it draws.
    scalars : tuple of Buffer
    width : int
        Columns of a row.
    """

    graph: Graph
    reads: tuple[Buffer, ...]
    stores: tuple[Buffer, ...]
    layers: tuple[int, ...]
    scalars: tuple[Buffer, ...]
    width: int


def row_formula(kernel: Fused | RowMap, kernel_plan: KernelPlan) -> RowFormula:
    """The formulas on the elements of a product, or on rows."""
    words = {region(n.out): n.number for n in kernel_plan.plan.nodes if isinstance(n, Noise)}
    product = kernel.product if isinstance(kernel, Fused) else None
    inner = {region(out) for node in kernel.nodes for out in node.writes}
    given = [buffer for node in kernel.nodes for buffer in _inputs(node)]
    if product:
        inner.add(region(product.out))
        if product.bias and product.scale != 1.0:
            given.append(product.bias)
    read = {region(buffer): buffer for buffer in given if region(buffer) not in inner}
    outer = {key: buffer for key, buffer in read.items() if key not in words}
    layers = tuple(dict.fromkeys(words[key] for key in read if key in words))
    scalars = tuple(
        dict.fromkeys(b for node in kernel.nodes if isinstance(node, Map) for _, b in node.scalars)
    )

    def formula(xp: Any, first: Any, row: Any, column: Any, *rest: Any) -> tuple[Any, ...]:
        given = iter(rest)
        at: dict[Region, Any] = {key: next(given) for key in outer}
        for layer in layers:
            drawn = noise.noise(xp, noise.row_key(xp, next(given), row), column)
            at |= {key: drawn for key, of in words.items() if of == layer}
        at |= {region(buffer): next(given) for buffer in scalars}
        if product:
            at[region(product.out)] = _scaled(product, first, at)
        for node in kernel.nodes:
            _run(node, xp, at, first)
        return tuple(at[region(buffer)] for buffer in kernel.stored)

    inputs = [("product", "real") if product else ("total", "scalar")]
    inputs += [("row", "word"), ("column", "column")]
    reads = tuple(outer.values())
    inputs += [(f"read{i}", _kind(b, kernel.width, kernel_plan)) for i, b in enumerate(reads)]
    inputs += [(f"key{i}", "word") for i in range(len(layers))]
    kinds = {"real": "scalar", "word": "word"}
    inputs += [(f"scalar{i}", kinds[buffer.kind]) for i, buffer in enumerate(scalars)]
    graph = trace(formula, inputs)
    return RowFormula(graph, reads, kernel.stored, layers, scalars, kernel.width)


def is_row(buffer: Buffer, width: int, kernel_plan: KernelPlan) -> bool:
    """Whether a kernel over rows of some columns finds a row there, and not one number."""
    return buffer.width == width and not kernel_plan.is_narrow(buffer)


def _kind(buffer: Buffer, width: int, kernel_plan: KernelPlan) -> str:
    if buffer.kind == "index":
        return "index"
    return "real" if is_row(buffer, width, kernel_plan) else "scalar"


def _inputs(node: Any) -> tuple[Buffer, ...]:
    """The buffers that a node reads row by row."""
    if isinstance(node, Map):
        return tuple(buffer for buffer in node.inputs if buffer is not None)
    reads: tuple[Buffer, ...] = node.reads
    return reads


def _scaled(product: Product, value: Any, at: dict[Region, Any]) -> Any:
    """The result of a product from its sum; one without a scale has begun from the bias."""
    if product.scale == 1.0:
        return value
    value = value * product.scale
    return value if product.bias is None else value + at[region(product.bias)]


def _run(node: Any, xp: Any, at: dict[Region, Any], total: Any) -> None:
    """Run a node on the values of a row."""
    match node:
        case Map():
            inputs = [None if buffer is None else at[region(buffer)] for buffer in node.inputs]
            scalars = {name: at[region(buffer)] for name, buffer in node.scalars}
            found: Any = node.formula(xp, *inputs, **dict(node.keywords), **scalars)
            results = found if len(node.outs) > 1 else (found,)
            at |= {region(out): a for out, a in zip(node.outs, results, strict=True)}
        case NormaliseWeights():
            weight = Summable(at[region(node.weight)], total=total)
            at[region(node.out)] = plain(node.formula(weight, node.outputs))
        case ScaleRows():
            source = Summable(at[region(node.source)], xp)
            at[region(node.out)] = plain(node.formula(source, at[region(node.share)]))


def sum_graph(each: Sum, own: Names, phase: str) -> tuple[Graph, tuple[Buffer, ...]]:
    """What becomes of an element of a gradient, and the buffers that it reads and stores.

    Its inputs are ``gradient``, ``read0``, ... for the buffers, and per-step scalars by the names
    that the update has for them; its outputs go to the buffers in order. See `Kernels.sum` for the
    phases.

    Parameters
    ----------
    each : Sum
    own : tuple of str
        Names of the scalars that each group of parameters has.
    phase : {"", "gradient", "update"}
    """
    update, scale = each.update, getattr(each.node, "scale", 1.0)

    def scaled(g: Any) -> Any:
        return g if scale == 1.0 or phase == "update" else g * scale

    if update is None or (phase == "gradient" and not update.penalised):
        return trace(lambda xp, g: scaled(g), [("gradient", "real")]), (each.node.out,)
    keywords = dict.fromkeys((*own, "l2", "clip"), "real")
    if phase == "gradient":

        def penalised(xp: Any, g: Any, w: Any, **at: Any) -> Any:
            return update.with_penalty(xp, w, scaled(g), at["l2"])

        inputs = [("gradient", "real"), ("read1", "real")]
        return trace(penalised, inputs, keywords), (each.node.out, update.parameter)

    def formula(xp: Any, g: Any, w: Any, *state: Any, **at: Any) -> Any:
        l2, clip = (at.pop(key) for key in ("l2", "clip"))
        return update.apply(xp, w, scaled(g), *state, scalars=at, l2=l2, clip=clip)

    operands = update.parameter, *update.state
    inputs = [("gradient", "real"), *((f"read{i}", "real") for i in range(len(operands)))]
    return trace(formula, inputs, keywords), operands

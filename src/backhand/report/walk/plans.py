"""The plan of a network as data for a page: buffers, nodes, and formulas as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...export.imperative.formulas import Applied, formula_of, traced
from ...export.imperative.memory import size_of
from ...expr.text import lines_of
from ...network import Network, Params
from ...plan.buffers import BATCH, Buffer
from ...plan.nodes import BatchSum, Lookup, Node, Product
from ...plan.step import Plan, gradient_plan
from ...plan.wiring import Result

Array = Any

DRAWN = 10
"""The most units of a layer that are drawn; the rest is summed up."""


def plan_of(network: Network) -> Plan:
    """The plan that a page walks through: forward, the loss, and back to the inputs."""
    return gradient_plan(network, wrt_input=True)


def plan_data(network: Network, params: Params, x: Array, t: Array) -> dict[str, Any]:
    """What a page knows of a network besides its module.

    Parameters
    ----------
    network : Network
    params : dict of str to array
    x : array (N, D)
        Rows, by which is decided which units are drawn.
    t : array
        Their targets as the loss takes them.
    """
    plan = plan_of(network)
    assert plan.loss is not None
    parameters = [p.buffer for p in plan.parameters]
    buffers = {b.name: b for b in (*plan.buffers.values(), *parameters, plan.x, plan.t)}
    loss = next(i for i, node in enumerate(plan.nodes) if plan.loss in node.writes)
    gradients = {w.name: g.name for w, g in plan.gradients}
    depths = [node.left.width for node in plan.nodes if isinstance(node, Product)]
    return {
        "x": plan.x.name,
        "t": plan.t.name,
        "loss": plan.loss.name,
        "lossNode": loss,
        "byClass": network.loss.by_row,
        "buffers": {name: _buffer(b) for name, b in buffers.items()},
        "nodes": [_node(node) for node in plan.nodes],
        "after": {name: _after(plan, b, loss) for name, b in buffers.items()},
        "layers": _layers(network, plan, params, x, t),
        "parameters": [
            {"name": b.name, "shape": [*b.axes], "gradient": gradients.get(b.name)}
            for b in parameters
        ],
        "kinks": [[buffer.name, list(at)] for buffer, at in plan.kinks],
        "lookups": sorted({n.index.name for n in plan.nodes if isinstance(n, Lookup)}),
        "categories": sorted(network.categories),
        "depth": max(depths, default=1),
    }


def _buffer(buffer: Buffer) -> dict[str, Any]:
    inner = [int(n) for n in buffer.axes if n != BATCH]
    apart = buffer.apart if buffer.base is not None else buffer.width
    return {
        "home": buffer.home.name,
        "first": buffer.first,
        "apart": apart,
        "width": buffer.width,
        "size": size_of(buffer),
        "shape": inner,
    }


def _node(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {
        "text": str(node),
        "reads": [b.name for b in node.reads],
        "writes": [b.name for b in node.writes],
        "kind": "other",
    }
    match node:
        case Product():
            found |= {
                "kind": "outer" if node.sums_batch else "product",
                "left": node.left.name,
                "right": node.right.name,
                "transposed": node.right_transposed,
                "bias": None if node.bias is None else node.bias.name,
                "scale": node.scale,
            }
        case BatchSum():
            found |= {"kind": "sum", "source": node.source.name}
        case _ if isinstance(node, Applied):
            formula, inputs, _, axes = formula_of(node, adding=False)
            graph, names = traced(formula, inputs, axes)
            of = {name: buffer.name for buffer, name in names.items()}
            lines = [
                {
                    "name": line.name,
                    "output": line.output,
                    "parts": [
                        [p.kind, of[str(p.of)] if p.kind == "input" else p.of] for p in line.parts
                    ],
                }
                for line in lines_of(graph)
            ]
            found |= {"kind": "formula", "lines": lines}
    return found


def _after(plan: Plan, buffer: Buffer, loss: int) -> int:
    """The node from which on everything follows from a buffer: behind the last that writes it."""
    columns = set(_columns(buffer))
    found = 0
    for i, node in enumerate(plan.nodes[: loss + 1]):
        for out in node.writes:
            if out.home == buffer.home and columns & set(_columns(out)):
                found = i + 1
    return found


def _columns(buffer: Buffer) -> Sequence[int]:
    return buffer.base_columns if buffer.base is not None else range(size_of(buffer))


# layers -------------------------------------------------------------------------------------------


def _layers(
    network: Network, plan: Plan, params: Params, x: Array, t: Array
) -> list[dict[str, Any]]:
    """Results of one width that belong to one linear layer, as one column of units."""
    given = Result(0, "x", plan.x, plan.dx)
    results = [given, *plan.results]
    arrays = network.passes(params, x, t, engine="numpy")
    values = [one.values for one in arrays[: len(results)]]
    back = iter(arrays[len(results) :])
    slopes = {r.buffer: next(back).values for r in reversed(results) if r.gradient is not None}
    homes = {r.buffer for r in results}
    groups: list[list[Result]] = []
    for result in results:
        if result.buffer.base is not None and result.buffer.home in homes:
            continue  # columns of a result that stands there as a whole
        last = groups[-1][-1] if groups else None
        same = (
            last is not None
            and last is not given
            and last.linear_index == result.linear_index
            and last.buffer.axes == result.buffer.axes
        )
        groups = [*groups[:-1], [*groups[-1], result]] if same else [*groups, [result]]
    found = []
    before: list[Result] = []
    at = {r.buffer: v for r, v in zip(results, values, strict=True)}
    for group in groups:
        top = group[-1].buffer
        weight = np.abs(at[top] * slopes.get(top, 1.0))
        matter = weight.reshape(-1, top.width).mean(axis=0)
        shown = sorted(np.argsort(-matter, kind="stable")[:DRAWN].tolist())
        found.append(
            {
                "title": _title(group, plan),
                "width": top.width,
                "members": top.members,
                "buffers": [r.buffer.name for r in group],
                "gradients": [None if r.gradient is None else r.gradient.name for r in group],
                "shown": shown,
                "edges": _edges(plan, before, group),
            }
        )
        before = group
    return found


def _title(group: Sequence[Result], plan: Plan) -> str:
    if group[0].buffer == plan.x:
        return "inputs"
    if group[-1].buffer == plan.logits:
        return "logits"
    index = group[-1].linear_index
    return f"layer {index}" if index else "embedded"


def _edges(plan: Plan, before: Sequence[Result], group: Sequence[Result]) -> dict[str, Any] | None:
    """The product that leads from one column of units to the next, if that is what leads there."""
    left = {r.buffer for r in before}
    for node in plan.nodes:
        if isinstance(node, Product) and node.out == group[0].buffer and node.left in left:
            return {"left": node.left.name, "right": node.right.name, "scale": node.scale}
    return None

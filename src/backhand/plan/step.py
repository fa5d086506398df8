"""The nodes of one step, in order, from the description of a network.

Layers count from 1. The buffers of layer l are ``w{l}``, ``b{l}``, the pre-activation ``z{l}``,
the output ``y{l}`` and, where there is dropout, ``h{l}``; a ``d`` in front is the derivative of
the loss by that buffer. ``x`` are the inputs, ``t`` the targets, ``weight`` the sample weights.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from ..errors import InputError
from ..formulas import linear, losses
from ..formulas import noise as dropping
from ..formulas.optimisers import Optimiser
from .description import Description
from .nodes import (
    Clip,
    ColumnSum,
    Gather,
    Map,
    Matmul,
    Node,
    Noise,
    NormaliseWeights,
    ScaleRows,
    Symbol,
    Update,
)

PLANS_KEPT = 32
"""The number of networks whose plans are kept, since they are run again and again."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The nodes of one step over the named buffers of a network."""

    description: Description
    nodes: tuple[Node, ...]

    def __str__(self) -> str:
        return self._text

    @functools.cached_property
    def _text(self) -> str:
        return "\n".join(_line(node) for node in self.nodes)


@functools.lru_cache(maxsize=PLANS_KEPT)
def forward_plan(description: Description, *, dropout: bool = False) -> Plan:
    """From ``x`` to the logits. Dropout is only for training."""
    return Plan(description, tuple(_forward(description, dropout)))


def loss_plan(description: Description) -> Plan:
    """From ``x``, ``t`` and ``weight`` to ``loss``, without gradients."""
    return Plan(description, tuple(_forward(description, False) + _loss(description)))


def logits_loss_plan(description: Description) -> Plan:
    """From the logits, ``t`` and ``weight`` to ``loss``."""
    return Plan(description, tuple(_loss(description)))


def logits_gradient_plan(description: Description) -> Plan:
    """From the logits, ``t`` and ``weight`` to the gradient at the logits."""
    nodes = _loss(description) + _loss_gradient(description)
    return Plan(description, tuple(node for node in nodes if getattr(node, "out", "") != "loss"))


def propagation_plan(description: Description) -> Plan:
    """From ``x`` to the logits, and from the gradient there back to ``dx``: no parameter's."""
    backward = _backward(description, False, True)
    row_by_row = [n for n in backward if isinstance(n, Map) or not n.out.startswith(("dw", "db"))]
    return Plan(description, (*_forward(description, False), *row_by_row))


@functools.lru_cache(maxsize=PLANS_KEPT)
def gradient_plan(
    description: Description, *, dropout: bool = False, wrt_input: bool = False
) -> Plan:
    """From ``x``, ``t`` and ``weight`` to ``loss`` and every ``dw``, ``db`` (and ``dx``)."""
    return Plan(description, tuple(_gradient(description, dropout, wrt_input)))


def training_plan(description: Description, optimiser: Optimiser, *, sparse: bool = False) -> Plan:
    """A whole training step: gather the batch (of sparse rows), forward, loss, backward, update.

    Raises InputError if the optimiser clips at a length that the network's dtype does not hold: a
    limit that became 0 would let training stand still.
    """
    real = description.dtype
    least, most = float(np.finfo(real).tiny), float(np.finfo(real).max)
    if optimiser.clips and not least <= optimiser.clip_norm <= most:
        raise InputError(
            f"clip_norm={optimiser.clip_norm:g} is beyond what {real} holds, {least:.2g} to "
            f"{most:.2g}: take one between them"
        )
    indices = description.loss.by_row
    nodes: list[Node] = [
        Gather("all_x", "x", real, sparse),
        Gather("all_t", "t", None if indices else real),
        Gather("all_weight", "weight", real),
    ]
    nodes += _gradient(description, dropout=any(description.dropout), wrt_input=False)
    layers = range(len(description.shapes), 0, -1)
    if optimiser.clips:
        pairs = [pair for n in layers for pair in ((f"dw{n}", f"w{n}"), (f"db{n}", None))]
        nodes.append(Clip(tuple(pairs)))
    for layer in layers:
        for part, decayed in ((f"w{layer}", True), (f"b{layer}", False)):
            state = tuple(f"{name}_{part}" for name in optimiser.state)
            nodes.append(Update(optimiser, part, f"d{part}", state, decayed))
    return Plan(description, tuple(nodes))


def logits(description: Description) -> str:
    """The buffer that holds the logits."""
    return f"z{len(description.shapes)}"


def _inputs(description: Description, layer: int, dropout: bool) -> str:
    """The buffer that layer ``layer`` reads."""
    if layer == 1:
        return "x"
    dropped = dropout and description.dropout[layer - 2] > 0
    return f"{'h' if dropped else 'y'}{layer - 1}"


def _forward(description: Description, dropout: bool) -> list[Node]:
    nodes: list[Node] = []
    last = len(description.shapes)
    for layer in range(1, last + 1):
        x = _inputs(description, layer, dropout)
        z = linear.linear(Symbol(x), Symbol(f"w{layer}"), Symbol(f"b{layer}"))
        nodes.append(dataclasses.replace(z, out=f"z{layer}"))
        if layer == last:
            break
        activation = description.activations[layer - 1]
        nodes.append(Map(activation.forward, (f"z{layer}",), f"y{layer}", activation.parameters))
        rate = description.dropout[layer - 1]
        if dropout and rate > 0:
            words = f"words{layer}"
            nodes.append(Noise(layer, words))
            nodes.append(
                Map(dropping.dropout, (f"y{layer}", words), f"h{layer}", (("rate", rate),))
            )
    return nodes


def _loss(description: Description) -> list[Node]:
    loss = description.loss
    outputs = description.outputs if loss.outputs == "mean" and not loss.by_row else 1
    return [
        NormaliseWeights(losses.share, "weight", outputs, "share"),
        Map(loss.value, (logits(description), "t"), "value", loss.parameters),
        ScaleRows(losses.total, "value", "share", "loss"),
    ]


def _loss_gradient(description: Description) -> list[Node]:
    loss, z = description.loss, logits(description)
    return [
        Map(loss.grad, (z, "t"), "grad", loss.parameters),
        ScaleRows(losses.share_vjp, "grad", "share", f"d{z}"),
    ]


def _gradient(description: Description, dropout: bool, wrt_input: bool) -> list[Node]:
    return [
        *_forward(description, dropout),
        *_loss(description),
        *_loss_gradient(description),
        *_backward(description, dropout, wrt_input),
    ]


def _backward(
    description: Description, dropout: bool, wrt_input: bool
) -> list[Matmul | ColumnSum | Map]:
    nodes: list[Matmul | ColumnSum | Map] = []
    last = len(description.shapes)
    for layer in range(last, 0, -1):
        x, dz = _inputs(description, layer, dropout), Symbol(f"dz{layer}")
        dw, db = linear.linear_vjp_weights(Symbol(x), dz)
        nodes.append(dataclasses.replace(dw, out=f"dw{layer}"))
        nodes.append(dataclasses.replace(db, out=f"db{layer}"))
        if layer > 1 or wrt_input:
            dx = linear.linear_vjp_input(Symbol(f"w{layer}"), dz)
            nodes.append(dataclasses.replace(dx, out=f"d{x}"))
        if layer == 1:
            break
        below = layer - 1
        if x.startswith("h"):
            rate = description.dropout[below - 1]
            inputs = (f"d{x}", f"words{below}")
            nodes.append(Map(dropping.dropout_vjp, inputs, f"dy{below}", (("rate", rate),)))
        activation = description.activations[below - 1]
        saved = [f"{name}{below}" if name in activation.saves else None for name in ("z", "y")]
        nodes.append(
            Map(
                activation.vjp,
                (*saved, f"dy{below}"),
                f"dz{below}",
                activation.parameters,
            )
        )
    return nodes


def _line(node: Node) -> str:
    """One node as a person would write it."""
    if isinstance(node, Matmul):
        left = node.left + ".T" * node.left_transposed
        right = node.right + ".T" * node.right_transposed
        bias = f" + {node.bias}" if node.bias else ""
        return f"{node.out} = {left} @ {right}{bias}"
    if isinstance(node, Gather):
        return f"{node.out} = {node.source}[order]{' (stored entries)' * node.sparse}"
    if isinstance(node, ColumnSum):
        return f"{node.out} = {node.source}.sum(0)"
    if isinstance(node, Noise):
        return f"{node.out} = noise(seed, step, layer={node.layer})"
    if isinstance(node, NormaliseWeights):
        return f"{node.out} = {_name(node.formula)}({node.weight}, outputs={node.outputs})"
    if isinstance(node, ScaleRows):
        return f"{node.out} = {_name(node.formula)}({node.source}, {node.share})"
    if isinstance(node, Clip):
        return f"{node.out} = clip_factor({', '.join(name for name, _ in node.gradients)})"
    if isinstance(node, Update):
        targets = ", ".join((node.parameter, *node.state))
        gradient = f"{node.gradient} * clip" if node.optimiser.clips else node.gradient
        return f"{targets} = {node.optimiser.name}({node.parameter}, {gradient}, ...)"
    inputs = [name or "_" for name in node.inputs] + [f"{k}={v:g}" for k, v in node.keywords]
    return f"{node.out} = {_name(node.formula)}({', '.join(inputs)})"


def _name(formula: Callable[..., object]) -> str:
    """A formula's own name; that of the function inside of a ``functools.partial``."""
    return str(getattr(getattr(formula, "func", formula), "__name__", type(formula).__name__))

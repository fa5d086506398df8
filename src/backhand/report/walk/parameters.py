"""Parameters as text for a page: those that were learned, and some that are drawn."""

from __future__ import annotations

import base64
import dataclasses
import math
from typing import Any

import numpy as np

from ...formulas.activations import Activation, choose_activation
from ...network import Network, Params
from ...plan.layers import Activate, Layer

Array = Any

SCHEMES = {
    "lecun_normal": "1/sqrt(fan in)",
    "kaiming_normal": "Kaiming: sqrt(2/fan in)",
    "lsuv": "data-driven: every layer scaled to spread 1",
}
"""Ways to draw parameters that a page offers, and what it calls them."""

ACTIVATIONS = ("relu", "shifted_relu", "leaky_relu", "tanh", "silu")
"""Activations that a page offers, besides the network's own."""

FEW = 16
"""Parameters of at most so many numbers are decimals."""

LARGEST_HALF = 65504.0
"""Of float16."""


def packed(a: Array, half: bool = False) -> Any:
    """Numbers as float32 or float16, in base64; a few, or what needs float64, as a list."""
    flat = np.ravel(a).astype(np.float64)
    with np.errstate(over="ignore"):
        exact = flat.astype(np.float32) == flat
    if len(flat) <= FEW or not (exact | np.isnan(flat)).all():
        return [_plain(value) for value in flat.tolist()]
    if not flat.any():
        return {"zeros": len(flat)}
    kind = "<f2" if half else "<f4"
    return {kind[1:]: base64.b64encode(flat.astype(kind).tobytes()).decode()}


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def drawn(network: Network, scheme: str, x: Array) -> Params:
    """What a scheme draws in the place of what was learned.

    It is rounded to float16, which is all that a page keeps of it.
    """
    made = network.init(scheme, 0, x)
    return {
        name: np.clip(a, -LARGEST_HALF, LARGEST_HALF).astype(np.float16).astype(np.float64)
        for name, a in made.items()
        if network.is_learned(name)
    }


def in_float64(network: Network) -> Network:
    """The same network, with more digits: slopes are measured in it."""
    return Network(network.layers, inputs=network.inputs, loss=network.loss, dtype="float64")


def activation_of(network: Network) -> Activation | None:
    """The activation of all layers; None if there is none, or more than one."""
    found = {one for layer in network.layers for one in _activations(layer)}
    return found.pop() if len(found) == 1 else None


def with_activation(network: Network, activation: str) -> Network:
    """The network with another activation in the place of every one."""
    made = choose_activation(activation)
    layers = [_replaced(layer, made) for layer in network.layers]
    return Network(layers, inputs=network.inputs, loss=network.loss, dtype=network.dtype)


def _inner(layer: Layer) -> dict[str, tuple[Layer, ...]]:
    """The fields of a layer that hold layers."""
    fields = {f.name: getattr(layer, f.name) for f in dataclasses.fields(layer) if f.init}
    return {
        name: value
        for name, value in fields.items()
        if isinstance(value, tuple) and value and all(isinstance(one, Layer) for one in value)
    }


def _activations(layer: Layer) -> list[Activation]:
    if isinstance(layer, Activate):
        return [layer.activation]
    return [one for value in _inner(layer).values() for of in value for one in _activations(of)]


def _replaced(layer: Layer, activation: Activation) -> Layer:
    if isinstance(layer, Activate):
        return dataclasses.replace(layer, activation=activation)
    changes: dict[str, Any] = {
        name: tuple(_replaced(one, activation) for one in value)
        for name, value in _inner(layer).items()
    }
    return dataclasses.replace(layer, **changes) if changes else layer

"""The linear layer: x (N, D), w (D, K), b (K,) -> z (N, K)."""

from __future__ import annotations

import dataclasses
import math

from ...formulas import linear
from ...formulas.initialisers import standard_normal, zeros
from ..buffers import Buffer
from ..recording import Symbol
from ..wiring import Factors, Wiring
from .layer import Layer, known

Saved = tuple[Buffer, Buffer, Buffer | None, float]


@known
@dataclasses.dataclass(frozen=True)
class Linear(Layer):
    """``z = x @ w + b``; with ``ntk``, ``z = x @ w / sqrt(D) + b`` and w drawn from N(0, 1).

    Parameters
    ----------
    units : int
        K.
    bias : bool
        Whether there is a b; it begins at 0.
    ntk : bool
        The neural tangent parametrisation (Jacot et al. 2018): with weights of unit size, one
        learning rate suits layers of all widths.
    learning_rate, bias_learning_rate : float
        Factors of the learning rate, of w and of b.
    """

    kind = "linear"
    letter = "z"

    units: int
    bias: bool = True
    ntk: bool = False
    learning_rate: float = 1.0
    bias_learning_rate: float = 1.0

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Saved]:
        wire.linear_index += 1
        draw = standard_normal if self.ntk else None
        shape = (x.width, self.units)
        w = wire.parameter("w", shape, draw, Factors(self.learning_rate))
        b = None
        if self.bias:
            factors = Factors(self.bias_learning_rate)
            b = wire.parameter("b", (self.units,), zeros, factors, penalised=False)
        scale = 1.0 / math.sqrt(x.width) if self.ntk else 1.0
        z = linear.linear(Symbol(x), Symbol(w), b and Symbol(b), scale)
        return wire.product(z, f"z{wire.linear_index}"), (x, w, b, scale)

    def backward(self, wire: Wiring, saved: Saved, dz: Buffer) -> Buffer | None:
        x, w, b, scale = saved
        dw, db = linear.linear_vjp_weights(Symbol(x), Symbol(dz), scale)
        wire.gradient(w, dw)
        if b is not None:
            wire.gradient(b, db)
        if not wire.is_wanted(x):
            return None
        return wire.product(linear.linear_vjp_input(Symbol(w), Symbol(dz), scale), f"d{x.name}")

"""A learned factor for each column."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...formulas import scaling
from ...formulas.initialisers import ones
from ..buffers import Buffer
from ..wiring import Factors, Wiring
from .layer import Layer, known


@known
@dataclasses.dataclass(frozen=True)
class Scale(Layer):
    """``y = x * s`` with s (K,), which begins at 1 (RealMLP, Holzmueller et al. 2024).

    Parameters
    ----------
    learning_rate, decay : float
        Factors of the learning rate and of weight decay for s.
    """

    kind = "scale"

    learning_rate: float = 1.0
    decay: float = 1.0

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        rates = Factors(self.learning_rate, self.decay)
        s = wire.parameter("s", (x.width,), ones, rates)
        return wire.map(scaling.scale, (x, s), f"scaled{wire.linear_index}"), (x, s)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        x, s = saved
        return scale_backward(wire, x, s, dy, wanted=wire.is_wanted(x))


def scale_backward(
    wire: Wiring, x: Buffer, s: Buffer, dy: Buffer, *, wanted: bool = True
) -> Buffer | None:
    """The gradient of the factors s, and the one at x if it is wanted."""
    rows = f"{s.name}_rows"
    if not wanted:
        wire.gradient(s, wire.map(scaling.scale_vjp_factor, (x, dy), rows))
        return None
    dx, ds = wire.maps(scaling.scale_vjp, (x, s, dy), (f"d{x.name}", rows))
    wire.gradient(s, ds)
    return dx

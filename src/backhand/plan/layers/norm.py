"""Norms of rows: layer norm and RMS norm."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...formulas import norms
from ...formulas.initialisers import ones, zeros
from ..buffers import Buffer
from ..wiring import Wiring
from .layer import Layer, known


@known
@dataclasses.dataclass(frozen=True)
class LayerNorm(Layer):
    """``y = (x - mean) / sqrt(variance + epsilon) * g + b`` over the K columns of a row.

    Ba et al. 2016. g (K,) begins at 1 and b (K,) at 0.
    """

    kind = "layer_norm"
    least = {"epsilon": 0.0}  # noqa: RUF012

    epsilon: float = 1e-5

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        g = wire.parameter("g", (x.width,), ones, penalised=False)
        b = wire.parameter("shift", (x.width,), zeros, penalised=False)
        keywords = (("width", float(x.width)), ("epsilon", self.epsilon))
        y = wire.map(norms.layer_norm, (x, g, b), f"norm{wire.linear_index}", keywords)
        return y, (x, g, b, keywords)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        x, g, b, keywords = saved
        outs = (f"d{x.name}", f"{g.name}_rows")
        dx, dg = wire.maps(norms.layer_norm_vjp, (x, g, dy), outs, keywords)
        wire.gradient(g, dg)
        wire.gradient(b, dy)
        return dx if wire.is_wanted(x) else None


@known
@dataclasses.dataclass(frozen=True)
class RmsNorm(Layer):
    """``y = x / sqrt(mean of squares + epsilon) * g`` over the K columns of a row.

    Zhang and Sennrich 2019. g (K,) begins at 1.
    """

    kind = "rms_norm"
    least = {"epsilon": 0.0}  # noqa: RUF012

    epsilon: float = 1e-5

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        g = wire.parameter("g", (x.width,), ones, penalised=False)
        keywords = (("width", float(x.width)), ("epsilon", self.epsilon))
        return wire.map(norms.rms_norm, (x, g), f"norm{wire.linear_index}", keywords), (
            x,
            g,
            keywords,
        )

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        x, g, keywords = saved
        outs = (f"d{x.name}", f"{g.name}_rows")
        dx, dg = wire.maps(norms.rms_norm_vjp, (x, g, dy), outs, keywords)
        wire.gradient(g, dg)
        return dx if wire.is_wanted(x) else None

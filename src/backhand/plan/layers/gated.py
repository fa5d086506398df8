"""Gated linear unit: one product, whose halves gate one another."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...formulas import gates
from ..buffers import BATCH, Buffer
from ..wiring import Wiring
from .layer import Layer, known
from .linear import Linear


@known
@dataclasses.dataclass(frozen=True)
class GatedLinear(Layer):
    """``y = u * silu(v)`` with ``[u, v] = x @ w + b``, w (D, 2 K), b (2 K,) (Shazeer 2020).

    Parameters
    ----------
    units : int
        K.
    bias, ntk : bool
        As of `Linear`.
    """

    kind = "gated_linear"

    units: int
    bias: bool = True
    ntk: bool = False

    @property
    def _linear(self) -> Linear:
        return Linear(2 * self.units, self.bias, self.ntk)

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        z, saved = self._linear.forward(wire, x)
        u = z.view(wire.label(f"u{wire.linear_index}"), 0, self.units)
        v = z.view(wire.label(f"v{wire.linear_index}"), self.units, self.units)
        return wire.map(gates.gated_silu, (u, v), f"y{wire.linear_index}"), (z, u, v, saved)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        z, u, v, of_linear = saved
        dz = wire.buffer(f"d{z.name}", (BATCH, z.width))
        du = dz.view(wire.label(f"d{u.name}"), 0, self.units)
        dv = dz.view(wire.label(f"d{v.name}"), self.units, self.units)
        wire.maps(gates.gated_silu_vjp, (u, v, dy), (du, dv))
        return self._linear.backward(wire, of_linear, dz)

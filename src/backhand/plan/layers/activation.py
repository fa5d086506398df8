"""Activations as layers: element by element, with a learned strength or slope for each unit."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...formulas import scaling, sums
from ...formulas.activations import Activation, choose_activation
from ...formulas.initialisers import constant, ones
from ..buffers import Buffer
from ..wiring import Factors, Wiring
from .layer import Layer, known


@known
@dataclasses.dataclass(frozen=True)
class Activate(Layer):
    """``y = f(z)``; with a learned ``strength`` a (K,), ``y = (1 - a) z + a f(z)``.

    Parameters
    ----------
    activation : str or Activation
        f, by its name in `backhand.formulas.activations`.
    strength : bool
        Whether there is an a, which begins at 1 (RealMLP, Holzmueller et al. 2024).
    learning_rate, decay : float
        Factors of the learning rate and of weight decay for a.
    """

    kind = "activation"

    activation: Any
    strength: bool = False
    learning_rate: float = 1.0
    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "activation", choose_activation(self.activation))

    def forward(self, wire: Wiring, z: Buffer) -> tuple[Buffer, Any]:
        f: Activation = self.activation
        if f.kinks:
            wire.kinks.append((z, f.kinks))
        label = f"{'f' if self.strength else 'y'}{wire.linear_index}"
        y = wire.map(f.forward, (z,), label, f.parameters)
        if not self.strength:
            return y, (z, y, None)
        rates = Factors(self.learning_rate, self.decay)
        a = wire.parameter("a", (z.width,), ones, rates)
        return wire.map(scaling.blend, (z, y, a), f"y{wire.linear_index}"), (z, y, a)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        f: Activation = self.activation
        z, y, a = saved
        past = None
        if a is not None:
            rows = f"{a.name}_rows"
            if not wire.is_wanted(z):
                wire.gradient(a, wire.map(scaling.blend_vjp_strength, (z, y, dy), rows))
                return None
            outs = (f"d{z.name}", f"d{y.name}", rows)
            past, dy, da = wire.maps(scaling.blend_vjp, (z, y, a, dy), outs)
            wire.gradient(a, da)
        kept = {"z": z, "y": y}
        read = [kept[name] if name in f.saves else None for name in ("z", "y")]
        dz = wire.map(f.vjp, (*read, dy), f"d{z.name}", f.parameters)
        return dz if past is None else wire.map(sums.add, (past, dz), f"d{z.name}")


@known
@dataclasses.dataclass(frozen=True)
class PRelu(Layer):
    """``y = z`` above 0 and ``a z`` below, with a learned slope a (K,) (He et al. 2015).

    Parameters
    ----------
    slope : float
        Where a begins.
    """

    kind = "prelu"

    slope: float = 0.25

    def forward(self, wire: Wiring, z: Buffer) -> tuple[Buffer, Any]:
        a = wire.parameter("a", (z.width,), constant(self.slope), penalised=False)
        wire.kinks.append((z, (0.0,)))
        return wire.map(scaling.prelu, (z, a), f"y{wire.linear_index}"), (z, a)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        z, a = saved
        dz, da = wire.maps(scaling.prelu_vjp, (z, a, dy), (f"d{z.name}", f"{a.name}_rows"))
        wire.gradient(a, da)
        return dz if wire.is_wanted(z) else None

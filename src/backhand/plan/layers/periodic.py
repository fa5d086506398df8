"""Periodic embeddings of numbers: PBLD and PLR (Gorishniy et al. 2022, Holzmueller et al. 2024)."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from ...errors import InputError
from ...formulas import activations, sums, waves
from ...formulas.initialisers import normal, uniform
from ..buffers import BATCH, Buffer
from ..recording import Symbol
from ..wiring import Factors, Wiring
from .layer import Layer, known

BESIDE, RECTIFIED = "pbld", "plr"


@known
@dataclasses.dataclass(frozen=True)
class Periodic(Layer):
    """Each column of x (N, D) becomes ``width`` columns, (N, D * width).

    - "pbld": ``[x, cos(2 pi x w + b) @ v + c]``: the value itself, and width - 1 learned mixtures
      of waves, whose phases b are learned too.
    - "plr": ``relu([cos(2 pi x w), sin(2 pi x w)] @ v + c)``.

    Parameters
    ----------
    form : {"pbld", "plr"}
    frequencies : int
        Q: waves of each column.
    width : int
    sigma : float
        Frequencies w begin as N(0, sigma**2).
    learning_rate, decay : float
        Factors of the learning rate and of weight decay, of all parameters of the layer.
    """

    kind = "periodic"

    form: str = BESIDE
    frequencies: int = 16
    width: int = 4
    sigma: float = 0.1
    learning_rate: float = 1.0
    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form not in (BESIDE, RECTIFIED):
            raise InputError(
                f"{self.kind}: form must be {BESIDE!r} or {RECTIFIED!r}, got {self.form!r:.40}"
            )
        least = 2 if self.form == BESIDE else 1
        if self.width < least:
            raise InputError(
                f"{self.kind}: width must be at least {least} for {self.form!r}, got {self.width}"
            )

    @property
    def _waves(self) -> int:
        """Waves of each column: a cosine for each frequency, or a cosine and a sine."""
        return self.frequencies * (1 if self.form == BESIDE else 2)

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        columns, waved = x.width, self._waves
        mixed = self.width - (self.form == BESIDE)
        rates = Factors(self.learning_rate, self.decay)
        bound = uniform(1.0 / math.sqrt(waved))
        w = wire.parameter("freq", (columns, self.frequencies), normal(self.sigma), rates)
        phase = None
        if self.form == BESIDE:
            phase = wire.parameter("phase", (columns, waved), uniform(math.pi), rates)
        v = wire.parameter("mix", (columns, waved, mixed), bound, rates)
        c = wire.parameter("offset", (columns, mixed), bound, rates)
        each = _each(wire, x, 0, 1, 1)
        y = wire.buffer(f"embedded{wire.linear_index}", (BATCH, columns * self.width))
        if phase is not None:
            wave = wire.map(waves.cosine, (each, w, phase), f"wave{wire.linear_index}")
            wire.map(sums.copy, (each,), _each(wire, y, 0, 1, self.width))
            wire.product(Symbol(wave) @ Symbol(v) + Symbol(c), _each(wire, y, 1, mixed, self.width))
            return y, (x, each, (w, phase), v, c, wave, None)
        both = wire.buffer(f"wave{wire.linear_index}", (BATCH, columns * waved))
        wire.maps(waves.cosine_and_sine, (each, w), self._halves(wire, both))
        wave = _each(wire, both, 0, waved, waved)
        z = wire.product(Symbol(wave) @ Symbol(v) + Symbol(c), f"mixed{wire.linear_index}")
        wire.kinks.append((z, (0.0,)))
        rectified = wire.map(activations.relu, (z,), _each(wire, y, 0, mixed, mixed))
        return y, (x, each, (w,), v, c, wave, rectified)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        x, each, own, v, c, wave, rectified = saved
        mixed = v.width
        dz = _each(wire, dy, self.width - mixed, mixed, self.width)
        if rectified is not None:
            dz = wire.map(activations.relu_vjp, (None, rectified, dz), f"dmixed{wire.linear_index}")
        wire.gradient(v, Symbol(wave).T @ Symbol(dz))
        wire.gradient(c, dz)
        both = wire.buffer(f"d{wave.name}", (BATCH, x.width * self._waves))
        dwave = _each(wire, both, 0, self._waves, self._waves)
        wire.product(Symbol(dz) @ Symbol(v).T, dwave)
        beside = rectified is None
        read = (dwave,) if beside else self._halves(wire, both)
        vjp = waves.cosine_vjp if beside else waves.cosine_and_sine_vjp
        rows = wire.maps(vjp, (each, *own, *read), [f"{p.name}_rows" for p in own])
        for parameter, of_rows in zip(own, rows, strict=True):
            wire.gradient(parameter, of_rows)
        if not wire.is_wanted(x):
            return None
        dx = wire.buffer(f"d{x.name}", x.axes)
        part = _each(wire, dx, 0, 1, 1)
        past = wire.buffer(f"d{each.name}", each.axes) if beside else part
        vjp_input = waves.cosine_vjp_input if beside else waves.cosine_and_sine_vjp_input
        wire.maps(vjp_input, (each, *own, *read), (past,))
        if beside:
            wire.map(sums.add, (past, _each(wire, dy, 0, 1, self.width)), part)
        return dx

    def _halves(self, wire: Wiring, both: Buffer) -> tuple[Buffer, Buffer]:
        """The cosines and the sines of each column."""
        count, apart = self.frequencies, 2 * self.frequencies
        return _each(wire, both, 0, count, apart), _each(wire, both, count, count, apart)


def _each(wire: Wiring, buffer: Buffer, first: int, width: int, apart: int) -> Buffer:
    """(N, D, width): of each column's part of a buffer (N, D * apart), some from ``first`` on."""
    return buffer.view(
        wire.label(f"{buffer.name}_each"), first, width, buffer.width // apart, apart
    )

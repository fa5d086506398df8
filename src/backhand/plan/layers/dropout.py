"""Dropout: in training, each unit of each row is 0 with a given probability."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...errors import InputError
from ...formulas import noise
from ...formulas.entry import as_float
from ..buffers import Buffer
from ..wiring import Wiring
from .layer import Layer, known


@known
@dataclasses.dataclass(frozen=True)
class Dropout(Layer):
    """What is kept is scaled up by ``1 / (1 - rate)`` (Srivastava et al. 2014, inverted).

    Parameters
    ----------
    rate : float
        From 0 up to, not including, 1. It is a per-step scalar, so it may follow a schedule.
    """

    kind = "dropout"
    letter = "h"

    rate: float

    def __post_init__(self) -> None:
        rate = as_float(self.rate)
        if not 0 <= rate < 1:
            raise InputError(
                f"dropout must be a number from 0 up to, not including, 1, got {self.rate!r:.40}"
            )
        object.__setattr__(self, "rate", rate)

    def forward(self, wire: Wiring, y: Buffer) -> tuple[Buffer, Any]:
        if not wire.training or self.rate == 0:
            return y, None
        words = wire.noise(y.axes)
        given = "dropout", self.rate
        scalars = (
            ("threshold", wire.scalar("threshold", *given, noise.threshold, "word")),
            ("scale", wire.scalar("scale", *given, noise.kept_scale, "real")),
        )
        h = wire.map(noise.dropout, (y, words), f"h{wire.linear_index}", scalars=scalars)
        return h, (y, words, scalars)

    def backward(self, wire: Wiring, saved: Any, dh: Buffer) -> Buffer | None:
        if saved is None:
            return dh
        y, words, scalars = saved
        if not wire.is_wanted(y):
            return None
        return wire.map(noise.dropout_vjp, (dh, words), f"d{y.name}", scalars=scalars)

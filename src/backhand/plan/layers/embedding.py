"""Category embedding: a learned row for each value of a column."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...errors import InputError
from ...formulas import sums
from ...formulas.initialisers import normal
from ..buffers import BATCH, Buffer
from ..nodes import Lookup, ScatterAdd
from ..wiring import Factors, Wiring
from .layer import Layer, known

MOST_VALUES = 1 << 24
"""Whole numbers up to here are exact in float32, in which a network may hold its inputs."""


@known
@dataclasses.dataclass(frozen=True)
class Embedding(Layer):
    """``y[n] = table[x[n]]``: x (N, 1) holds whole numbers from 0 to ``values`` - 1.

    Parameters
    ----------
    values : int
        C: rows of the table. A number beyond is an error when rows enter.
    width : int
        K: the table is (C, K), and y is (N, K).
    sigma : float
        It begins as N(0, sigma**2).
    learning_rate, decay : float
        Factors of the learning rate and of weight decay for the table.
    """

    kind = "embedding"

    values: int
    width: int
    sigma: float = 1.0
    learning_rate: float = 1.0
    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.values > MOST_VALUES:
            raise InputError(f"embedding: values must be at most {MOST_VALUES}, got {self.values}")

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        rates = Factors(self.learning_rate, self.decay)
        table = wire.parameter("table", (self.values, self.width), normal(self.sigma), rates)
        wire.whole_numbers(x, self.values)
        y = wire.buffer(f"embedded{wire.linear_index}", (BATCH, self.width))
        wire.add(Lookup(table, x, y))
        return y, (x, table)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        x, table = saved
        wire.gradient(table, lambda out: ScatterAdd(dy, x, out))
        return wire.map(sums.nothing, (x,), f"d{x.name}") if wire.is_wanted(x) else None

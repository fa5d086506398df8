"""Paths that part and meet: residual blocks, and branches side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ...errors import InputError
from ...formulas import sums
from ..buffers import Buffer
from ..wiring import Wiring
from .layer import Layer, backward_all, forward_all, known


@known
@dataclasses.dataclass(frozen=True)
class Residual(Layer):
    """``y = x + f(x)`` for layers f that leave the width as it is (He et al. 2016).

    Parameters
    ----------
    layers : sequence of Layer
    """

    kind = "residual"

    layers: Sequence[Layer]

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        f, tape = forward_all(wire, self.layers, x)
        if f.axes != x.axes:
            raise InputError(f"a residual block needs equal widths: {x} goes in, {f} comes out")
        return wire.map(sums.add, (x, f), f"sum{wire.linear_index}"), (x, tape)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        x, tape = saved
        df = backward_all(wire, self.layers, tape, dy)
        return wire.sum(f"d{x.name}", (dy, df)) if wire.is_wanted(x) else None


@known
@dataclasses.dataclass(frozen=True)
class Columns(Layer):
    """Layers that see only some columns of their input.

    Parameters
    ----------
    first, width : int
        The columns from ``first`` on.
    layers : sequence of Layer
        What follows; none passes the columns on as they are.
    """

    kind = "columns"
    least = {"first": 0}  # noqa: RUF012

    first: int
    width: int
    layers: Sequence[Layer] = ()

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        some = x.view(wire.label(f"{x.name}_columns"), self.first, self.width)
        y, tape = forward_all(wire, self.layers, some)
        return y, (x, tape)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        x, tape = saved
        some = backward_all(wire, self.layers, tape, dy)
        if some is None or not wire.is_wanted(x):
            return None
        return wire.padded(f"d{x.name}", some, self.first, x)


@known
@dataclasses.dataclass(frozen=True)
class Concat(Layer):
    """Branches that read the same input, with their results side by side, copied nowhere.

    Parameters
    ----------
    branches : sequence of Layer
        Such as `Columns`; `Chain` makes one of several layers.
    """

    kind = "concat"

    branches: Sequence[Layer]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.branches:
            raise InputError("concat: branches are needed, one at least")

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        results, tapes = [], []
        for branch in self.branches:
            y, tape = forward_all(wire, [branch], x)
            results.append(y)
            tapes.append(tape)
        return wire.join(f"joined{wire.linear_index}", results), (x, results, tapes)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        x, results, tapes = saved
        first = sum(y.width for y in results)
        found = []
        for branch, y, tape in zip(*map(reversed, (self.branches, results, tapes)), strict=True):
            first -= y.width
            if wire.is_wanted(y):
                part = dy.view(wire.label(f"d{y.name}"), first, y.width)
                found.append(backward_all(wire, [branch], tape, part))
        return wire.sum(f"d{x.name}", found) if wire.is_wanted(x) else None


@known
@dataclasses.dataclass(frozen=True)
class Chain(Layer):
    """Layers one after another, as one layer."""

    kind = "chain"

    layers: Sequence[Layer]

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        return forward_all(wire, self.layers, x)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        return backward_all(wire, self.layers, saved, dy)

"""Ensembles within a network: k members that share weights (Wen et al. 2020, TabM of 2024).

The members' rows lie side by side in (N, k, K). The loss of the network is the mean of its
members' losses, and its prediction the mean of their predictions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ...errors import InputError
from ...formulas import scaling
from ...formulas.initialisers import (
    Draw,
    of_groups,
    ones,
    random_signs,
    same_for_members,
    standard_normal,
    uniform_by_inputs,
)
from ..buffers import BATCH, Buffer
from ..nodes import MemberSum
from ..recording import Symbol
from ..wiring import Wiring
from .layer import Layer, known
from .scale import scale_backward

STARTS: dict[str, Draw] = {"ones": ones, "signs": random_signs, "normal": standard_normal}
"""How the members' factors begin."""


def _check_start(layer: MemberScale | BatchEnsemble) -> None:
    if layer.start not in STARTS:
        raise InputError(
            f"{layer.kind}: start must be one of {', '.join(STARTS)}, got {layer.start!r:.40}"
        )


def _factors(wire: Wiring, layer: MemberScale | BatchEnsemble, x: Buffer) -> Buffer:
    """r (k, D), the factors of the members' inputs."""
    draw, groups = STARTS[layer.start], layer.groups
    if groups and sum(groups) != x.width:
        raise InputError(f"{layer.kind}: groups of {sum(groups)} columns in all do not go with {x}")
    if groups and draw is not ones:
        draw = of_groups(draw, tuple(groups))
    return wire.parameter("r", (layer.members, x.width), draw, penalised=False)


def _apart(wire: Wiring, x: Buffer) -> Buffer:
    """(N, K) as (N, 1, K), which goes with factors of k members; (N, k, K) as it is."""
    return x if len(x.axes) == 3 else x.view(wire.label(f"{x.name}_all"), 0, x.width, 1)


def _scale_backward(wire: Wiring, x: Buffer, every: Buffer, r: Buffer, dy: Buffer) -> Buffer | None:
    """As `scale_backward`; the gradient at x (N, D) is the sum of its members'."""
    dx = scale_backward(wire, every, r, dy, wanted=wire.is_wanted(x))
    if dx is None or len(x.axes) == 3:
        return dx
    out = wire.buffer(f"d{x.name}", (BATCH, x.width))
    wire.add(MemberSum(dx, out))
    return out


@known
@dataclasses.dataclass(frozen=True)
class MemberScale(Layer):
    """``y[m] = x * r[m]``: where the members' ways part; x (N, D) or (N, k, D), r (k, D).

    Parameters
    ----------
    members : int
        k.
    start : {"signs", "normal", "ones"}
        How r begins: random signs, N(0, 1), or 1.
    groups : sequence of int
        How many neighbouring columns belong to one column of the table; they share the factor with
        which they begin. Empty: each is one of its own.
    """

    kind = "member_scale"

    members: int
    start: str = "signs"
    groups: Sequence[int] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_start(self)

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        r, every = _factors(wire, self, x), _apart(wire, x)
        return wire.map(scaling.scale, (every, r), f"scaled{wire.linear_index}"), (x, every, r)

    def backward(self, wire: Wiring, saved: Any, dy: Buffer) -> Buffer | None:
        x, every, r = saved
        return _scale_backward(wire, x, every, r, dy)


@known
@dataclasses.dataclass(frozen=True)
class MemberLinear(Layer):
    """``z[m] = x[m] @ w[m] + b[m]``: a linear layer of its own for each member, such as the heads.

    Parameters
    ----------
    members, units : int
        x (N, k, D), w (k, D, K), b (k, K) -> z (N, k, K).
    """

    kind = "member_linear"
    letter = "z"

    members: int
    units: int

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        if x.axes[1:-1] != (self.members,):
            raise InputError(
                f"a linear layer of each of {self.members} members takes (N, {self.members}, D), "
                f"not {x}: put a MemberScale or BatchEnsemble in front"
            )
        wire.linear_index += 1
        draw = uniform_by_inputs(x.width)
        w = wire.parameter("w", (self.members, x.width, self.units), draw)
        b = wire.parameter("b", (self.members, self.units), draw, penalised=False)
        z = wire.product(Symbol(x) @ Symbol(w) + Symbol(b), f"z{wire.linear_index}")
        return z, (x, w, b)

    def backward(self, wire: Wiring, saved: Any, dz: Buffer) -> Buffer | None:
        x, w, b = saved
        wire.gradient(w, Symbol(x).T @ Symbol(dz))
        wire.gradient(b, dz)
        if not wire.is_wanted(x):
            return None
        return wire.product(Symbol(dz) @ Symbol(w).T, f"d{x.name}")


@known
@dataclasses.dataclass(frozen=True)
class BatchEnsemble(Layer):
    """``z[m] = ((x[m] * r[m]) @ w) * s[m] + b[m]``: members share w (D, K).

    Parameters
    ----------
    members, units : int
        x (N, D) or (N, k, D), r (k, D), s and b (k, K) -> z (N, k, K).
    start : {"ones", "signs", "normal"}
        How r begins: with 1, or, where the members' ways part, at random.
    groups : sequence of int
        As of `MemberScale`.
    """

    kind = "batch_ensemble"
    letter = "z"

    members: int
    units: int
    start: str = "ones"
    groups: Sequence[int] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_start(self)

    def forward(self, wire: Wiring, x: Buffer) -> tuple[Buffer, Any]:
        wire.linear_index += 1
        shape = self.members, self.units
        r, every = _factors(wire, self, x), _apart(wire, x)
        w = wire.parameter("w", (x.width, self.units), uniform_by_inputs(x.width))
        s = wire.parameter("s", shape, ones, penalised=False)
        b = wire.parameter("b", shape, same_for_members(x.width), penalised=False)
        a = wire.map(scaling.scale, (every, r), f"scaled{wire.linear_index}")
        v = wire.product(Symbol(a) @ Symbol(w), f"v{wire.linear_index}")
        z = wire.map(scaling.scale_and_shift, (v, s, b), f"z{wire.linear_index}")
        return z, (x, every, a, v, r, w, s, b)

    def backward(self, wire: Wiring, saved: Any, dz: Buffer) -> Buffer | None:
        x, every, a, v, r, w, s, b = saved
        dv = scale_backward(wire, v, s, dz)
        assert dv is not None
        wire.gradient(w, Symbol(a).T @ Symbol(dv))
        wire.gradient(b, dz)
        da = wire.product(Symbol(dv) @ Symbol(w).T, f"d{a.name}")
        return _scale_backward(wire, x, every, r, da)

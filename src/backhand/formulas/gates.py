"""Gates: one half of a layer's units decides how much of the other half passes."""

from __future__ import annotations

from .activations import logistic
from .namespace import XP, Array


def gated_silu(xp: XP, u: Array, v: Array) -> Array:
    # SwiGLU without its products (Shazeer 2020): u * silu(v)
    return u * (v * logistic(xp, v))


def gated_silu_vjp(xp: XP, u: Array, v: Array, dy: Array) -> tuple[Array, Array]:
    # du, dv; silu' = s + silu (1 - s)
    s = logistic(xp, v)
    silu = v * s
    return dy * silu, dy * u * (s + silu * (1.0 - s))

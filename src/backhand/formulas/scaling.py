"""Learned factors and slopes, element by element; row vectors broadcast over the rows."""

from __future__ import annotations

from .namespace import XP, Array


def scale(xp: XP, x: Array, s: Array) -> Array:
    return x * s


def scale_vjp(xp: XP, x: Array, s: Array, dy: Array) -> tuple[Array, Array]:
    # dx, and each row's part of ds
    return dy * s, dy * x


def scale_vjp_factor(xp: XP, x: Array, dy: Array) -> Array:
    # each row's part of ds, where nobody needs dx
    return dy * x


def scale_and_shift(xp: XP, x: Array, s: Array, b: Array) -> Array:
    # backward as `scale`; the derivative by b is the identity
    return x * s + b


def blend(xp: XP, z: Array, f: Array, a: Array) -> Array:
    # (1 - a) z + a f(z): RealMLP's activation of learned strength (Holzmueller et al. 2024)
    return z + a * (f - z)


def blend_vjp(xp: XP, z: Array, f: Array, a: Array, dy: Array) -> tuple[Array, Array, Array]:
    # by z (beside what comes through f), by f, and each row's part of da
    through = dy * a
    return dy - through, through, dy * (f - z)


def blend_vjp_strength(xp: XP, z: Array, f: Array, dy: Array) -> Array:
    # each row's part of da, where nobody needs dz
    return dy * (f - z)


def prelu(xp: XP, z: Array, a: Array) -> Array:
    # He et al. 2015: a slope for negative z that is learned
    return xp.where(z > 0, z, a * z)


def prelu_vjp(xp: XP, z: Array, a: Array, dy: Array) -> tuple[Array, Array]:
    # dz, and each row's part of da; at z = 0 the slope is a, as torch.nn.functional.prelu
    return xp.where(z > 0, dy, a * dy), xp.where(z > 0, 0.0, dy * z)

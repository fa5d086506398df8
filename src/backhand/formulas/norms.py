"""Norms of a row, over its K columns, with learned factors and shifts (K,)."""

from __future__ import annotations

from .namespace import XP, Array


def layer_norm(xp: XP, x: Array, g: Array, b: Array, width: float, epsilon: float) -> Array:
    # Ba et al. 2016; the population's variance, epsilon inside the root, as torch.nn.LayerNorm
    centred = x - xp.row_sum(x) / width
    variance = xp.row_sum(centred * centred) / width
    return centred / xp.sqrt(variance + epsilon) * g + b


def layer_norm_vjp(
    xp: XP, x: Array, g: Array, dy: Array, width: float, epsilon: float
) -> tuple[Array, Array]:
    # dx, and each row's part of dg; that of db is dy
    centred = x - xp.row_sum(x) / width
    spread = xp.sqrt(xp.row_sum(centred * centred) / width + epsilon)
    unit, scaled = centred / spread, dy * g
    mean, along = xp.row_sum(scaled) / width, xp.row_sum(scaled * unit) / width
    return (scaled - mean - unit * along) / spread, dy * unit


def rms_norm(xp: XP, x: Array, g: Array, width: float, epsilon: float) -> Array:
    # Zhang and Sennrich 2019; epsilon inside the root, as torch.nn.RMSNorm
    return x / xp.sqrt(xp.row_sum(x * x) / width + epsilon) * g


def rms_norm_vjp(
    xp: XP, x: Array, g: Array, dy: Array, width: float, epsilon: float
) -> tuple[Array, Array]:
    # dx, and each row's part of dg
    spread = xp.sqrt(xp.row_sum(x * x) / width + epsilon)
    unit, scaled = x / spread, dy * g
    return (scaled - unit * (xp.row_sum(scaled * unit) / width)) / spread, dy * unit

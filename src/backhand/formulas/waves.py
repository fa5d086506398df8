"""Periodic features of numbers: waves of learned frequency and phase (Gorishniy et al. 2022)."""

from __future__ import annotations

import math

from .namespace import XP, Array

TURN = 1.0 / (2.0 * math.pi)  # turns in a radian


def cosine(xp: XP, x: Array, w: Array, b: Array) -> Array:
    # cos(2 pi w x + b) with b in radians, as RealMLP has it
    return xp.cos_turns(w * x + b * TURN)


def cosine_vjp(xp: XP, x: Array, w: Array, b: Array, dy: Array) -> tuple[Array, Array]:
    # each row's part of dw and of db
    db = -(dy * xp.sin_turns(w * x + b * TURN))
    return db * (x * (2.0 * math.pi)), db


def cosine_vjp_input(xp: XP, x: Array, w: Array, b: Array, dy: Array) -> Array:
    # the sum over the frequencies of a column: dx (N, 1)
    return xp.row_sum(dy * xp.sin_turns(w * x + b * TURN) * (w * (-2.0 * math.pi)))


def cosine_and_sine(xp: XP, x: Array, w: Array) -> tuple[Array, Array]:
    u = w * x
    return xp.cos_turns(u), xp.sin_turns(u)


def cosine_and_sine_vjp(xp: XP, x: Array, w: Array, dcos: Array, dsin: Array) -> Array:
    # each row's part of dw
    u = w * x
    return (dsin * xp.cos_turns(u) - dcos * xp.sin_turns(u)) * (x * (2.0 * math.pi))


def cosine_and_sine_vjp_input(xp: XP, x: Array, w: Array, dcos: Array, dsin: Array) -> Array:
    # the sum over the frequencies of a column: dx (N, 1)
    u = w * x
    du = dsin * xp.cos_turns(u) - dcos * xp.sin_turns(u)
    return xp.row_sum(du * (w * (2.0 * math.pi)))

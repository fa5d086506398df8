"""Piecewise-linear features of numbers: which bin, how far into it, and what that makes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import InputError
from .namespace import XP, Array

Edges = tuple[tuple[float, ...], ...]

FAR = 3.4e38
"""An edge that no number reaches: nearly the largest of float32."""


def which(xp: XP, x: Array, edges: Array) -> Array:
    # the number of inner edges at or below x: (N, 1) and (K,) -> (N, 1); a bin from 0 on
    return xp.row_sum(xp.where(x >= edges, 1.0, 0.0))


def part(xp: XP, x: Array, low: Array, inverse: Array) -> Array:
    # how far x is into its bin: 0 at its left edge, 1 at its right one
    return (x - low) * inverse


def embedded(xp: XP, x: Array, w: Array, c: Array, part: Array, upto: Array, step: Array) -> Array:
    # ``upto`` are the sums of the bins up to and with the one that x is in, ``step`` is its own
    return w * x + c + (upto + (part - 1.0) * step)


def embedded_vjp(xp: XP, x: Array, part: Array, dy: Array) -> tuple[Array, Array]:
    # each row's part of dw, and d(step)
    return dy * x, dy * (part - 1.0)


def embedded_vjp_input(xp: XP, w: Array, inverse: Array, step: Array, dy: Array) -> Array:
    return xp.row_sum(dy * (w + step * inverse))


def checked_edges(edges: Any) -> Edges:
    """Edges as tuples of floats. Raises InputError unless they increase, two or more a column."""
    try:
        found = tuple(tuple(map(float, column)) for column in edges)
    except (TypeError, ValueError):
        raise InputError(f"edges must be numbers for each column, got {edges!r:.60}") from None
    if not found:
        raise InputError("edges of bins are needed for one column at least")
    for number, column in enumerate(found):
        rising = all(a < b for a, b in itertools.pairwise(column))
        if len(column) < 2 or not rising or not all(map(math.isfinite, column)):
            raise InputError(
                f"edges of column {number} must be two or more finite numbers that increase, "
                f"got {column!r:.60}"
            )
    return found


def inner_edges(edges: Edges) -> Callable[[Any, tuple[int, ...]], Any]:
    """The edges between bins (D, T - 1) as a constant; a column with fewer has `FAR` ones."""

    def draw(rng: Any, shape: tuple[int, ...]) -> list[list[float]]:
        return [_filled(column[1:-1], shape[1], FAR) for column in edges]

    return draw


def spans(edges: Edges) -> Callable[[Any, tuple[int, ...]], Any]:
    """The left edge and the inverse width of each bin, (D, T, 2), as a constant."""

    def draw(rng: Any, shape: tuple[int, ...]) -> list[list[list[float]]]:
        found = []
        for column in edges:
            bins = [[a, 1.0 / (b - a)] for a, b in itertools.pairwise(column)]
            found.append(bins + [[0.0, 0.0]] * (shape[1] - len(bins)))
        return found

    return draw


def _filled(values: Sequence[float], length: int, rest: float) -> list[float]:
    return [*values, *[rest] * (length - len(values))]

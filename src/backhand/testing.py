"""Assertions for people who write formulas. A failure shows both values and the worst element."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

RTOL, ATOL = 1e-3, 1e-5


@dataclasses.dataclass(frozen=True)
class Worst:
    """The element in which two arrays differ most, measured against what was allowed.

    Attributes
    ----------
    ratio : float
        ``|got - want| / (atol + rtol * |want|)`` of that element: above 1 is a failure, and
        infinite where exactly one side is NaN or infinite, or where signs of infinity differ.
    index : tuple of int
    got, want : float
        Its two values.
    """

    ratio: float
    index: tuple[int, ...]
    got: float
    want: float

    def __str__(self) -> str:
        place = list(self.index) if self.index else "the scalar"
        return f"{place}: got {self.got!r}, want {self.want!r}"


def worst_element(got: Any, want: Any, rtol: float = RTOL, atol: Any = ATOL) -> Worst:
    """Find the element in which ``got`` is farthest from ``want``; shapes must be equal.

    ``atol`` may be an array with what is allowed for each element.
    """
    a, b = np.asarray(got), np.asarray(want)
    if a.shape != b.shape:
        raise AssertionError(f"shapes differ: got {a.shape}, want {b.shape}")
    if a.size == 0:
        return Worst(0.0, (), 0.0, 0.0)
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    same = (a64 == b64) | (np.isnan(a64) & np.isnan(b64))
    comparable = np.isfinite(a64) & np.isfinite(b64)
    error = np.abs(np.where(comparable, a64, 0.0) - np.where(comparable, b64, 0.0))
    allowed = atol + rtol * np.where(comparable, np.abs(b64), 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(comparable, np.where(error > 0, error / allowed, 0.0), np.inf)
    ratio = np.where(same, 0.0, ratio)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), a.shape))
    return Worst(float(ratio[index]), index, float(a64[index]), float(b64[index]))


def assert_near(got: Any, want: Any, rtol: float = RTOL, atol: float = ATOL) -> None:
    """Assert ``|got - want| <= atol + rtol * |want|`` for every element.

    Parameters
    ----------
    got, want : array_like
        Of the same shape. NaN equals NaN, and infinities of the same sign are equal.
    rtol, atol : float
        Relative and absolute tolerance.

    Raises
    ------
    AssertionError
        With the worst element, its index and both values.
    """
    worst = worst_element(got, want, rtol, atol)
    if not worst.ratio <= 1:
        raise AssertionError(
            f"not near (rtol {rtol:g}, atol {atol:g}); worst element {worst} "
            f"({worst.ratio:.3g} times what is allowed)\n got:\n{got}\n want:\n{want}"
        )


def assert_near_zero(a: Any, atol: float = ATOL) -> None:
    """Assert ``|a| <= atol`` for every element; else AssertionError with the worst one."""
    assert_near(a, np.zeros_like(np.asarray(a)), rtol=0.0, atol=atol)


def assert_shape(x: Any, shape: tuple[int, ...]) -> None:
    """Assert that ``x`` has a shape, in which -1 stands for any size.

    Raises
    ------
    AssertionError
        With both shapes.
    """
    got = tuple(x.shape)
    fits = len(got) == len(shape) and all(w in (-1, g) for g, w in zip(got, shape, strict=True))
    if not fits:
        raise AssertionError(f"shape: got {got}, want {tuple(shape)} (-1 is any size)")

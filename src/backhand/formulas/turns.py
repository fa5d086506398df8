"""The cosine and sine of angles in turns, for every backend: how `namespace` means them.

Both are the sine of a quarter turn at most. What is left of an angle without its whole turns, and
the distance from the nearest zero, are differences of floats that are exact, so a result keeps its
digits near a zero and at any size of the angle. (A cosine above sqrt(1/2) is the sine of a distance
that is rounded, which costs half a unit in the last place.)

``xp`` must have ``round`` (to the nearest whole number, half to even), ``where`` and, for the last
two functions, ``sin``: NumPy, PyTorch and autograd have them. Rounding has the slope 0 there, and
``where`` has that of the side it takes, so these formulas can be differentiated as often as needed.
"""

from __future__ import annotations

import math
from typing import Any

from .namespace import Array


def of_cosine(xp: Any, a: Array) -> Array:
    """Give s, from -1/4 to 1/4, with ``sin(2 pi s) = cos(2 pi a)``."""
    r = a - xp.round(a)
    return xp.where(r < 0.0, 0.25 + r, 0.25 - r)


def of_sine(xp: Any, a: Array) -> Array:
    """Give s, from -1/4 to 1/4, with ``sin(2 pi s) = sin(2 pi a)``."""
    r = a - xp.round(a)
    return xp.where(r > 0.25, 0.5 - r, xp.where(r < -0.25, -0.5 - r, r))


def cosine(xp: Any, a: Array) -> Array:
    return xp.sin(math.tau * of_cosine(xp, a))


def sine(xp: Any, a: Array) -> Array:
    return xp.sin(math.tau * of_sine(xp, a))

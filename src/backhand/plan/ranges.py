"""What enters a network: arrays of numbers, of values that its dtype can hold.

What is no number, or is beyond the dtype, is reported with its place and never computed with.
"""

from __future__ import annotations

import decimal
import math
import numbers
import warnings
from typing import Any

import numpy as np

from ..errors import InputError, first_line

Array = Any

ROWS_AT_ONCE = 4096  # rows that are searched for the value to report: bounds the memory
MOST_SQUARED = float(np.finfo("float32").max) ** 2  # the square of what float32 just holds
FLOATS = {name: np.dtype(name) for name in ("float32", "float64")}
SQUARED_AT_ONCE = 8192  # numbers; from some more on, BLAS libraries wake threads
SAFE_EXPONENT = 60  # weights whose largest lies within 2**-60 to 2**60 are left as they are


def as_numbers(a: Any, name: str) -> Array:
    """``a`` as a NumPy array of real numbers; it is not copied if it is one.

    Parameters
    ----------
    a : array-like
    name : str
        What the message calls it.

    Raises
    ------
    InputError
        If it is no array, has masked elements, or holds something else than real numbers.
    """
    check_unmasked(a, name)
    if hasattr(a, "tocoo"):
        raise InputError(f"{name} is sparse, and every element is needed: pass its toarray()")
    try:
        array = np.asarray(a)
        if array.dtype.kind == "O" and all(
            isinstance(value, (numbers.Real, decimal.Decimal)) for value in array.flat
        ):
            array = array.astype(np.float64)
    except Exception as error:  # whatever somebody's array-like raises when asked for an array
        raise InputError(f"{name} is no array of numbers: {first_line(error)}") from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} has dtype {array.dtype}: real numbers are needed")
    return array


def check_unmasked(a: Any, name: str) -> None:
    """Raise InputError if any element of an array is masked: it would count as a number."""
    mask = np.ma.getmask(a) if isinstance(a, np.ma.MaskedArray) else np.ma.nomask
    if mask.dtype == bool and mask.any():  # those of records have fields
        raise InputError(f"{name} has masked elements: fill them, or leave their rows out")


def check_range(a: Array, dtype: Any, name: str) -> None:
    """Raise InputError if a finite value becomes infinite in ``dtype``; it names value and place.

    Parameters
    ----------
    a : array or SciPy sparse matrix of numbers
        Values that are not finite already are for others to report.
    dtype : {"float32", "float64"}
        What the values are to be converted to.
    name : str
        What the message calls the array.
    """
    stored = a.data if hasattr(a, "tocoo") else a
    kind = stored.dtype
    if kind == FLOATS[dtype] or kind == FLOATS["float32"] or kind.kind in "biu":
        return
    if kind == FLOATS["float64"] and squares_within(stored, MOST_SQUARED):
        return
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(stored), ROWS_AT_ONCE) if stored.ndim else ():
            part = np.asarray(stored[first : first + ROWS_AT_ONCE])
            beyond = np.isinf(part.astype(dtype)) & np.isfinite(part)
            if beyond.any():
                at = int(np.flatnonzero(beyond)[0])
                place = place_of(a, at + first * (part.size // len(part)))
                raise _beyond(float(part.flat[at]), place, dtype, name)


def squares_within(a: Array, most: float) -> bool:
    """Whether sums of squares show, in one pass, that every element is finite and within a limit.

    No means nothing: the array may lie in memory in an order that makes the pass slow.

    Parameters
    ----------
    a : array of native floats
    most : float
        The square of the limit.
    """
    if not a.flags.forc:
        return False
    flat = a.reshape(-1, order="A")
    if flat.size <= SQUARED_AT_ONCE:
        return float(np.vdot(flat, flat)) <= most  # a float32 would overflow on the right
    parts = (flat[i : i + SQUARED_AT_ONCE] for i in range(0, flat.size, SQUARED_AT_ONCE))
    return all(float(np.vdot(part, part)) <= most for part in parts)


def place_of(a: Array, number: int) -> tuple[int, ...]:
    """Row and column of an element: of dense arrays by its number in C order, of sparse in data."""
    if hasattr(a, "tocoo"):
        entries = a.tocoo()
        return int(entries.row[number]), int(entries.col[number])
    return tuple(map(int, np.unravel_index(number, a.shape)))


def _beyond(value: float, place: tuple[int, ...], dtype: Any, name: str) -> InputError:
    row, *rest = place
    where = f"row {row}" + "".join(f", column {column}" for column in rest)
    return InputError(
        f"{name} is {value:.6g} in {where}, beyond what {np.dtype(dtype)} holds "
        f"({float(np.finfo(dtype).max):.2g}): scale it, or compute in float64 (dtype='float64')"
    )


def power_of_two(largest: float) -> int:
    """The exponent of the power of 2 that weights are multiplied by; 0 for those of usual size."""
    exponent = -math.frexp(largest)[1] if largest > 0 else 0
    return exponent if abs(exponent) > SAFE_EXPONENT else 0


def usable_weight(weight: Array, dtype: Any, name: str = "sample_weight") -> tuple[Array, int]:
    """Sample weights as ``dtype`` holds them, and the power of 2 by which they were multiplied.

    The loss is a mean by weight, so a common factor changes nothing; a penalty that is divided by
    the weight of a batch has to be multiplied by ``2.0 ** exponent`` too. A factor is only taken
    where the weights, or their sums, could leave the range of the dtype.

    Parameters
    ----------
    weight : array (N,) or (N, 1)
        Finite and at least 0, not all 0.
    dtype : {"float32", "float64"}
    name : str
        What a message calls them.

    Returns
    -------
    weight : array of the same shape, of ``dtype``
    exponent : int
        0 for weights of usual size.

    Warns
    -----
    UserWarning
        If a weight above 0 is so small beside the largest that it counts as 0: the message names
        value and row.
    """
    weight = np.asarray(weight)
    wide = weight.astype(np.float64, copy=False)
    largest = float(wide.max(initial=0.0))
    exponent = power_of_two(largest)
    scaled = np.ldexp(wide, exponent).astype(dtype) if exponent else weight.astype(dtype)
    lost = (scaled < np.finfo(dtype).tiny) & (wide > 0)
    if lost.any():
        row = int(np.argwhere(lost)[0][0])
        warnings.warn(
            f"{name} of row {row} is {float(wide[lost][0]):.3g}, which counts as 0 in "
            f"{np.dtype(dtype)} beside the largest, {largest:.3g}: leave such rows out, or compute "
            "in float64 (dtype='float64')",
            UserWarning,
            stacklevel=2,
        )
        scaled[lost] = 0
    return scaled, exponent

"""What the dtype of a network can hold: values beyond it are reported, never computed with."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..errors import InputError

Array = Any

ROWS_AT_ONCE = 4096  # rows that are searched for the value to report: bounds the memory
MOST_SQUARED = {"float32": float(np.finfo("float32").max) ** 2, "float64": math.inf}
SAFE_EXPONENT = 60  # weights whose largest lies within 2**-60 to 2**60 are left as they are


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
    if stored.dtype == np.float64 and stored.flags.c_contiguous:
        flat = stored.reshape(-1)
        if np.dot(flat, flat) <= MOST_SQUARED[str(dtype)]:  # then no single square is larger
            return
    elif stored.dtype.kind in "biu" or (stored.dtype == np.float32 and stored.dtype.isnative):
        return
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(stored), ROWS_AT_ONCE) if stored.ndim else ():
            part = np.asarray(stored[first : first + ROWS_AT_ONCE])
            beyond = np.isinf(part.astype(dtype)) & np.isfinite(part)
            if beyond.any():
                raise _beyond(a, tuple(np.argwhere(beyond)[0]), first, part, dtype, name)


def _beyond(
    a: Array, at: tuple[int, ...], first: int, part: Array, dtype: Any, name: str
) -> InputError:
    """The error for the element ``at`` of a part that begins at row ``first``."""
    value = part[at]
    row, *rest = first + int(at[0]), *map(int, at[1:])
    if hasattr(a, "tocoo"):  # `first` and `at` count its stored entries
        entries = a.tocoo()
        row, *rest = int(entries.row[row]), int(entries.col[row])
    place = f"row {row}" + "".join(f", column {column}" for column in rest)
    return InputError(
        f"{name} is {float(value):.6g} in {place}, beyond what {np.dtype(dtype)} holds "
        f"({float(np.finfo(dtype).max):.2g}): scale it, or compute in float64 (dtype='float64')"
    )


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
    exponent = -math.frexp(largest)[1] if largest > 0 else 0
    if abs(exponent) <= SAFE_EXPONENT:
        exponent = 0
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

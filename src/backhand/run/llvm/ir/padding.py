"""How far apart the rows of a buffer lie: whole vectors of any instruction set."""

from __future__ import annotations

from .. import tuning

PAD = 16  # elements; a whole number of vectors of any instruction set


def padded_columns(columns: int) -> int:
    """Columns rounded up to whole vectors of any instruction set."""
    return -(-columns // PAD) * PAD


def padded(columns: int, itemsize: int) -> int:
    """The row stride, in elements, of a buffer with this many columns."""
    stride = padded_columns(columns)
    return stride + PAD if stride * itemsize % tuning.PAGE == 0 else stride

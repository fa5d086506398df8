"""Formulas that call ``.sum()`` on an array, traced: of one row there is only its part of a sum."""

from __future__ import annotations

from typing import Any


class Summable:
    """A traced value whose sum is one that a formula does not see: over its row, or the batch.

    Parameters
    ----------
    value : Value
    xp : Trace, optional
        What sums over the row.
    total : Value, optional
        The sum over the batch, if it is known.
    """

    def __init__(self, value: Any, xp: Any = None, total: Any = None) -> None:
        self.value, self._xp, self._total = value, xp, total

    def sum(self) -> Any:
        """The batch's sum if it is known, else this row's part of it."""
        return self._xp.row_sum(self.value) if self._total is None else self._total

    def __mul__(self, other: Any) -> Summable:
        return Summable(self.value * plain(other), self._xp, self._total)

    def __truediv__(self, other: Any) -> Summable:
        return Summable(self.value / plain(other), self._xp, self._total)


def plain(value: Any) -> Any:
    """What a `Summable` holds; other values as they are."""
    return value.value if isinstance(value, Summable) else value

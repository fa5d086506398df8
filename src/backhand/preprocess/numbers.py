"""Columns of numbers.

==================== ======================================================== ====================
training rows have   it becomes                                               that is
==================== ======================================================== ====================
many values          robustly scaled with a smooth clip                       a number
a heavy tail         the same, and standardised as well                       and an indicator
two values           -1 and 1, what is between in between                     an indicator
missing values       0 (of many values that is the median), and whether       and an indicator
                     they are missing, if a few rows miss one
==================== ======================================================== ====================
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError, amount, count
from backhand.formulas import columns
from backhand.preprocess import arrow, cells
from backhand.preprocess.cells import Strays
from backhand.preprocess.checks import finite, flag
from backhand.preprocess.distribution import Distribution
from backhand.preprocess.encoder import Check, Encoder, Slot, Slots, optional, rare_below
from backhand.preprocess.readings import Reading
from backhand.preprocess.scaling import Scale, Tail

FAR = 1.0
"""Ranges of the training rows by which a value must be beyond them to be far outside."""


@dataclass(frozen=True)
class NumberColumn(Encoder):
    """Numbers.

    Attributes
    ----------
    least, most : float
        Of the training rows.
    scale : Scale or None
        None where all known values are alike; then only the indicator for missing ones is left.
    tail : Tail or None
    two : bool
        Whether the training rows have only two values.
    """

    kind = "number"
    checks: ClassVar[dict[str, Check]] = {
        "least": finite,
        "most": finite,
        "scale": optional(Scale.from_list),
        "tail": optional(Tail.from_list),
        "two": flag,
    }

    least: float
    most: float
    scale: Scale | None
    tail: Tail | None
    two: bool

    @property
    def numbers(self) -> list[str]:
        return [] if self.scale is None or self.two else [self.name]

    @property
    def indicators(self) -> list[str]:
        own = [self.name] if self.two else []
        return own + ([f"{self.name} (tail)"] if self.tail else []) + super().indicators

    @property
    def becomes(self) -> str:
        if self.scale is None:
            return "whether it is missing"
        main = "-1 or 1" if self.two else "number, robustly scaled"
        return main + (" and standardised" if self.tail else "")

    @property
    def summary(self) -> str:
        if self.scale is None:
            return amount(self.least)
        if self.two:
            return f"{amount(self.least)} and {amount(self.most)}"
        least, most, median = map(amount, (self.least, self.most, self.scale.centre))
        return f"{least} to {most}, median {median}"

    @functools.cached_property
    def slots(self) -> Slots:
        numbers, indicators = [], []
        if self.scale is not None:
            scale = (self.scale.centre, self.scale.width)
            if self.two:
                indicators.append(Slot(columns.one_of_two, scale))
            else:
                numbers.append(Slot(columns.number, scale))
        if self.tail is not None:
            constants = (self.least, self.most, *self.tail.to_list())
            indicators.append(Slot(columns.tail, constants))
        return Slots(numbers, indicators + self.gap_slots, [])

    def read(
        self, table: Any, chosen: NDArray[Any] | None, strays: Strays
    ) -> tuple[NDArray[np.float64], list[str]]:
        values = cells.numbers(table, self.name, self.reading, strays=strays)
        values = values if chosen is None else values[chosen]
        return values, self._far(table, chosen, values)

    @property
    def usual(self) -> tuple[float, float]:
        """The least and the largest value that are not far outside the training rows'."""
        if self.scale is None:
            return -math.inf, math.inf
        # of parts, since the whole may be beyond float64
        reach = FAR * self.most - FAR * self.least
        return self.least - reach, self.most + reach

    def _far(self, table: Any, chosen: NDArray[Any] | None, values: NDArray[Any]) -> list[str]:
        """Tell of values far outside the range of the training rows."""
        low, high = self.usual
        far = np.flatnonzero((values > high) | (values < low))
        if not far.size:
            return []
        first = int(far[0])
        row = arrow.row_number(table, first if chosen is None else int(chosen[first]))
        return [
            f"column {self.name!r}: {count(far.size, 'value')} far outside the training rows' "
            f"{self.least:g} to {self.most:g}, such as {values[first]:g} in row {row}"
        ]

    def check(self, where: str) -> None:
        if self.scale is None and (self.two or self.tail or not self.has_gap):
            raise InputError(f"{where}: scale is missing")
        if self.two and self.tail:
            raise InputError(f"{where}: two values have no tail")
        if self.least > self.most:
            raise InputError(f"{where}: least {self.least} is more than most {self.most}")


class NumberStatistics(NamedTuple):
    """What the encoder of a column of numbers is fitted to.

    Attributes
    ----------
    rows, missing : int
    known : Distribution or None
        None if all are missing.
    two : bool
        Whether the known ones have at most two values.
    identifier : str or None
        Why they tell rows apart and say nothing of them, if they do.
    """

    rows: int
    missing: int
    known: Distribution | None
    two: bool
    identifier: str | None = None

    @classmethod
    def of(cls, values: NDArray[np.float64], identifier: str | None = None) -> NumberStatistics:
        """Those of an array (N,), NaN where missing."""
        known = values[~np.isnan(values)]
        if not known.size:
            return cls(len(values), len(values), None, False, identifier)
        two = bool(((known == known.min()) | (known == known.max())).all())
        missing = len(values) - len(known)
        return cls(len(values), missing, Distribution(known), two, identifier)


def fit_numbers(name: str, reading: Reading, found: NumberStatistics) -> NumberColumn | str:
    """Return the encoder of training rows, or why there is none."""
    rows, missing, known, two, identifier = found
    if known is None:
        return "no value in the training rows"
    if identifier is not None:
        return identifier
    where = f"column {name!r}"
    least, most = known.least, known.most
    scale = Scale.of(known, where)
    if scale is None:
        if missing < rare_below(rows):
            return "constant in the training rows"
        return NumberColumn(name, reading, rows, missing, least, most, None, None, False)
    tail = None
    if two:
        # Neighbouring denormals have no half between them.
        scale = Scale(least / 2 + most / 2, most / 2 - least / 2 or most - least)
    else:
        tail = Tail.of(known, scale, where)
    return NumberColumn(name, reading, rows, missing, least, most, scale, tail, two)

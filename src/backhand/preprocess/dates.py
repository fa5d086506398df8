"""Columns of dates, with or without a time.

A date becomes the parts of it that vary in the training rows:

=============== ================================ ==============================================
part            as                               if
=============== ================================ ==============================================
trend           a number                         always
day of the year a number, its sine and cosine    nearly all months are there
day of month    a number                         it varies
weekday         one-hot                          it varies
time of day     a number, its sine and cosine    it varies
=============== ================================ ==============================================

Numbers are kept within the range of the training rows, so that no trend runs away. A missing date
is the median of each number and the mean of the others, and has an indicator where training rows
miss a few.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError
from backhand.formulas import columns
from backhand.formulas.columns import MOST_DAYS
from backhand.preprocess import cells
from backhand.preprocess.categories import scaled_levels
from backhand.preprocess.cells import Strays
from backhand.preprocess.checks import finite, listed, natural
from backhand.preprocess.distribution import Distribution
from backhand.preprocess.encoder import (
    Check,
    Encoder,
    Formula,
    Slot,
    Slots,
    optional,
    rare_below,
    tuple_of,
)
from backhand.preprocess.readings import Reading
from backhand.preprocess.scaling import Scale
from backhand.run.namespaces import NUMPY

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
TREND, OF_YEAR, OF_MONTH, TIME = "date", "day of year", "day of month", "hour"
PARTS: dict[str, Formula] = {
    TREND: columns.day,
    OF_YEAR: columns.day_of_year,
    OF_MONTH: columns.day_of_month,
    TIME: columns.hour,
}
"""The parts that are numbers, in days or hours."""

PERIODS = {OF_YEAR: 365.25, TIME: 24.0}
"""After how much those that do come round again."""

NEARLY_ALL_MONTHS = 11
"""With fewer the trend says the same, and a month that is not there would be a guess."""


@dataclass(frozen=True)
class Span:
    """A part of dates as a number: scaled robustly, within the range of the training rows."""

    least: float
    most: float
    scale: Scale

    def to_list(self) -> list[Any]:
        """Return what `from_list` takes."""
        return [self.least, self.most, *self.scale.to_list()]

    @classmethod
    def from_list(cls, found: object, where: str) -> Span:
        """Rebuild from `to_list`; InputError for anything else."""
        least, most, *scale = listed(found, where, 4)
        least = finite(least, f"{where}: least")
        return cls(
            least, finite(most, f"{where}: most", above=least), Scale.from_list(scale, where)
        )


@dataclass(frozen=True)
class DateColumn(Encoder):
    """Dates.

    Attributes
    ----------
    spans : tuple of Span or None
        For each of `PARTS`, None if it does not vary.
    weekdays : tuple of int
        Training rows with each, from Monday; none if they are all alike.
    """

    kind = "date"
    checks: ClassVar[dict[str, Check]] = {
        "spans": tuple_of(optional(Span.from_list)),
        "weekdays": tuple_of(natural),
    }

    spans: tuple[Span | None, ...]
    weekdays: tuple[int, ...]

    @property
    def _varying(self) -> dict[str, Span]:
        return {p: s for p, s in zip(PARTS, self.spans, strict=True) if s is not None}

    @property
    def numbers(self) -> list[str]:
        return [self.name if p == TREND else f"{self.name}: {p}" for p in self._varying]

    @property
    def indicators(self) -> list[str]:
        turns = [part for part in self._varying if part in PERIODS]
        cycles = [f"{self.name}: {kind} of {p}" for p in turns for kind in ("sine", "cosine")]
        days = [f"{self.name}: {WEEKDAYS[day]}" for day in self._days]
        return cycles + days + super().indicators

    @property
    def _days(self) -> list[int]:
        """The weekdays that are there."""
        return [day for day, n in enumerate(self.weekdays) if n]

    @property
    def becomes(self) -> str:
        parts = ["trend" if part == TREND else part for part in self._varying]
        parts += ["weekday"] if self.weekdays else []
        return ", ".join(parts) or "whether it is missing"

    @property
    def summary(self) -> str:
        span = self.spans[0]
        if span is None:
            return "one date"
        return f"{_shown(span.least)} to {_shown(span.most)}"

    @functools.cached_property
    def slots(self) -> Slots:
        numbers, cycles = [], []
        for part, span in self._varying.items():
            constants = (span.least, span.most, span.scale.centre, span.scale.width)
            numbers.append(Slot(columns.span, constants, PARTS[part]))
            if part in PERIODS:
                for wave in (columns.sine, columns.cosine):
                    cycles.append(Slot(wave, (PERIODS[part],), PARTS[part]))
        return Slots(numbers, cycles + self._weekday_slots + self.gap_slots, [])

    @property
    def _weekday_slots(self) -> list[Slot]:
        found = []
        for own in self._days:
            off, on, mean = scaled_levels(self.weekdays[own], self.rows, sum(self.weekdays))
            of_day = [off if n else mean for n in self.weekdays]
            of_day[own] = on
            found.append(Slot(columns.of_weekday, (*of_day, mean), columns.weekday))
        return found

    def read(
        self, table: Any, chosen: NDArray[Any] | None, strays: Strays
    ) -> tuple[NDArray[np.float64], list[str]]:
        days = cells.dates(table, self.name, self.reading, strays=strays)
        return days if chosen is None else days[chosen], []

    def check(self, where: str) -> None:
        if len(self.spans) != len(PARTS):
            raise InputError(f"{where}: spans must have {len(PARTS)} entries")
        if len(self.weekdays) not in (0, len(WEEKDAYS)):
            raise InputError(f"{where}: weekdays must have {len(WEEKDAYS)} entries or none")
        if self.weekdays and sum(self.weekdays) != self.rows - self.missing:
            raise InputError(f"{where}: weekdays are not of {self.rows - self.missing} rows")
        if not (self.numbers or self.indicators):
            raise InputError(f"{where}: spans are missing")


def _shown(days: float) -> str:
    if abs(days) > MOST_DAYS:
        return f"day {days:g}"
    return str(np.datetime64(0, "D") + int(np.floor(days)))


def parts_of(days: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the parts of dates, in days since 1970 and none missing, that are numbers."""
    return {part: formula(NUMPY, days) for part, formula in PARTS.items()}


class DateStatistics(NamedTuple):
    """What the encoder of a column of dates is fitted to.

    Attributes
    ----------
    rows, missing : int
    least, most : float
        In days since 1970; NaN if all are missing.
    parts : dict of str to Distribution
        By `PARTS`; empty if all are missing.
    months : frozenset of int
        Those of a year that are there, from 0.
    weekdays : ndarray of int (7,)
        Rows with each, from Monday.
    """

    rows: int
    missing: int
    least: float
    most: float
    parts: Mapping[str, Distribution]
    months: frozenset[int]
    weekdays: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> DateStatistics:
        """Those of an array (N,) in days since 1970, NaN where missing."""
        known = values[~np.isnan(values)]
        rows, missing = len(values), len(values) - len(known)
        if not known.size:
            return cls(rows, missing, np.nan, np.nan, {}, frozenset(), weekdays_of(known))
        parts = {part: Distribution(numbers) for part, numbers in parts_of(known).items()}
        least, most = float(known.min()), float(known.max())
        return cls(rows, missing, least, most, parts, months_of(known), weekdays_of(known))


def months_of(known: NDArray[np.float64]) -> frozenset[int]:
    """Return the months of a year, from 0, that are among days since 1970."""
    months = np.unique(np.floor(known).astype(np.int64).astype("datetime64[D]").astype("M8[M]"))
    return frozenset((months.astype(np.int64) % 12).tolist())


def weekdays_of(known: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many of some days since 1970 are of each weekday, from Monday."""
    found = columns.weekday(NUMPY, known).astype(np.int64)
    return np.bincount(found, minlength=len(WEEKDAYS))


def fit_dates(name: str, reading: Reading, found: DateStatistics) -> DateColumn | str:
    """Return the encoder of training rows, or why there is none."""
    rows, missing = found.rows, found.missing
    if not found.parts:
        return "no value in the training rows"
    if found.least == found.most:
        if missing < rare_below(rows):
            return "constant in the training rows"
        return DateColumn(name, reading, rows, missing, (None,) * len(PARTS), ())
    seasons = len(found.months) >= NEARLY_ALL_MONTHS
    spans: list[Span | None] = []
    for part, numbers in found.parts.items():
        scale = Scale.of(numbers, f"column {name!r}")
        if scale is None or (part == OF_YEAR and not seasons):
            spans.append(None)
        else:
            spans.append(Span(numbers.least, numbers.most, scale))
    shown = tuple(found.weekdays.tolist()) if (found.weekdays > 0).sum() > 1 else ()
    return DateColumn(name, reading, rows, missing, tuple(spans), shown)

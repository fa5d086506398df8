"""Statistics of the columns of a table that memory does not hold, gathered a few rows at a time.

What a column holds is decided on a sample of the rows; the statistics are of all of them, as
`sketches` keeps them, and encoders are fitted to them as to those of a table in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError
from backhand.preprocess import cells
from backhand.preprocess.categories import CategoryStatistics, counted
from backhand.preprocess.choice import LeftOut, Statistics, encoder_of, why_none
from backhand.preprocess.dates import DateStatistics, months_of, parts_of, weekdays_of
from backhand.preprocess.encoder import Encoder
from backhand.preprocess.identifiers import (
    DENSE,
    FEWEST,
    may_be_named,
    told_of_numbers,
    told_of_texts,
)
from backhand.preprocess.numbers import NumberStatistics
from backhand.preprocess.preparation import TablePreparation
from backhand.preprocess.readings import Reading
from backhand.preprocess.sketches import Counts, Distinct, Quantiles


class Gathering:
    """What `TablePreparation` is fitted to, of rows that come a few at a time.

    Parameters
    ----------
    sample : pyarrow.Table
        Some rows from all over the table, which say what its columns hold.
    exclude : iterable of str
        Columns that are no features.

    Attributes
    ----------
    rows : int
        So far.
    """

    def __init__(self, sample: Any, exclude: Iterable[str] = ()) -> None:
        skip = set(exclude)
        self.rows = 0
        self._names = list(sample.column_names)
        self._columns = {name: _Column(sample, name) for name in self._names if name not in skip}

    def add(self, table: Any, numbers: NDArray[np.int64]) -> None:
        """Take in some rows.

        Parameters
        ----------
        table : pyarrow.Table
        numbers : ndarray of int64 (N,)
            Where they stand in the whole table, from 0.

        Raises
        ------
        InputError
            For an infinite value, and a type that a column cannot be read from.
        """
        self.rows += len(table)
        for name, column in self._columns.items():
            column.add(table.select([name]), numbers)

    def merge(self, other: Gathering, before: int) -> None:
        """Take in what was gathered of other rows of the table, by the same sample.

        Parameters
        ----------
        other : Gathering
            Its numbers of rows count from 0.
        before : int
            How many rows of the table stand before them.

        Raises
        ------
        InputError
            If a column without values in the sample has several kinds of them.
        """
        self.rows += other.rows
        for name, column in self._columns.items():
            column.merge(other._columns[name], before)

    def preparation(
        self,
        *,
        drop: Iterable[str] = (),
        keep: Iterable[str] = (),
        embed: bool = True,
        warn: bool = True,
    ) -> TablePreparation:
        """Fit an encoder to each column; as `TablePreparation.fit`, with its errors and warnings.

        Raises
        ------
        InputError
            Besides, for a column that the sample took for numbers or dates, and that mostly holds
            something else.
        """

        def chosen(name: str, keep: bool) -> Encoder | LeftOut:
            return self._columns[name].encoder(keep, embed)

        skip = [name for name in self._names if name not in self._columns]
        return TablePreparation.of(
            self._names,
            chosen,
            exclude=skip,
            drop=drop,
            keep=keep,
            warn=warn,
        )


class _Column:
    """One column."""

    def __init__(self, sample: Any, name: str) -> None:
        self.name = name
        self.rows = self.missing = 0
        self._found: Any = None  # _Numbers, _Dates or _Texts
        self._begin(cells.look(sample, name))
        self._why = why_none(sample, name, self.reading)

    def _begin(self, reading: Reading) -> None:
        # strays of the sample are counted with all others
        self.reading = replace(reading, strays=0, stray="", stray_row=0)
        kinds: dict[str, Any] = {"number": _Numbers, "date": _Dates}
        if reading.kind not in ("empty", "unusable"):
            self._found = kinds.get(reading.kind, _Texts)(self.name)

    def add(self, table: Any, numbers: NDArray[np.int64]) -> None:
        self.rows += len(table)
        if self.reading.kind == "empty":
            self._begin(cells.look(table, self.name))
        if self._found is None:
            self.missing += len(table)
            return
        values = self._found.read(table, self.reading)
        self._count_strays(table, values)
        self.missing += self._found.add(values, numbers)

    def merge(self, other: _Column, before: int) -> None:
        """Take in what was found in other rows, ``before`` rows after the first of the table."""
        found, theirs = self._found, other._found
        self.rows += other.rows
        self.missing += other.missing
        if theirs is not None and found is None:
            self.reading, self._found = other.reading, theirs
            theirs.shift(before)
            return
        if theirs is None or found is None:
            return
        if other.reading != self.reading:
            kinds = self.reading.noun, other.reading.noun
            raise InputError(
                f"column {self.name!r} has no values in a sample of the rows; elsewhere some are "
                f"{kinds[0]}, and some are {kinds[1]}: make them one type"
            )
        if other.reading.strays:
            known = self.reading
            if not known.strays:
                row = other.reading.stray_row + before
                known = replace(known, stray=other.reading.stray, stray_row=row)
            self.reading = replace(known, strays=known.strays + other.reading.strays)
        theirs.shift(before)
        found.merge(theirs)

    def _count_strays(self, table: Any, values: Any) -> None:
        if self.reading.kind not in ("number", "date"):
            return
        absent = np.isnan(values)
        if not absent.any():
            return
        number, first, row = cells.strays_among(table, self.name, self.reading, absent)
        known = self.reading
        if number:
            if not known.strays:
                known = replace(known, stray=first, stray_row=row)
            self.reading = replace(known, strays=known.strays + number)

    def encoder(self, keep: bool, embed: bool) -> Encoder | LeftOut:
        if self.reading.strays > cells.STRAY_SHARE * max(1, self.rows - self.missing):
            raise InputError(
                f"column {self.name!r}: of {self.rows:,} cells {self.reading.strays:,} are not "
                f"{self.reading.noun}, such as {self.reading.stray!r}, while those of a sample "
                "were; drop the column, or make it text in a Parquet file"
            )
        found: Statistics = self._why or ""
        if self._found is not None:
            found = self._found.statistics(self.rows, self.missing, keep)
        return encoder_of(self.name, self.reading, found, embed)


class _Numbers:
    def __init__(self, name: str) -> None:
        self._name, self._quantiles = name, Quantiles()
        self._values: set[float] = set()  # up to three, which is as good as many
        self._may_be_identifier = may_be_named(name)
        self._distinct, self._offset = Distinct(), np.nan
        self._counting = self._growing = True
        self._first, self._last, self._furthest = np.inf, -np.inf, 0

    def read(self, table: Any, reading: Reading) -> NDArray[np.float64]:
        return cells.numbers(table, self._name, reading, strays="ignore")

    def add(self, values: NDArray[np.float64], numbers: NDArray[np.int64]) -> int:
        """Take in values, NaN where missing; how many are."""
        known = values[~np.isnan(values)]
        self._quantiles.add(known)
        if len(self._values) < 3:
            self._values.update(np.unique(known)[:3].tolist())
        if self._may_be_identifier and len(values):
            self._look_for_identifier(values, numbers)
        return len(values) - len(known)

    def _look_for_identifier(self, values: NDArray[np.float64], numbers: NDArray[np.int64]) -> None:
        whole = (values == np.floor(values)) & (np.abs(values) < cells.LARGEST_EXACT)
        self._distinct.add_numbers(values)
        if not whole.all() or not self._distinct.all_differ:
            self._may_be_identifier = False
            return
        offsets = values - numbers
        self._offset = offsets[0] if np.isnan(self._offset) else self._offset
        self._counting &= bool((offsets == self._offset).all())
        self._growing &= bool(values[0] > self._last and (np.diff(values) > 0).all())
        self._first = min(self._first, values[0])
        self._last, self._furthest = values[-1], max(self._furthest, int(numbers.max()))

    def shift(self, before: int) -> None:
        self._offset, self._furthest = self._offset - before, self._furthest + before

    def merge(self, other: _Numbers) -> None:
        self._quantiles.merge(other._quantiles)
        self._values |= other._values
        self._may_be_identifier &= other._may_be_identifier
        if not self._may_be_identifier or not other._quantiles.rows:
            return
        self._distinct.merge(other._distinct)
        self._may_be_identifier = self._distinct.all_differ
        self._offset = other._offset if np.isnan(self._offset) else self._offset
        self._counting &= other._counting and self._offset == other._offset
        self._growing &= other._growing and other._first > self._last
        self._first = min(self._first, other._first)
        self._last, self._furthest = other._last, max(self._furthest, other._furthest)

    def statistics(self, rows: int, missing: int, keep: bool) -> NumberStatistics:
        if missing == rows:
            return NumberStatistics(rows, missing, None, False)
        known, why = self._quantiles.distribution(), None
        if self._may_be_identifier and not keep and not missing and rows >= FEWEST:
            dense = known.most - known.least <= DENSE * self._furthest
            why = told_of_numbers(self._name, self._counting, dense or self._growing)
        return NumberStatistics(rows, missing, known, len(self._values) <= 2, why)


class _Dates:
    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: dict[str, Quantiles] = {}
        self._least, self._most = np.inf, -np.inf
        self._months: frozenset[int] = frozenset()
        self._weekdays: Any = 0

    def read(self, table: Any, reading: Reading) -> NDArray[np.float64]:
        return cells.dates(table, self._name, reading, strays="ignore")

    def add(self, values: NDArray[np.float64], numbers: NDArray[np.int64]) -> int:
        known = values[~np.isnan(values)]
        if len(known):
            for part, found in parts_of(known).items():
                self._parts.setdefault(part, Quantiles()).add(found)
            self._least = min(self._least, float(known.min()))
            self._most = max(self._most, float(known.max()))
            self._months |= months_of(known)
            self._weekdays = self._weekdays + weekdays_of(known)
        return len(values) - len(known)

    def shift(self, before: int) -> None:
        """Nothing that is kept depends on numbers of rows."""

    def merge(self, other: _Dates) -> None:
        for part, found in other._parts.items():
            self._parts.setdefault(part, Quantiles()).merge(found)
        self._least = min(self._least, other._least)
        self._most = max(self._most, other._most)
        self._months |= other._months
        self._weekdays = self._weekdays + other._weekdays

    def statistics(self, rows: int, missing: int, keep: bool) -> DateStatistics:
        parts = {part: found.distribution() for part, found in self._parts.items()}
        weekdays = np.zeros(7, np.int64) + self._weekdays
        return DateStatistics(rows, missing, self._least, self._most, parts, self._months, weekdays)


class _Texts:
    def __init__(self, name: str) -> None:
        self._name, self._counts = name, Counts()

    def read(self, table: Any, reading: Reading) -> Any:
        return cells.categories(table, self._name, reading)

    def add(self, values: Any, numbers: NDArray[np.int64]) -> int:
        self._counts.add(counted(values))
        return int(values.null_count)

    def shift(self, before: int) -> None:
        """Nothing that is kept depends on numbers of rows."""

    def merge(self, other: _Texts) -> None:
        self._counts.merge(other._counts)

    def statistics(self, rows: int, missing: int, keep: bool) -> CategoryStatistics:
        distinct = self._counts.distinct
        why = None if keep else told_of_texts(rows - missing, distinct)
        return CategoryStatistics(rows, missing, self._counts.counts, distinct, why)

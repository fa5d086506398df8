"""One row's values without Arrow, for services, where a row should take microseconds.

Only cells of which it is certain what Arrow's way would read are read here: Python's and NumPy's
numbers, booleans and dates, None, NaN, and texts as programs write them. Whatever else there is
goes Arrow's way, so that a value is always the one that `TablePreparation.apply` reads.
"""

from __future__ import annotations

import datetime
import math
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from backhand.errors import InputError
from backhand.formulas.columns import MISSING, OTHER
from backhand.preprocess import missing
from backhand.preprocess.categories import CategoryColumn
from backhand.preprocess.cells import LARGEST_EXACT, TRUE_AND_FALSE
from backhand.preprocess.dates import DateColumn
from backhand.preprocess.encoder import Encoder
from backhand.preprocess.numbers import NumberColumn
from backhand.preprocess.preparation import TablePreparation
from backhand.preprocess.tables import columns_of

Reader = Callable[[Any], "float | None"]
"""From a cell to its column's value; None where it is not certain."""

INTEGERS = frozenset(
    {np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.bool_}
)
REALS = frozenset({np.float32, np.float64, *INTEGERS})

PLAIN = frozenset({float, int, bool, type(None), datetime.date, datetime.datetime, *REALS})
"""Types of cells of which Arrow can make a column; so it can of ASCII text."""

NUMBER = {
    mark: re.compile(rf"-?[0-9]{{1,15}}(?:{re.escape(mark)}[0-9]{{1,15}})?") for mark in (".", ",")
}
TIME = r"(?:[T ]([0-9]{2}):([0-9]{2}):([0-9]{2}))?"
DATE = {
    "Y-M-D": (re.compile(rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}}){TIME}"), (0, 1, 2)),
    "D.M.Y": (re.compile(r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})"), (2, 1, 0)),
    "M/D/Y": (re.compile(r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})"), (2, 0, 1)),
}
"""By form: cells, and which of their parts are year, month and day."""

EPOCH = datetime.datetime(1970, 1, 1)
FIRST_DAY = EPOCH.toordinal()
TICKS = 86_400_000_000
"""Microseconds of a day."""


class RowReader:
    """Reads rows of a table, one at a time, as `TablePreparation.values` does.

    Parameters
    ----------
    preparation : TablePreparation
    """

    def __init__(self, preparation: TablePreparation) -> None:
        self.preparation, self._names = preparation, preparation.columns
        self._cells_of_a_row = len(self._names) if preparation.has_names else None
        self._readers = [_reader(encoder) for encoder in preparation.encoders]

    def quick(self, row: Any) -> list[float] | None:
        """The values of a row, None where one of them is not certain; see `values`."""
        if (
            type(row) is dict and len(row) == self._cells_of_a_row
        ):  # who reads a cell knows its type
            try:
                cells = [row[name] for name in self._names]
            except KeyError:
                return None
        else:
            cells = self._cells(row)
            if cells is None:
                return None
        found = [read(cell) for read, cell in zip(self._readers, cells, strict=True)]
        return None if None in found else cast("list[float]", found)

    def values(self, row: Any) -> list[float]:
        """Read a row.

        Parameters
        ----------
        row : mapping
            Cells by the names of their columns, in any order and with others among them.

        Returns
        -------
        list of float
            In the order of `TablePreparation.columns`: numbers, days since 1970-01-01, and places
            of categories.

        Raises
        ------
        InputError
            As `TablePreparation.apply`, and for more or fewer rows than one.

        Warns
        -----
        UserWarning
            As `TablePreparation.apply`.
        """
        cells = self._cells(row)
        if cells is None:
            values = self.preparation.values(row)
            if len(values) != 1:
                raise InputError(f"each column has {len(values)} values: give one row")
            whole: list[float] = values[0].tolist()
            return whole
        found = []
        for encoder, read, cell in zip(
            self.preparation.encoders, self._readers, cells, strict=True
        ):
            value = read(cell)
            found.append(self._by_arrow(encoder, cell) if value is None else value)
        return found

    def _cells(self, row: Any) -> Any:
        """The cells of the columns in order; None if not all cells are such as Arrow can take."""
        if not isinstance(row, Mapping) or not self.preparation.has_names:
            return None
        try:
            cells = [row[name] for name in self._names]
        except KeyError:
            return None
        return cells if all(map(_is_plain, row, row.values())) else None

    def _by_arrow(self, encoder: Encoder, cell: Any) -> float:
        table = columns_of({encoder.name: cell}).only(encoder.name)
        values, notes = encoder.read(table, None, "warn")
        for note in notes:
            warnings.warn(note, stacklevel=3)
        return float(values[0])


def _reader(encoder: Encoder) -> Reader:
    if isinstance(encoder, NumberColumn):
        return _number_reader(encoder)
    if isinstance(encoder, DateColumn):
        return _date_reader(encoder)
    assert isinstance(encoder, CategoryColumn)
    return _category_reader(encoder)


def _is_plain(name: Any, cell: Any) -> bool:
    """Whether Arrow is sure to make a column of a cell, whatever the others are."""
    kind = type(cell)
    if kind is int:
        fits = -LARGEST_EXACT < cell < LARGEST_EXACT
    elif kind is str:
        fits = cell.isascii()
    else:
        fits = kind in PLAIN or _is_na(kind)
    return fits and type(name) is str


def _is_na(kind: type) -> bool:
    return kind is type(None) or kind.__name__ == "NAType"


def _number_reader(encoder: NumberColumn) -> Reader:
    low, high = encoder.usual
    low, high = max(low, -sys.float_info.max), min(high, sys.float_info.max)
    decimal = encoder.reading.decimal
    match = NUMBER[decimal].fullmatch
    absent = {*missing.MISSING, *map(str.lower, encoder.reading.words)}

    def read(cell: Any) -> float | None:
        kind = type(cell)
        if kind is float:
            value = cell
        elif kind is int:
            if not -LARGEST_EXACT < cell < LARGEST_EXACT:
                return None
            value = float(cell)
        elif kind is str:
            if not match(cell):
                return math.nan if cell.isascii() and cell.lower() in absent else None
            value = float(cell.replace(decimal, "."))
        elif kind is bool or kind in REALS:
            value = float(cell)
        else:
            return math.nan if _is_na(kind) else None
        return value if low <= value <= high or value != value else None

    return read


def _date_reader(encoder: DateColumn) -> Reader:
    pattern, order = DATE.get(encoder.reading.form or "Y-M-D", (None, ()))
    absent = {*missing.MISSING, *map(str.lower, encoder.reading.words)}

    def read(cell: Any) -> float | None:
        kind = type(cell)
        if kind is str:
            found = pattern.fullmatch(cell) if pattern else None
            if found is None:
                return math.nan if cell.isascii() and cell.lower() in absent else None
            parts = [int(part or 0) for part in found.groups()]
            try:
                year, month, day = (parts[k] for k in order)
                hour, minute, second = parts[3:] or (0, 0, 0)
                cell = datetime.datetime(year, month, day, hour, minute, second)
            except ValueError:
                return None
            kind = datetime.datetime
        if kind is datetime.date:
            return float(cell.toordinal() - FIRST_DAY)
        if kind is datetime.datetime and cell.tzinfo is None:
            since = cell - EPOCH
            seconds = since.days * 86_400 + since.seconds
            days: float = (seconds * 1_000_000 + since.microseconds) / TICKS
            return days
        return math.nan if _is_na(kind) else None

    return read


def _category_reader(encoder: CategoryColumn) -> Reader:
    places: dict[str, float | None]
    places = {text: float(place) for place, text in enumerate(encoder.values)}
    other = float(OTHER) if encoder.has_other else None
    absent, boolean = float(MISSING), encoder.reading.kind == "boolean"
    if boolean:
        words = (*missing.MISSING, *missing.MARKS, *missing.WORDS)
        spelt = {said: places.get(means, other) for said, means in TRUE_AND_FALSE.items()}
        places = {**dict.fromkeys(words, absent), **spelt}
    else:
        places[""] = absent

    def read(cell: Any) -> float | None:
        kind = type(cell)
        if kind is not str:
            if kind is bool or kind is np.bool_:
                cell = "true" if cell else "false"
            elif kind is int or kind in INTEGERS:
                cell = str(int(cell))
            elif _is_na(kind) or (kind is float and cell != cell):
                return absent
            else:
                return None
        elif boolean:
            if not cell.isascii():
                return None
            cell = cell.lower()
        found = places.get(cell)
        if found is None and cell.isascii() and cell == cell.strip() and cell.isprintable():
            return other
        return found

    return read

"""Which encoder a column of a table gets, or why it is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError
from backhand.preprocess import arrow, cells
from backhand.preprocess.categories import CategoryColumn, CategoryStatistics, fit_categories
from backhand.preprocess.checks import one_of
from backhand.preprocess.dates import DateColumn, DateStatistics, fit_dates
from backhand.preprocess.encoder import Encoder
from backhand.preprocess.identifiers import number_identifier, text_identifier
from backhand.preprocess.numbers import NumberColumn, NumberStatistics, fit_numbers
from backhand.preprocess.readings import Reading

ENCODERS: dict[str, type[Encoder]] = {
    kind.kind: kind for kind in (NumberColumn, DateColumn, CategoryColumn)
}
"""Every kind of encoder, by the name that a file calls it."""


class LeftOut(NamedTuple):
    """A column that is not used.

    Attributes
    ----------
    name : str
    holds : str
        What it was read as, for people.
    reason : str
    """

    name: str
    holds: str
    reason: str


def choose(
    table: Any, name: str, rows: NDArray[Any] | None, keep: bool, embed: bool
) -> Encoder | LeftOut:
    """Fit the encoder of one column, or say why it is left out.

    Parameters
    ----------
    table : pyarrow.Table
    name : str
        Of the column.
    rows : ndarray of int or None
        The training rows; None for all.
    keep : bool
        Whether it is used even if it looks like an identifier.
    embed : bool
        Whether text with many values becomes codes.
    """
    reading = cells.look(table, name, rows)
    return encoder_of(name, reading, _statistics(table, name, reading, rows, keep), embed)


Statistics = NumberStatistics | DateStatistics | CategoryStatistics | str
"""What an encoder is fitted to, or why there is none."""


def encoder_of(name: str, reading: Reading, found: Statistics, embed: bool) -> Encoder | LeftOut:
    """Fit the encoder of one column to statistics of the training rows; as `choose`."""
    result: Encoder | str
    if isinstance(found, NumberStatistics):
        result = fit_numbers(name, reading, found)
    elif isinstance(found, DateStatistics):
        result = fit_dates(name, reading, found)
    elif isinstance(found, CategoryStatistics):
        result = fit_categories(name, reading, found, embed)
    else:
        result = found
    return result if isinstance(result, Encoder) else LeftOut(name, reading.summary, result)


def why_none(table: Any, name: str, reading: Reading) -> str | None:
    """Say why a column has no statistics, None if it has some."""
    if reading.kind == "unusable":
        return f"values of type {arrow.type_of(table, name)}"
    return "no value in the training rows" if reading.kind == "empty" else None


def _statistics(
    table: Any, name: str, reading: Reading, rows: NDArray[Any] | None, keep: bool
) -> Statistics:
    why = why_none(table, name, reading)
    if why is not None:
        return why
    if reading.kind == "date":
        days = cells.dates(table, name, reading, strays="ignore")
        return DateStatistics.of(days if rows is None else days[rows])
    if reading.kind == "number":
        values = cells.numbers(table, name, reading, strays="ignore")
        places = np.arange(table.num_rows) if rows is None else rows
        values = values[places]
        why = None if keep else number_identifier(name, values, places)
        return NumberStatistics.of(values, why)
    import pyarrow as pa

    found = cells.categories(table, name, reading)
    found = found if rows is None else found.take(pa.array(rows))
    return CategoryStatistics.of(found, None if keep else text_identifier(found))


def encoder_from_dict(d: object) -> Encoder:
    """Rebuild an encoder from its ``to_dict``; InputError for anything else."""
    if not isinstance(d, Mapping):
        raise InputError(f"preparation: column: must be a mapping, not {type(d).__name__}")
    return ENCODERS[one_of(d.get("kind"), "kind of column", tuple(ENCODERS))].from_dict(d)

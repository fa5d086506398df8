"""Which encoder a column of a table gets, or why it is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError
from backhand.preprocess import arrow, cells
from backhand.preprocess.categories import CategoryColumn, fit_categories
from backhand.preprocess.checks import one_of
from backhand.preprocess.dates import DateColumn, fit_dates
from backhand.preprocess.encoder import Encoder
from backhand.preprocess.identifiers import number_identifier, text_identifier
from backhand.preprocess.numbers import NumberColumn, fit_numbers
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
    result = _fitted(table, name, reading, rows, keep, embed)
    return result if isinstance(result, Encoder) else LeftOut(name, reading.summary, result)


def _fitted(
    table: Any, name: str, reading: Reading, rows: NDArray[Any] | None, keep: bool, embed: bool
) -> Encoder | str:
    if reading.kind == "unusable":
        return f"values of type {arrow.type_of(table, name)}"
    if reading.kind == "empty":
        return "no value in the training rows"
    if reading.kind == "date":
        days = cells.dates(table, name, reading, strays="ignore")
        return fit_dates(name, reading, days if rows is None else days[rows])
    why = None
    if reading.kind == "number":
        values = cells.numbers(table, name, reading, strays="ignore")
        places = np.arange(table.num_rows) if rows is None else rows
        values = values[places]
        why = None if keep else number_identifier(name, values, places)
        return why or fit_numbers(name, reading, values)
    import pyarrow as pa

    found = cells.categories(table, name, reading)
    found = found if rows is None else found.take(pa.array(rows))
    why = None if keep else text_identifier(found)
    return why or fit_categories(name, reading, found, embed)


def encoder_from_dict(d: object) -> Encoder:
    """Rebuild an encoder from its ``to_dict``; InputError for anything else."""
    if not isinstance(d, Mapping):
        raise InputError(f"preparation: column: must be a mapping, not {type(d).__name__}")
    return ENCODERS[one_of(d.get("kind"), "kind of column", tuple(ENCODERS))].from_dict(d)

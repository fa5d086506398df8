"""What stands in a table's cells: numbers, dates, booleans, text, or nothing.

Cells from a CSV file arrive as text, exactly as written, so that a column of codes such as "007"
keeps them; here they are read as what the column as a whole turns out to hold. Cells from Parquet
have a type of their own.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError
from backhand.preprocess import date_text, number_text
from backhand.preprocess.arrow import (
    DECIMAL,
    LIKELY_DECIMAL,
    cells_and_codes,
    is_usable_column,
    plain,
    row_number,
)
from backhand.preprocess.missing import MARKS, MISSING, WORDS, known_only, spells
from backhand.preprocess.number_text import NumberSpelling
from backhand.preprocess.readings import Reading, shown, stray_note

BOOLEAN = ("true", "false")
TRUE_AND_FALSE = {"true": "true", "1": "true", "false": "false", "0": "false"}
# Up to this share of the known cells may be no numbers in a column of numbers; so may dates. The
# same share may be codes, such as "007", before the column is text.
STRAY_SHARE = 0.05
# Below this all integers are float64 numbers; here two of them become one.
LARGEST_EXACT = 2**53

_ZEROS = r"^0\d+$"
# Distinct texts that are tried as dates before all are.
_SAMPLE = 1000
_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


NUMBER = Reading("number")
TEXT = Reading("text")
Strays = Literal["warn", "ignore", "raise"]


def _trimmed(column: Any) -> Any:
    """Return text without surrounding spaces, in plain characters."""
    import pyarrow.compute as pc

    return number_text.plain_characters(pc.utf8_trim_whitespace(column))


def look(table: Any, name: str, rows: NDArray[np.integer[Any]] | None = None) -> Reading:
    """Decide what a column holds and how it is written.

    Cells of text are numbers (or dates) if at least 95 % of the known ones are; the others are
    strays, which count as missing. Those of all rows are noted, and decide nothing. Codes with
    leading zeros and integers beyond 2**53, which float64 would confuse, make a column text if they
    are more than 5 %, or if every cell has as many digits as a code has.

    Parameters
    ----------
    table : pyarrow.Table
    name : str
        Of the column.
    rows : ndarray of int or None
        The rows that decide, such as the training rows; None for all.

    Returns
    -------
    Reading
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_usable_column(table, name):
        return Reading("unusable")
    column = plain(table, name)
    if pa.types.is_string(column.type):
        return _look_at_text(table, column, rows)
    if rows is not None:
        column = column.take(pa.array(rows))
    form = column.type
    if column.null_count == len(column):
        return Reading("empty")
    if pa.types.is_boolean(form):
        return Reading("boolean")
    if pa.types.is_integer(form):
        beyond = pc.greater_equal(pc.abs(pc.cast(column, pa.float64(), safe=False)), LARGEST_EXACT)
        codes = pc.sum(beyond).as_py() > STRAY_SHARE * len(column)
        return Reading("text" if codes else "number")
    if pa.types.is_floating(form) or pa.types.is_decimal(form):
        return Reading("number")
    return Reading("date")


def _look_at_text(table: Any, column: Any, rows: NDArray[np.integer[Any]] | None) -> Reading:
    import pyarrow as pa

    notes = table.schema.metadata or {}
    decimal = notes[DECIMAL].decode() if DECIMAL in notes else None
    likely = notes.get(LIKELY_DECIMAL, b".").decode()
    if (reading := _look_at_simple(column, rows, decimal or likely)) is not None:
        return reading
    cells, place = _distinct(column)
    counts = np.bincount(place if rows is None else place[rows], minlength=len(cells))
    absent, vague = spells(cells, *MISSING, *MARKS), spells(cells, *WORDS)
    seen = (counts > 0) & ~absent & ~vague
    some, number_of = cells.filter(pa.array(seen)), counts[seen]
    if not len(some):
        return Reading("text" if counts[vague].any() else "empty")
    if spells(some, *BOOLEAN).all():
        return Reading("boolean")

    spelling = number_text.spelling_of(some, number_of, decimal, likely)
    read = number_text.matches(some, spelling)
    least = max((1 - STRAY_SHARE) * number_of.sum(), counts[vague].sum())
    if number_of[read].sum() >= least:
        if _are_codes(some, number_of):
            return Reading("text")
        sign = number_text.sign_of(some.filter(pa.array(read)))
        reading = Reading("number", *spelling, sign=sign)
        found = number_text.matches(cells, spelling)
    else:
        form = _date_form(some, number_of)
        if not form:
            return Reading("text")
        reading = Reading("date", form=form)
        found = ~np.isnan(date_text.as_days(cells, form))
        if number_of[found[seen]].sum() < least:
            return Reading("text")
    # Rows that decide nothing, such as test rows, have strays that are reported too.
    reading = replace(reading, words=_words(cells, found))
    strange = np.flatnonzero((~found & ~absent & ~vague)[place])
    if not strange.size:
        return reading
    first = int(strange[0])
    stray, row = shown(cells[int(place[first])].as_py()), row_number(table, first)
    return replace(reading, strays=strange.size, stray=stray, stray_row=row)


def _look_at_simple(
    column: Any, rows: NDArray[np.integer[Any]] | None, decimal: str
) -> Reading | None:
    """Find the reading of numbers that are written as programs do; None for other cells."""
    import pyarrow as pa

    absent = (*MISSING, *MARKS, *WORDS)
    start = _trimmed(column.slice(0, _SAMPLE))
    if number_text.simple_floats(known_only(~spells(start, *absent), start), decimal) is None:
        return None
    text = _trimmed(column)
    vague = spells(text, *WORDS)
    known = ~(vague | spells(text, *MISSING, *MARKS))
    if number_text.simple_floats(known_only(known, text), decimal) is None:
        return None
    if rows is not None:
        vague, known = vague[rows], known[rows]
    some = (text if rows is None else text.take(pa.array(rows))).filter(pa.array(known))
    if len(some) < max(1, vague.sum()):
        return None
    if _are_codes(some, np.ones(len(some), dtype=np.int64)):
        return Reading("text")
    return Reading("number", decimal, words=_words(text, np.zeros(len(text), dtype=bool)))


def _words(cells: Any, found: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return what cells that were not read say in place of a value."""
    import pyarrow as pa

    said = cells.filter(pa.array(spells(cells, *MARKS, *WORDS) & ~found))
    return tuple(sorted(said.unique().to_pylist()))


def _distinct(column: Any) -> tuple[Any, NDArray[np.integer[Any]]]:
    """Return the different cells of a column of text, and which of them stands in each row.

    Some may be alike, since spaces around them are taken away.
    """
    import pyarrow.compute as pc

    coded = pc.dictionary_encode(column, null_encoding="encode")
    return _trimmed(coded.dictionary), np.asarray(coded.indices)


def _are_codes(some: Any, counts: NDArray[np.int64]) -> bool:
    """Say whether distinct numbers, and how often each is there, are codes whose digits count."""
    import pyarrow as pa
    import pyarrow.compute as pc

    zeros = np.asarray(pc.match_substring_regex(some, _ZEROS))
    long = np.asarray(pc.match_substring_regex(some, r"^[+-]?\d{16,}$"))
    long[long] = (
        np.abs(number_text.as_floats(some.filter(pa.array(long)), NumberSpelling()))
        >= LARGEST_EXACT
    )
    if counts[zeros | long].sum() > STRAY_SHARE * counts.sum():
        return True
    # Few codes of New England among those of all states: all have five digits.
    width = np.asarray(pc.binary_length(some))
    digits = np.asarray(pc.match_substring_regex(some, r"^\d{3,}$"))
    return bool(zeros.any() and digits.all() and width.min() == width.max())


def _date_form(some: Any, counts: NDArray[np.int64]) -> str:
    import pyarrow.compute as pc

    # Trying six forms on a million different texts would take seconds.
    sample, number_of = some.slice(0, _SAMPLE), counts[:_SAMPLE]
    # Every form has a digit, and most texts have none.
    digits = np.asarray(pc.match_substring_regex(sample, r"\d"))
    if 2 * number_of[digits].sum() < number_of.sum():
        return ""
    form = date_text.form_of(sample, number_of)
    if not form or len(some) == len(sample):
        return form
    read = number_of[~np.isnan(date_text.as_days(sample, form))].sum()
    return date_text.form_of(some, counts) if 2 * read >= number_of.sum() else ""


def are_integers(table: Any, name: str, reading: Reading = NUMBER) -> bool:
    """Say whether every number of a column is written or stored as an integer."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = plain(table, name)
    if not pa.types.is_string(column.type):
        return bool(pa.types.is_integer(column.type))
    cells = _trimmed(column).unique()
    read = cells.filter(pa.array(number_text.matches(cells, reading.spelling)))
    return bool(pc.all(pc.match_substring_regex(read, r"^[+-]?\d+$")).as_py())


def have_zeros(table: Any, name: str) -> bool:
    """Say whether any cell of text is an integer with zeros before it, such as "007"."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = plain(table, name)
    if not pa.types.is_string(column.type):
        return False
    return bool(pc.any(pc.match_substring_regex(_trimmed(column), _ZEROS)).as_py())


def numbers(
    table: Any, name: str, reading: Reading = NUMBER, *, strays: Strays = "warn"
) -> NDArray[np.float64]:
    """Read a column as numbers.

    Parameters
    ----------
    table : pyarrow.Table
    name : str
        Of the column.
    reading : Reading
        Of kind "number".
    strays : {"warn", "ignore", "raise"}
        What to do about text that is no number, which counts as missing. `MISSING` and the
        reading's words are expected.

    Returns
    -------
    values : ndarray of float64, shape (N,)
        NaN where the value is missing.

    Raises
    ------
    InputError
        Names column, row and value for infinity, for a type that holds no numbers, and for a stray
        cell if asked to.

    Warns
    -----
    UserWarning
        Once, with the number of stray cells, and row and content of the first.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = plain(table, name)
    form = column.type
    if pa.types.is_null(form):
        return np.full(len(column), np.nan)
    if pa.types.is_string(form):
        values = _from_text(table, name, column, reading, strays)
    elif pa.types.is_boolean(form):
        values = _floats(pc.cast(pc.cast(column, pa.int8()), pa.float64()))
    elif pa.types.is_integer(form) or pa.types.is_floating(form) or pa.types.is_decimal(form):
        values = _floats(pc.cast(column, pa.float64(), safe=False))
    else:
        raise InputError(f"column {name!r} holds {form}, which is not {reading.noun}")
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        index = int(infinite[0])
        what = f"{column[index].as_py()} is not a finite number: leave such cells empty"
        raise InputError(f"column {name!r}, row {row_number(table, index)}: {what}")
    return values


def dates(
    table: Any, name: str, reading: Reading, *, strays: Strays = "warn"
) -> NDArray[np.float64]:
    """Read a column as days since 1970-01-01, in UTC where there is a zone; as `numbers`."""
    import pyarrow as pa

    column = plain(table, name)
    form = column.type
    if pa.types.is_null(form):
        return np.full(len(column), np.nan)
    if pa.types.is_string(form):
        return _from_text(table, name, column, reading, strays)
    if pa.types.is_date(form) or pa.types.is_timestamp(form):
        return _days(column)
    raise InputError(f"column {name!r} holds {form}, the model was trained on dates")


def _spelling(table: Any, reading: Reading) -> NumberSpelling:
    """Return the training rows' spelling, or that of a file whose decimal mark somebody named."""
    said = (table.schema.metadata or {}).get(DECIMAL, reading.decimal.encode()).decode()
    return reading.spelling if said == reading.decimal else number_text.wide(said)


def _from_text(
    table: Any, name: str, column: Any, reading: Reading, strays: Strays
) -> NDArray[np.float64]:
    """Read the distinct texts of a column, and put each where it stands."""

    absent = (*MISSING, *map(str.lower, reading.words))
    if reading.kind == "number":
        spelling = _spelling(table, reading)
        text = _trimmed(column)
        known = known_only(~spells(text, *absent), text)
        quick = number_text.simple_floats(known, spelling.decimal)
        if quick is not None:
            return quick
    cells, place = _distinct(column)
    if reading.kind == "number":
        each = number_text.as_floats(cells, spelling)
    else:
        known = known_only(~spells(cells, *absent), cells)
        each = date_text.as_days(known, reading.form or "Y-M-D")
    values: NDArray[np.float64] = each[place] if len(each) else np.full(len(column), np.nan)
    if strays == "ignore":
        return values
    strange = np.isnan(each) & ~spells(cells, *absent)
    if strange.any():
        found = np.flatnonzero(strange[place])
        first, row = cells[int(place[found[0]])].as_py(), row_number(table, int(found[0]))
        if strays == "raise":
            where = f"column {name!r}, row {row}"
            raise InputError(f"{where}: {shown(first)!r} is not {reading.noun}")
        warnings.warn(stray_note(name, reading, len(found), shown(first), row), stacklevel=3)
    return values


def strays_among(
    table: Any, name: str, reading: Reading, unread: NDArray[np.bool_]
) -> tuple[int, str, int]:
    """Count the cells of text that hold something and were not read.

    Parameters
    ----------
    table : pyarrow.Table
    name : str
    reading : Reading
    unread : ndarray of bool (N,)
        Cells of which nothing was read.

    Returns
    -------
    strays : int
    first : str
        What stands in the first, to be shown.
    row : int
        Its number.
    """
    import pyarrow as pa

    column = plain(table, name)
    if not pa.types.is_string(column.type):
        return 0, "", 0
    places = np.flatnonzero(unread)
    some = _trimmed(column.take(pa.array(places)))
    strange = np.flatnonzero(~spells(some, *MISSING, *map(str.lower, reading.words)))
    if not strange.size:
        return 0, "", 0
    first = int(strange[0])
    row = row_number(table, int(places[first]))
    return len(strange), shown(some[first].as_py()), row


def categories(table: Any, name: str, reading: Reading) -> Any:
    """Read a column as text, or as booleans spelt "true" and "false".

    Returns
    -------
    values : pyarrow.StringArray of length N
        Null where the value is missing.

    Raises
    ------
    InputError
        For a type that has no text, such as a list.
    """
    import pyarrow as pa

    values, places = coded_categories(table, name, reading)
    return values if places is None else values.take(pa.array(places))


def coded_categories(
    table: Any, name: str, reading: Reading
) -> tuple[Any, NDArray[np.integer[Any]] | None]:
    """Read a column as `categories`, but each cell once, with the codes of `cells_and_codes`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column, places = cells_and_codes(table, name)
    if not pa.types.is_string(column.type):
        column = pc.cast(column, pa.string())
    said = pc.utf8_trim_whitespace(column)
    if reading.kind != "boolean":
        return pc.if_else(pc.equal(said, ""), pa.scalar(None, pa.string()), said), places
    lower = pc.utf8_lower(said)
    spelling = pc.index_in(lower, value_set=pa.array(list(TRUE_AND_FALSE)))
    read = pa.array(list(TRUE_AND_FALSE.values())).take(spelling)
    # What is neither stays as it is, and so counts as unseen.
    missing = pa.array(spells(said, *MISSING, *MARKS, *WORDS))
    return pc.if_else(missing, pa.scalar(None, pa.string()), pc.coalesce(read, lower)), places


def _floats(column: Any) -> NDArray[np.float64]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _days(column: Any) -> NDArray[np.float64]:
    """Turn dates and timestamps into days since 1970-01-01 (UTC where there is a zone)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date32(column.type):
        return _floats(pc.cast(pc.cast(column, pa.int32()), pa.float64()))
    unit = "ms" if pa.types.is_date64(column.type) else column.type.unit
    return _floats(pc.cast(pc.cast(column, pa.int64()), pa.float64(), safe=False)) / _DAY[unit]

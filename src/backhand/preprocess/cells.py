"""What stands in a table's cells: numbers, dates, booleans, text, or nothing.

Cells from a CSV file arrive as text, exactly as written, so that a column of codes such as "007"
keeps them; here they are read as what the column as a whole turns out to hold. Cells from Parquet
have a type of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError, first_line

MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
NUMBER = r"(?i)^[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)$"
INTEGER = r"^[+-]?\d{1,18}$"
DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?Z?)?$"
BOOLEAN = r"(?i)^(true|false)$"
TRUE_AND_FALSE = {"true": "true", "1": "true", "false": "false", "0": "false"}

# Where `read_table` notes the number of the first row in the file, and the type of a column that it
# did not read since nothing can be made of it.
FIRST_ROW = b"backhand.first_row"
UNREAD = b"backhand.unread"

_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def row_number(table: Any, index: int) -> int:
    """Return the row's number as a person would count it in the file.

    In a CSV file the header is row 1; elsewhere the first row of data is. Blank lines count.
    """
    notes = table.schema.metadata or {}
    return index + int(notes.get(FIRST_ROW, b"1"))


def is_text(kind: Any) -> bool:
    """Say whether an Arrow type is one of its three kinds of text."""
    return str(kind) in ("string", "large_string", "string_view")


def is_usable(kind: Any) -> bool:
    """Say whether an Arrow type holds numbers, dates, booleans, text or nothing."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return is_usable(kind.value_type)
    numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    dates = types.is_date(kind) or types.is_timestamp(kind)
    return bool(numbers or dates or types.is_boolean(kind) or is_text(kind) or types.is_null(kind))


def mark(field: Any) -> dict[bytes, bytes]:
    """Return what a column that is not read says about itself."""
    return {UNREAD: str(field.type)[:60].encode()}


def type_of(table: Any, name: str) -> str:
    """Return the name of the type that a column has in its file."""
    field = table.schema.field(name)
    unread = (field.metadata or {}).get(UNREAD)
    return unread.decode() if unread is not None else str(field.type)


def _is_usable_column(table: Any, name: str) -> bool:
    field = table.schema.field(name)
    return UNREAD not in (field.metadata or {}) and is_usable(field.type)


def check_valid(table: Any, where: str = "") -> None:
    """Raise InputError for a column whose memory is not what its type says, as text in Latin-1."""
    import pyarrow as pa

    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{where}column {name!r}: cannot be read: {first_line(error)}"
            ) from None


def plain(table: Any, name: str) -> Any:
    """Return a column as one array, without dictionary encoding.

    Raises
    ------
    InputError
        For a type that holds neither numbers nor dates, booleans or text, such as a list.
    """
    import pyarrow as pa

    if not _is_usable_column(table, name):
        raise InputError(
            f"column {name!r} holds {type_of(table, name)}; "
            "numbers, dates, booleans or text are needed"
        )
    column = table.column(name)
    kind = decoded_type(column.type)
    whole = pa.chunked_array([decoded(part) for part in column.chunks], kind).combine_chunks()
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole


def decoded_type(kind: Any) -> Any:
    """Return the Arrow type of `decoded`."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if is_text(kind) else kind


def decoded(column: Any) -> Any:
    """Return an array without dictionary encoding, and text in Arrow's first kind of text."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return decoded(column.dictionary).take(column.indices)
    return column.cast(pa.string()) if is_text(column.type) else column


def _trimmed(column: Any) -> tuple[Any, NDArray[np.bool_]]:
    """Return text without surrounding spaces, and where it spells a missing value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.utf8_trim_whitespace(column)
    missing = pc.is_in(pc.utf8_lower(text), value_set=pa.array(MISSING))
    return text, np.asarray(pc.or_(missing, pc.is_null(text)))


def _all(text: Any, pattern: str, where: NDArray[np.bool_]) -> bool:
    """Say whether every text at ``where`` matches ``pattern``."""
    import pyarrow.compute as pc

    matches = pc.fill_null(pc.match_substring_regex(text, pattern), False)
    return bool(np.asarray(matches)[where].all())


def kind_of(table: Any, name: str) -> str:
    """Return "number", "date", "boolean", "text", "empty" or "unusable" for a whole column."""
    import pyarrow as pa

    if not _is_usable_column(table, name):
        return "unusable"
    column = plain(table, name)
    kind = column.type
    if column.null_count == len(column):
        return "empty"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "date"
    text, missing = _trimmed(column)
    known = ~missing
    if not known.any():
        return "empty"
    if _all(text, BOOLEAN, known):
        return "boolean"
    if _all(text, NUMBER, known):
        return "number"
    if _all(text, DATE, known) and _first_bad_date(text, known) is None:
        return "date"
    return "text"


def are_integers(table: Any, name: str) -> bool:
    """Say whether every known value of a number column is written or stored as an integer."""
    import pyarrow as pa

    column = plain(table, name)
    if pa.types.is_string(column.type):
        text, missing = _trimmed(column)
        return _all(text, INTEGER, ~missing)
    return bool(pa.types.is_integer(column.type))


def numbers(table: Any, name: str, kind: str = "number") -> NDArray[np.float64]:
    """Read a column as numbers, or as dates in days since 1970.

    Returns
    -------
    values : ndarray of float64, shape (N,)
        NaN where the value is missing.

    Raises
    ------
    InputError
        Names column, row and value for text that is no number (or no date) and for infinity.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = plain(table, name)
    form = column.type
    noun = "a date (YYYY-MM-DD)" if kind == "date" else "a number"
    if pa.types.is_null(form):
        return np.full(len(column), np.nan)
    if pa.types.is_string(form):
        text, missing = _trimmed(column)
        matches = pc.fill_null(
            pc.match_substring_regex(text, DATE if kind == "date" else NUMBER), False
        )
        bad = np.flatnonzero(~np.asarray(matches) & ~missing)
        wrong = int(bad[0]) if bad.size else None
        if kind == "date" and wrong is None:
            wrong = _first_bad_date(text, ~missing)
        if wrong is not None:
            raise _error(table, name, wrong, f"{column[wrong].as_py()!r} is not {noun}")
        known = pc.if_else(pa.array(~missing), text, pa.scalar(None, pa.string()))
        if kind == "date":
            return _days(_as_dates(known))
        values = _floats(pc.cast(pc.utf8_ltrim(known, "+"), pa.float64()))
    elif kind == "date":
        if not (pa.types.is_date(form) or pa.types.is_timestamp(form)):
            raise InputError(f"column {name!r} holds {form}, the model was trained on dates")
        return _days(column)
    elif pa.types.is_boolean(form):
        values = _floats(pc.cast(pc.cast(column, pa.int8()), pa.float64()))
    elif pa.types.is_integer(form) or pa.types.is_floating(form) or pa.types.is_decimal(form):
        values = _floats(pc.cast(column, pa.float64(), safe=False))
    else:
        raise InputError(f"column {name!r} holds {form}, which is not {noun}")
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        index = int(infinite[0])
        raise _error(table, name, index, f"{column[index].as_py()} is not a finite number")
    return values


def categories(table: Any, name: str, kind: str) -> Any:
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
    import pyarrow.compute as pc

    column = plain(table, name)
    if not pa.types.is_string(column.type):
        column = pc.cast(column, pa.string())
    text, missing = _trimmed(column)
    if kind == "boolean":
        lower = pc.utf8_lower(text)
        spelling = pc.index_in(lower, value_set=pa.array(list(TRUE_AND_FALSE)))
        read = pa.array(list(TRUE_AND_FALSE.values())).take(spelling)
        # What is neither stays as it is, and so counts as unseen.
        spelt = pc.coalesce(read, lower)
        return pc.if_else(pa.array(missing), pa.scalar(None, pa.string()), spelt)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _error(table: Any, name: str, index: int, what: str) -> InputError:
    return InputError(f"column {name!r}, row {row_number(table, index)}: {what}")


def _floats(column: Any) -> NDArray[np.float64]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _as_dates(text: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.cast(pc.utf8_rtrim(text, "Z"), pa.timestamp("us"))


def _days(column: Any) -> NDArray[np.float64]:
    """Turn dates and timestamps into days since 1970-01-01 (UTC where there is a zone)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date32(column.type):
        return _floats(pc.cast(pc.cast(column, pa.int32()), pa.float64()))
    unit = "ms" if pa.types.is_date64(column.type) else column.type.unit
    return _floats(pc.cast(pc.cast(column, pa.int64()), pa.float64(), safe=False)) / _DAY[unit]


def _first_bad_date(text: Any, known: NDArray[np.bool_]) -> int | None:
    """Return the first known row whose date is not in the calendar, None if all are."""
    import pyarrow as pa

    try:
        _as_dates(text.filter(pa.array(known)))
    except pa.ArrowInvalid:
        for index in np.flatnonzero(known):
            try:
                _as_dates(text.slice(int(index), 1))
            except pa.ArrowInvalid:
                return int(index)
    return None

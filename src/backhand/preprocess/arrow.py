"""Columns of an Arrow table: their types, their content as one array, and their rows' numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError, first_line

# Where `read_table` notes the number of the first row in the file, and the type of a column that it
# did not read since nothing can be made of it.
FIRST_ROW = b"backhand.first_row"
UNREAD = b"backhand.unread"
# Where `kept` notes, as int64, how many rows after the first one a table's rows stood.
PLACES = b"backhand.places"
# Where it notes the decimal mark that it was told, and the one that a file's numbers suggest.
DECIMAL = b"backhand.decimal"
LIKELY_DECIMAL = b"backhand.likely_decimal"

PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""Ticks of a duration or a time of day in a second, by Arrow's units."""


def row_number(table: Any, index: int) -> int:
    """Return the row's number as a person would count it in the file.

    In a CSV file the header is row 1; elsewhere the first row of data is. Blank lines count.
    """
    notes = table.schema.metadata or {}
    if PLACES in notes:
        index = int(np.frombuffer(notes[PLACES], np.int64)[index])
    return index + int(notes.get(FIRST_ROW, b"1"))


def kept(table: Any, which: NDArray[np.bool_]) -> Any:
    """Some rows of a table (N,), which keep their numbers."""
    import pyarrow as pa

    notes, places = table.schema.metadata or {}, np.flatnonzero(which)
    if PLACES in notes:
        places = np.frombuffer(notes[PLACES], np.int64)[places]
    some = table.filter(pa.array(which))
    return some.replace_schema_metadata({**notes, PLACES: places.astype(np.int64).tobytes()})


def is_text(kind: Any) -> bool:
    """Say whether an Arrow type is one of its three kinds of text."""
    return str(kind) in ("string", "large_string", "string_view")


def is_usable(kind: Any) -> bool:
    """Say whether an Arrow type holds numbers, durations, dates, booleans, text or nothing."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return is_usable(kind.value_type)
    numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    numbers |= types.is_duration(kind) or types.is_time(kind)
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


def is_usable_column(table: Any, name: str) -> bool:
    """Say whether a column was read, and `is_usable`."""
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
    """Return a column as one array, without dictionary encoding; durations in seconds.

    Raises
    ------
    InputError
        For a type that holds neither numbers nor dates, booleans or text, such as a list.
    """
    import pyarrow as pa

    column = _usable(table, name)
    parts = [decoded(part) for part in column.chunks]
    if len(parts) == 1:
        return parts[0]
    whole = pa.chunked_array(parts, decoded_type(column.type)).combine_chunks()
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole


def _usable(table: Any, name: str) -> Any:
    """Return a column that holds what can be used, else raise InputError."""
    if not is_usable_column(table, name):
        raise InputError(
            f"column {name!r} holds {type_of(table, name)}; "
            "numbers, dates, booleans or text are needed"
        )
    return table.column(name)


def cells_and_codes(table: Any, name: str) -> tuple[Any, NDArray[np.integer[Any]] | None]:
    """Return a column as `plain` does, but each cell of a dictionary once, and the codes of rows.

    A code is the place of a row's cell. Without a dictionary there are none: cell i is row i's.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = _usable(table, name).chunks
    if len(parts) != 1 or not pa.types.is_dictionary(parts[0].type):
        return plain(table, name), None
    cells, places = parts[0].dictionary, parts[0].indices
    if len(cells) >= len(places):
        return plain(table, name), None
    cells = decoded(cells)
    if places.null_count:
        places = pc.fill_null(places.cast(pa.int64()), len(cells))
        cells = pa.concat_arrays([cells, pa.nulls(1, cells.type)])
    return cells, np.asarray(places)


def decoded_type(kind: Any) -> Any:
    """Return the Arrow type of `decoded`."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        return pa.float64()
    return pa.string() if is_text(kind) else kind


def decoded(column: Any) -> Any:
    """Return an array without dictionary encoding, and text in Arrow's first kind of text.

    Durations and times of day become seconds.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        return decoded(column.dictionary).take(column.indices)
    if pa.types.is_duration(column.type) or pa.types.is_time(column.type):
        ticks = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())
        return pc.divide(ticks.cast(pa.float64(), safe=False), PER_SECOND[column.type.unit])
    return column.cast(pa.string()) if is_text(column.type) else column

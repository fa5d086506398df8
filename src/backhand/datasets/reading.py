"""CSV, TSV and Parquet files as tables, with every row of the file in its place."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backhand.datasets.dialect import (
    OFFSET,
    Dialect,
    checked_encoding,
    checked_separator,
    checked_text,
    find_dialect,
    open_text,
)
from backhand.errors import InputError, count, first_line
from backhand.files import as_path, check_file, reading
from backhand.memory import check_size, most_bytes
from backhand.preprocess import arrow, number_text

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATORS = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")
UNREADABLE = "is not a readable Parquet file"
PACKED = (".gz", ".bz2", ".xz")
FORMATS = ".csv, .tsv (also with .gz, .bz2 or .xz after it) and .parquet"

# A header of commas must not fill the memory with names.
MOST_COLUMNS = 100_000

# One row must fit into a block, so this bounds a row's length and not the file's.
_BLOCK = 1 << 24
_NUMBER = 8  # bytes, or half as many
_ROWS_AT_ONCE = 1 << 16
_CELLS_AT_ONCE = 1 << 22
_ROWS_THAT_TELL = 1000
_COLUMNS_THAT_TELL = 200


def read_table(
    path: str | Path,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
) -> pa.Table:
    """Read a CSV, TSV or Parquet file.

    Parameters
    ----------
    path : str or Path
        The suffix names the format: {formats}. Text has the names in the first row, or in the
        second after a line such as "sep=;".
    separator : str, optional
        What separates the columns of text. By default that of , ; | and tab which divides the first
        rows alike, if there is a choice the suffix's.
    decimal : {{".", ","}}, optional
        The decimal mark of numbers that are text. By default each column's cells tell, and if those
        do not, such as "1,234" in every row, the other columns' do.
    encoding : str, optional
        Of text, as Python names it; by default UTF-8, or UTF-16 if the first bytes say so.

    Returns
    -------
    table : pyarrow.Table
        One row for each row of the file. Parquet columns have their types; CSV cells are text
        exactly as written, so that codes such as "007" keep their zeros, and `TablePreparation`
        reads them as what the column holds. A row without any value, such as a blank line, is a row
        of missing values; only blank lines at the end of a table of several columns are no rows.

    Raises
    ------
    InputError
        For no such file, an unknown suffix, an empty file, a header without rows, a row with too
        many or too few values, duplicate column names, bytes that the encoding does not have, a
        damaged file, and one that asks for more memory than `backhand.memory.most_bytes` allows;
        for an option that is none, or that a Parquet file does not need.

    Warns
    -----
    UserWarning
        If a column without a name, such as the row labels that pandas and R write, is left out.
    """
    path = Path(as_path(path))
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    kind = suffixes[-1] if suffixes else ""
    check_file(path)
    if kind not in SEPARATORS and kind not in PARQUET:
        raise InputError(f"{path}: tables can be read from {FORMATS}")
    separator, encoding = checked_separator(separator), checked_encoding(encoding)
    check_decimal(decimal, separator)
    if kind in PARQUET:
        for name, given in (("separator", separator), ("encoding", encoding)):
            if given is not None:
                raise InputError(f"{path}: a Parquet file has no {name}; leave it out")
        table = _read_parquet(path)
    else:
        with reading(path):
            dialect = find_dialect(path, separator, encoding, SEPARATORS[kind])
            table = _read_text(path, dialect)
            if decimal is None:
                table = noted(table, arrow.LIKELY_DECIMAL, likely_decimal(table, dialect))
    if decimal is not None:
        table = noted(table, arrow.DECIMAL, decimal)
    if not table.num_rows:
        raise InputError(f"{path}: has a header but no rows")
    return table


def check_decimal(decimal: str | None, separator: str | None) -> None:
    """Raise InputError unless it is a decimal mark, and none that separates columns."""
    if decimal is not None and decimal not in number_text.MARKS:
        raise InputError(f"decimal {decimal!r}: must be '.' or ','")
    if decimal is not None and decimal == separator:
        raise InputError(f"separator and decimal are both {decimal!r}")


def noted(table: Any, key: bytes, value: str) -> Any:
    return table.replace_schema_metadata({**(table.schema.metadata or {}), key: value.encode()})


def likely_decimal(table: Any, dialect: Dialect) -> str:
    """Return the decimal mark of most numbers that can have only one."""
    import pyarrow.compute as pc

    first = table.slice(0, _ROWS_THAT_TELL).combine_chunks()
    told = sum(
        number_text.evidence(number_text.plain_characters(pc.utf8_trim_whitespace(cells.chunk(0))))
        for cells in first.columns[:_COLUMNS_THAT_TELL]
        if cells.num_chunks
    )
    # Semicolons separate where commas are taken.
    commas = told > 0 or (told == 0 and dialect.separator == ";")
    return "," if commas else "."


read_table.__doc__ = (read_table.__doc__ or "").format(formats=FORMATS)


def check_names(path: Path, names: list[str]) -> None:
    if len(names) > MOST_COLUMNS:
        raise InputError(f"{path}: has {len(names):,} columns; at most {MOST_COLUMNS:,} are read")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{path}: column {name!r} is there twice")
        seen.add(name)


# Parquet


def _read_parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path, UNREADABLE), pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
        check_names(path, schema.names)
        # What pandas writes for a row index is no feature.
        fields = [field for field in schema if not field.name.startswith("__index_level_")]
        groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
        limit = most_bytes(path)
        least = sum(group.total_byte_size for group in groups)
        check_size(max(least, rows * len(fields)), limit, str(path), "unpacks to")
        usable = [field for field in fields if arrow.is_usable(field.type)]
        read = _read_columns(path, usable, rows, limit) if usable else {}
        # Others are not read, and take no memory; a mark says what they hold.
        columns = {f.name: read.get(f.name, pa.nulls(rows)) for f in fields}
        marks = [
            pa.field(f.name, columns[f.name].type, metadata=arrow.mark(f))
            if f.name not in read
            else pa.field(f.name, columns[f.name].type)
            for f in fields
        ]
        table = pa.Table.from_arrays(list(columns.values()), schema=pa.schema(marks))
    arrow.check_valid(table, f"{path}, ")
    return table


def _read_columns(path: Path, fields: list[Any], rows: int, limit: int) -> dict[str, Any]:
    """Read columns a few rows at a time, and stop where they would take too much memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Text stays coded until its length is known: a million rows can share one text of a megabyte.
    texts = [field.name for field in fields if arrow.is_text(field.type)]
    chunks: dict[str, list[Any]] = {field.name: [] for field in fields}
    types: dict[str, Any] = {field.name: arrow.decoded_type(field.type) for field in fields}
    size = 0
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(
            batch_size=max(1, min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // len(fields))),
            columns=list(chunks),
            use_threads=False,  # or each thread unpacks a page of its own
        ):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                size += _length(column)
                check_size(size, limit, str(path), "unpacks to")
                chunks[name].append(arrow.decoded(column).cast(types[name]))
    found = {name: pa.chunked_array(parts, types[name]) for name, parts in chunks.items()}
    if any(len(column) != rows for column in found.values()):
        raise InputError(f"{path}: is damaged: it has fewer rows than it says")
    return found


def _length(column: Any) -> int:
    """Return the bytes that a column takes when nothing of it is coded any more."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    words = column.dictionary
    if not arrow.is_text(words.type):
        return _NUMBER * len(column)
    lengths = pc.cast(pc.binary_length(words), pa.int64())
    total = pc.sum(pc.take(lengths, column.indices)).as_py() or 0
    return int(total) + OFFSET * len(column)


# Text


def _read_text(path: Path, dialect: Dialect) -> Any:
    from pyarrow import csv as arrow_csv

    names = dialect.names
    if len(names) <= MOST_COLUMNS:
        # Arrow shows a traceback for a ragged row that is not UTF-8, so that is looked for first.
        blank = checked_text(path, dialect.encoding, len(names))
    check_names(path, [name for name in names if name])
    with _parsed(path, dialect) as (file, options):
        table = arrow_csv.read_csv(file, **options)
    if len(names) > 1:  # or a blank line is how a missing value is written
        table = table.slice(0, table.num_rows - _blank_at_the_end(table, blank))
    unnamed = [i for i, name in enumerate(names) if not name]
    if unnamed and table.num_rows:
        places = ", ".join(str(i + 1) for i in unnamed)
        warnings.warn(f"{path}: column {places} has no name and is left out", stacklevel=4)
    return _named(table, dialect, dialect.header + 1)


def text_parts(path: Path, dialect: Dialect) -> Iterator[Any]:
    """The rows of a file of text as tables, one after another: it may be larger than the memory.

    Errors are those of `read_table`, when the place is reached.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    check_names(path, [name for name in dialect.names if name])
    row = dialect.header + 1
    with (
        reading(path),
        _parsed(path, dialect) as (file, options),
        arrow_csv.open_csv(file, **options) as parts,
    ):
        for part in parts:
            yield _named(pa.Table.from_batches([part]), dialect, row)
            row += part.num_rows


@contextlib.contextmanager
def _parsed(path: Path, dialect: Dialect) -> Iterator[tuple[Any, dict[str, Any]]]:
    """An open file of text, and how Arrow is to read it: all cells as text."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    # Arrow wants distinct names, and two columns may both have none.
    marks = [f"{i}" for i in range(len(dialect.names))]
    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "error"

    options = {
        "read_options": arrow_csv.ReadOptions(
            column_names=marks,
            skip_rows_after_names=dialect.header,
            block_size=_BLOCK,
            use_threads=False,  # row numbers in messages need one thread
        ),
        "parse_options": arrow_csv.ParseOptions(
            delimiter=dialect.separator,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=note,
        ),
        "convert_options": arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(marks, pa.string()), strings_can_be_null=False
        ),
    }
    try:
        with open_text(path, dialect.encoding) as file:
            yield file, options
    except pa.ArrowInvalid as error:
        if not ragged:
            raise InputError(f"{path}: {_why_unread(error)}") from None
        row, mark = ragged[0], "tab" if dialect.separator == "\t" else dialect.separator
        raise InputError(
            f"{path}, row {row.number}: has {row.actual_columns} values, the header names "
            f"{count(row.expected_columns, 'column')} (separated by {mark!r}; if that is wrong, "
            "name another with --separator)"
        ) from None


def _why_unread(error: Exception) -> str:
    """Why text cannot be read, and the remedy if one is known."""
    why = f"cannot be read ({first_line(error)})"
    if "UTF8" in str(error):
        return f"{why}; name the file's encoding, such as --encoding cp1252"
    if "straddling" in str(error):
        return f"{why}: a row is longer than {_BLOCK >> 20} MB, or a quotation mark is not closed"
    return why


def _named(table: Any, dialect: Dialect, row: int) -> Any:
    """The columns that have names, by these; ``row`` is the number of the first row."""
    names = dialect.names
    table = table.select([i for i, name in enumerate(names) if name])
    table = table.rename_columns([name for name in names if name])
    return table.replace_schema_metadata({arrow.FIRST_ROW: f"{row}".encode()})


def _blank_at_the_end(table: Any, most: int) -> int:
    """Return how many of the last rows, at most ``most``, have no value in any column."""
    import pyarrow.compute as pc

    last = table.slice(max(0, table.num_rows - most))
    filled = np.zeros(last.num_rows, dtype=bool)
    for column in last.columns:
        filled |= np.asarray(pc.not_equal(column, ""))
    places = np.flatnonzero(filled)
    return int(last.num_rows) - (int(places[-1]) + 1 if places.size else 0)

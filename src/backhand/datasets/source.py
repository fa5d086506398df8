"""What all sources of rows have in common: a table that is read more than once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backhand.datasets.reading import noted
from backhand.errors import InputError, first_line
from backhand.preprocess import arrow
from backhand.preprocess.tables import nearest

ROWS = 1 << 16
"""The most rows of a batch; with more of them, more of a table is unpacked at a time."""

SAMPLE = 1 << 16
"""Rows of a sample, which says what columns hold."""

PARTS_SAMPLED = 8
"""Parts of a source, such as row groups, of which a sample has the first rows."""


class Batch(NamedTuple):
    """Some rows of a source.

    Attributes
    ----------
    table : pyarrow.Table
    numbers : ndarray of int64 (N,)
        A number for each row, which is its own in every pass and whatever the order.
    where : str
        The file, or what else messages call it.
    """

    table: Any
    numbers: NDArray[np.int64]
    where: str


class Source:
    """A table that can be read more than once, always with the same rows.

    To be implemented: `batches`.

    Attributes
    ----------
    names : list of str
        Of all columns.
    length : int or None
        Rows, if they are known before they are read.
    """

    names: list[str]
    length: int | None = None

    def batches(
        self, rng: np.random.Generator | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Batch]:
        """All rows once, at most `ROWS` of them at a time.

        Parameters
        ----------
        rng : numpy.random.Generator, optional
            Of the order of row groups, where they can be read in any order.
        columns : sequence of str, optional
            Which are needed; by default all.

        Raises
        ------
        InputError
            Names the file that has changed since the first pass, cannot be read, or has other
            columns than the others.
        """
        raise NotImplementedError

    def sample(self) -> Any:
        """Some rows from all over the source, as far as it can be read so: a pyarrow.Table."""
        return _head(self.batches(), SAMPLE)

    def check_there(self, columns: Iterable[str]) -> None:
        """Raise InputError if a column is missing, with the nearest name that is there."""
        for name in columns:
            if not isinstance(name, str):
                raise InputError(f"a column's name is text, got {name!r:.60}")
            if name not in self.names:
                near = nearest(name, self.names)
                hint = f"did you mean {near!r}? " if near else ""
                shown = ", ".join(self.names[:20])
                raise InputError(f"no column {name!r}: {hint}columns: {shown}")


def _head(batches: Iterator[Batch], rows: int) -> Any:
    found, left = [], rows
    for batch in batches:
        found.append(batch.table.slice(0, left))
        left -= found[-1].num_rows
        if left <= 0:
            break
    return joined(found)


def sampled(count: int, read: Callable[[int], Iterator[Batch]]) -> Any:
    """The first rows of some of ``count`` parts, from all over, each of which ``read`` reads."""
    places = np.unique(np.linspace(0, count - 1, PARTS_SAMPLED).round().astype(int)).tolist()
    each = -(-SAMPLE // len(places))
    firsts = [next(read(place), None) for place in places if count]
    return joined([first.table.slice(0, each) for first in firsts if first is not None])


def joined(tables: Sequence[Any]) -> Any:
    """Tables with the same columns, of types that may stand for one another, as one."""
    import pyarrow as pa

    if not tables:
        raise InputError("there are no rows, or the filter lets none through")
    tables = [decoded(table) for table in tables]
    for name in tables[0].column_names:
        kinds = {table.schema.field(name).type for table in tables}
        if len(kinds - {pa.null()}) > 1:
            tables = [_with_column(table, name, _common) for table in tables]
    whole = pa.concat_tables(tables, promote_options="permissive")
    whole = whole.take(np.arange(len(whole)))  # a copy: slices hold all that they are slices of
    notes = {k: v for k, v in (whole.schema.metadata or {}).items() if k != arrow.PLACES}
    return whole.replace_schema_metadata(notes)


def decoded(table: Any) -> Any:
    """A table without dictionaries, which tables to be joined do not share."""
    import pyarrow as pa

    for field in table.schema:
        if pa.types.is_dictionary(field.type):
            table = _with_column(table, field.name, arrow.decoded)
    return table


def _common(column: Any) -> Any:
    """An array as the type that all in its pool can become."""
    import pyarrow as pa

    wanted = {"number": pa.float64(), "date": pa.timestamp("us")}
    column = arrow.decoded(column)
    return column.cast(wanted.get(_pool_of(column.type), column.type), safe=False)


def _with_column(table: Any, name: str, change: Callable[[Any], Any]) -> Any:
    """A table with each chunk of one column changed."""
    import pyarrow as pa

    place = table.schema.get_field_index(name)
    field, column = table.schema.field(place), table.column(place)
    kind = change(pa.nulls(0, field.type)).type
    whole = pa.chunked_array([change(chunk) for chunk in column.chunks], kind)
    return table.set_column(place, field.with_type(kind), whole)


class Kinds:
    """What the columns of a source hold, which is the same in all of its parts."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[Any, str]] = {}

    def check(self, schema: Any, where: str, names: Iterable[str]) -> None:
        """Take in the types of columns of a part.

        Raises
        ------
        InputError
            If it lacks a column, or one holds something else than in a part before.
        """
        import pyarrow as pa

        for name in names:
            place = schema.get_field_index(name)
            if place < 0:
                raise InputError(f"{where}: has no column {name!r}, and others have one")
            kind = schema.field(place).type
            if pa.types.is_null(kind):
                continue
            known, there = self._first.setdefault(name, (kind, where))
            if _pool_of(kind) != _pool_of(known):
                raise InputError(
                    f"{where}: column {name!r} holds {kind}, and {there} has {known} there"
                )

    def __getitem__(self, name: str) -> Any:
        """The type of a column, where it first has values."""
        import pyarrow as pa

        return self._first[name][0] if name in self._first else pa.null()


def _pool_of(kind: Any) -> str:
    """Which Arrow types may stand for one another in the parts of one table."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _pool_of(kind.value_type)
    if arrow.is_text(kind):
        return "text"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "date"
    if pa.types.is_time(kind):
        return "time of day"
    return "duration" if pa.types.is_duration(kind) else str(kind)


def check_unchanged(path: Any, now: tuple[Any, ...], before: tuple[Any, ...]) -> None:
    """Raise InputError if a file has another size, or time of its last change, than before."""
    if now != before:
        raise InputError(
            f"{path}: has changed since it was first read; fit again when it stays as it is"
        )


@contextlib.contextmanager
def named(where: str) -> Iterator[None]:
    """Errors of what is done with a file's rows name the file."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


@contextlib.contextmanager
def filtering(filter: Any, where: str) -> Iterator[None]:
    """Errors of a filter, which may name no column or compare unlike types, become one line."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, TypeError, KeyError) as error:
        raise InputError(f"{where}: filter {filter}: {first_line(error)}") from None


def let_through(table: Any, filter: Any, where: str) -> Any:
    """The rows that a filter, or None, lets through. Raises InputError as `filtering`."""
    import pyarrow as pa

    for field in table.schema:
        if str(field.type) == "string_view":  # which Arrow cannot filter
            table = _with_column(table, field.name, lambda chunk: chunk.cast(pa.large_string()))
    if filter is None:
        return table
    with filtering(filter, where):
        row = "\0row"  # which no column is called
        numbered = table.append_column(row, pa.array(np.arange(len(table))))
        which = np.zeros(len(table), bool)
        which[numbered.filter(filter).column(row).to_numpy()] = True
        return arrow.kept(table, which)


def slices(table: Any) -> Iterator[Any]:
    """A table of text as some of at most `ROWS` rows, whose messages have the right row numbers."""
    row = int((table.schema.metadata or {}).get(arrow.FIRST_ROW, b"1"))
    for first in range(0, table.num_rows, ROWS):
        yield noted(table.slice(first, ROWS), arrow.FIRST_ROW, f"{row + first}")

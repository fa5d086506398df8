"""Parquet files as a source: row groups in any order, and files that stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backhand.datasets.reading import check_names
from backhand.datasets.source import ROWS, SAMPLE, Batch, Source
from backhand.errors import BackhandError, InputError, first_line
from backhand.preprocess import arrow

GROUPS_MIXED = 8
"""Row groups that are read at a time where they come in random order, in turns by chance."""

ROWS_MIXED = 1 << 13
"""Rows that are taken from one of them at a time."""

BUFFER = 1 << 18
"""Bytes of a column of a row group that are read ahead."""

GROUPS_SAMPLED = 8
"""Row groups of which a sample has the first rows."""


class _Group(NamedTuple):
    """A row group: its file, its place there, and the number of its first row in all and there."""

    file: int
    place: int
    first: int
    start: int


class ParquetFiles(Source):
    """Parquet files, whose row groups are read in any order.

    Parameters
    ----------
    dataset : pyarrow.dataset.FileSystemDataset
    filter : pyarrow.compute.Expression, optional
    """

    random = True

    def __init__(self, dataset: Any, filter: Any = None) -> None:
        self._filter = filter
        self._fragments = list(dataset.get_fragments(filter))
        if not self._fragments:
            raise InputError("no file has rows that the filter lets through")
        schema = self._schema = dataset.schema
        check_names(Path(self._fragments[0].path), schema.names)
        self.names = [name for name in schema.names if not name.startswith("__index_level_")]
        self._fields = {name: schema.field(name) for name in schema.names}
        self._seen = [self._state(fragment) for fragment in self._fragments]
        self._groups: list[_Group] = []
        first = 0
        for place, fragment in enumerate(self._fragments):
            start = first
            with self._reading(place):
                self._check_schema(fragment.physical_schema, fragment)
                held = fragment.metadata
                possible = {g.id for part in self._possible(fragment) for g in part.row_groups}
                for group in range(held.num_row_groups):
                    rows = held.row_group(group).num_rows
                    if rows and group in possible:
                        self._groups.append(_Group(place, group, first, first - start))
                    first += rows
        self.length = first if filter is None else None

    def _possible(self, fragment: Any) -> list[Any]:
        return list(fragment.split_by_row_group(self._filter, self._schema))

    def _state(self, fragment: Any) -> tuple[Any, ...]:
        info = fragment.filesystem.get_file_info(fragment.path)
        return info.size, info.mtime_ns

    def _check_schema(self, schema: Any, fragment: Any) -> None:
        first = self._fragments[0].path
        inside = [name for name in self.names if not self._is_of_folders(name)]
        for name in inside:
            place = schema.get_field_index(name)
            if place < 0:
                raise InputError(f"{fragment.path}: has no column {name!r}, and {first} has one")
            kind, wanted = schema.field(place).type, self._fields[name].type
            if pool_of(kind) != pool_of(wanted) and "null" not in (pool_of(kind), pool_of(wanted)):
                raise InputError(
                    f"{fragment.path}: column {name!r} holds {kind}, and {first} has {wanted} there"
                )

    def _is_of_folders(self, name: str) -> bool:
        """Whether a column is that of names of folders, and in no file."""
        return bool(self._fragments[0].physical_schema.get_field_index(name) < 0)

    def _reading(self, place: int) -> Any:
        return _Told(self._fragments[place].path, lambda: self._check_unchanged(place))

    def _check_unchanged(self, place: int) -> None:
        fragment = self._fragments[place]
        if self._state(fragment) != self._seen[place]:
            raise InputError(
                f"{fragment.path}: has changed since it was first read; fit again when it stays as "
                "it is"
            )

    def batches(
        self, rng: np.random.Generator | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Batch]:
        names = self.names if columns is None else list(columns)
        if rng is None:
            for group in self._groups:
                yield from self._read(group, names, ROWS)
            return
        waiting: list[int] = rng.permutation(len(self._groups)).tolist()
        begun: list[Iterator[Batch]] = []
        while waiting or begun:
            while waiting and len(begun) < GROUPS_MIXED:
                begun.append(self._read(self._groups[waiting.pop()], names, ROWS_MIXED))
            place = int(rng.integers(len(begun)))
            batch = next(begun[place], None)
            if batch is None:
                begun.pop(place)
            else:
                yield batch

    def _read(self, which: _Group, names: list[str], rows: int) -> Iterator[Batch]:
        import pyarrow as pa
        import pyarrow.dataset as ds
        import pyarrow.parquet as pq

        place, group, first, start = which
        fragment = self._fragments[place]
        of_folders = ds.get_partition_keys(fragment.partition_expression)
        inside = [n for n in names if n not in of_folders and arrow.is_usable(self._fields[n].type)]
        needed = inside
        if self._filter is not None:  # it may be of other columns
            every = fragment.physical_schema.names
            needed = inside + [n for n in every if n not in inside]
        texts = [name for name in inside if arrow.is_text(self._fields[name].type)]
        with self._reading(place):
            handle = fragment.filesystem.open_input_file(fragment.path)
            form = {"read_dictionary": texts, "buffer_size": BUFFER}
            with handle, pq.ParquetFile(handle, **form) as file:
                parts = file.iter_batches(
                    batch_size=rows, row_groups=[group], columns=needed, use_threads=False
                )
                for part in parts:
                    table = pa.Table.from_batches([part])
                    for name, value in of_folders.items():
                        field = self._fields[name]
                        same = pa.repeat(pa.scalar(value, field.type), len(table))
                        table = table.append_column(field, same)
                    if self._filter is not None:
                        table = table.filter(self._filter)
                    table = _complete(table, names, self._fields, start + 1)
                    numbers = np.arange(first, first + len(table), dtype=np.int64)
                    if len(table):
                        yield Batch(table, numbers, fragment.path)
                    first, start = first + part.num_rows, start + part.num_rows

    def sample(self) -> Any:
        import pyarrow as pa

        some = np.linspace(0, len(self._groups) - 1, GROUPS_SAMPLED).round().astype(int)
        places = np.unique(some).tolist() if self._groups else []
        each = -(-SAMPLE // max(len(places), 1))
        found = []
        for place in places:
            first = next(self._read(self._groups[place], self.names, ROWS), None)
            if first is not None:
                found.append(first.table.slice(0, each))
        if not found:
            raise InputError("the source has no rows")
        return pa.concat_tables([_decoded(part) for part in found], promote_options="permissive")


class _Told:
    """Names the file in whatever goes wrong while it is read, and checks that it is as it was."""

    def __init__(self, path: str, check: Callable[[], None]) -> None:
        self._path, self._check = path, check

    def __enter__(self) -> None:
        self._check()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None:
            self._check()
        if error is None or isinstance(error, (BackhandError, ImportError, GeneratorExit)):
            return
        if isinstance(error, Exception):
            self._check()  # which may be why
            raise InputError(
                f"{self._path}: is not a readable Parquet file ({first_line(error)})"
            ) from error


def pool_of(kind: Any) -> str:
    """Which Arrow types may stand for one another in the files of one table."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return pool_of(kind.value_type)
    if arrow.is_text(kind):
        return "text"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    return "date" if pa.types.is_date(kind) or pa.types.is_timestamp(kind) else str(kind)


def _complete(table: Any, names: Sequence[str], fields: Any, row: int) -> Any:
    """The named columns in their order; a mark stands for what cannot be used."""
    import pyarrow as pa

    columns, marked = [], []
    for name in names:
        if name in table.column_names:
            columns.append(table.column(name))
            marked.append(pa.field(name, columns[-1].type))
        else:
            columns.append(pa.chunked_array([pa.nulls(len(table))]))
            marked.append(pa.field(name, pa.null(), metadata=arrow.mark(fields[name])))
    notes = {arrow.FIRST_ROW: f"{row}".encode()}
    return pa.Table.from_arrays(columns, schema=pa.schema(marked, metadata=notes))


def _decoded(table: Any) -> Any:
    """Text without dictionaries, which tables to be joined do not share."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            kind = arrow.decoded_type(field.type)
            parts = [arrow.decoded(part).cast(kind) for part in table.column(place).chunks]
            whole = pa.chunked_array(parts, kind)
            table = table.set_column(place, pa.field(field.name, kind), whole)
    return table

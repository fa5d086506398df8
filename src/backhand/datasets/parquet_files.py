"""Parquet files as a source: row groups in any order, and files that stay as they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backhand.datasets.reading import UNREADABLE, check_names
from backhand.datasets.source import (
    ROWS,
    Batch,
    Kinds,
    Source,
    check_unchanged,
    filtering,
    let_through,
    sampled,
)
from backhand.errors import BackhandError, InputError
from backhand.files import explained
from backhand.preprocess import arrow

GROUPS_MIXED = 8
"""Row groups that are read at a time where they come in random order, in turns by chance."""

ROWS_MIXED = 1 << 13
"""Rows that are taken from one of them at a time."""

BUFFER = 1 << 18
"""Bytes of a column of a row group that are read ahead."""


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

    def __init__(self, dataset: Any, filter: Any = None) -> None:
        self._filter = filter
        with filtering(filter, "the files"):
            self._fragments = list(dataset.get_fragments(filter))
        if not self._fragments:
            raise InputError("no file has rows that the filter lets through")
        schema = self._schema = dataset.schema
        check_names(Path(self._fragments[0].path), schema.names)
        self.names = [name for name in schema.names if not name.startswith("__index_level_")]
        self._fields = {name: schema.field(name) for name in schema.names}
        self._seen = [self._state(fragment) for fragment in self._fragments]
        of_folders = {name for fragment in self._fragments for name in _of_folders(fragment)}
        inside, kinds = [name for name in self.names if name not in of_folders], Kinds()
        self._groups: list[_Group] = []
        first = 0
        for place, fragment in enumerate(self._fragments):
            start = first
            for name in sorted(of_folders - set(_of_folders(fragment))):
                raise InputError(
                    f"{fragment.path}: is in no folder {name}=..., and others are; move it into "
                    "one, or name the files to read"
                )
            with self._reading(place):
                kinds.check(fragment.physical_schema, fragment.path, inside)
                held = fragment.metadata
                possible = {g.id for part in self._possible(fragment) for g in part.row_groups}
                for group in range(held.num_row_groups):
                    rows = held.row_group(group).num_rows
                    if rows and group in possible:
                        self._groups.append(_Group(place, group, first, first - start))
                    first += rows
        for name in inside:  # the first file may have no values
            self._fields[name] = self._fields[name].with_type(kinds[name])
        self.length = first if filter is None else None

    def _possible(self, fragment: Any) -> list[Any]:
        return list(fragment.split_by_row_group(self._filter, self._schema))

    def _state(self, fragment: Any) -> tuple[Any, ...]:
        info = fragment.filesystem.get_file_info(fragment.path)
        return info.size, info.mtime_ns

    @contextlib.contextmanager
    def _reading(self, place: int) -> Iterator[None]:
        """Name the file in whatever goes wrong while it is read, and check that it is as it was."""
        path = self._fragments[place].path
        self._check_unchanged(place)
        try:
            with explained(path, UNREADABLE):
                yield
        except BackhandError:
            self._check_unchanged(place)  # which may be why
            raise
        self._check_unchanged(place)

    def _check_unchanged(self, place: int) -> None:
        fragment = self._fragments[place]
        check_unchanged(fragment.path, self._state(fragment), self._seen[place])

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
        import pyarrow.parquet as pq

        place, group, first, start = which
        fragment = self._fragments[place]
        of_folders = _of_folders(fragment)
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
                    table = let_through(table, self._filter, fragment.path)
                    table = _complete(table, names, self._fields, start + 1)
                    numbers = np.arange(first, first + len(table), dtype=np.int64)
                    if len(table):
                        yield Batch(table, numbers, fragment.path)
                    first, start = first + part.num_rows, start + part.num_rows

    def sample(self) -> Any:
        def first(place: int) -> Iterator[Batch]:
            return self._read(self._groups[place], self.names, ROWS)

        return sampled(len(self._groups), first)


def _of_folders(fragment: Any) -> dict[str, Any]:
    """Columns that the names of a file's folders give, such as ``year=2026``, and their values."""
    import pyarrow.dataset as ds

    return dict(ds.get_partition_keys(fragment.partition_expression))


def _complete(table: Any, names: Sequence[str], fields: Any, row: int) -> Any:
    """The named columns in their order; a mark stands for what cannot be used."""
    import pyarrow as pa

    columns, marked, there = [], [], dict(zip(table.column_names, table.columns, strict=True))
    for name in names:
        if name in there:
            columns.append(there[name])
            marked.append(pa.field(name, columns[-1].type))
        else:
            columns.append(pa.chunked_array([pa.nulls(len(table))]))
            marked.append(pa.field(name, pa.null(), metadata=arrow.mark(fields[name])))
    notes = {k: v for k, v in (table.schema.metadata or {}).items() if k == arrow.PLACES}
    notes[arrow.FIRST_ROW] = f"{row}".encode()
    return pa.Table.from_arrays(columns, schema=pa.schema(marked, metadata=notes))

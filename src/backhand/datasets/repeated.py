"""Tables that something makes anew in each pass: a function, a query, partitions of Dask's."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backhand.datasets.reading import check_names, noted
from backhand.datasets.source import Batch, Kinds, Source, let_through, named, sampled, slices
from backhand.errors import BackhandError, InputError, first_line
from backhand.preprocess import arrow
from backhand.preprocess.tables import as_table

AGAIN = "the same rows must come in each pass, in the same order"


class Repeated(Source):
    """What makes tables in one order only, again and again.

    Parameters
    ----------
    make : callable
        Returns an iterable of tables, or one.
    where : str
        What messages call it.
    filter : pyarrow.compute.Expression, optional
    """

    def __init__(self, make: Callable[[], Any], where: str, filter: Any = None) -> None:
        self._make, self._where, self._filter = make, where, filter
        self._made: Any = None
        self._rows: int | None = None
        first = next(self._tables(), None)
        if first is None:
            raise InputError(f"{where}: there are none")
        self.names = list(first.column_names)
        check_names(Path(where), self.names)
        self._kinds, self._start = Kinds(), _shown(first)

    def _tables(self) -> Iterator[Any]:
        import pyarrow as pa

        made = self._make()
        once = hasattr(made, "__next__")
        if once and made is self._made:
            raise InputError(
                f"{self._where}: the same iterator came twice, and is used up; return a new one "
                "whenever the function is called"
            )
        self._made = made if once else None
        many = made if once or isinstance(made, (list, tuple)) else [made]
        for number, one in enumerate(many, start=1):
            whole = pa.Table.from_batches([one]) if isinstance(one, pa.RecordBatch) else one
            with named(f"{self._where}, table {number}"):
                table = as_table(whole)
            yield table

    def batches(
        self, rng: np.random.Generator | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Batch]:
        names, rows = self.names if columns is None else list(columns), 0
        for number, table in enumerate(self._tables(), start=1):
            self._kinds.check(table.schema, f"{self._where}, table {number}", self.names)
            if number == 1 and _shown(table) != self._start:
                raise InputError(f"{self._where}: the first row is another than before; {AGAIN}")
            yield from _cut(table, names, rows, self._where, self._filter)
            rows += len(table)
        self._rows = rows if self._rows is None else self._rows
        _check_rows(self._where, rows, self._rows)


class Partitions(Source):
    """A dataframe of Dask's, whose partitions are computed one after another, in any order.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    filter : pyarrow.compute.Expression, optional
    """

    def __init__(self, frame: Any, filter: Any = None) -> None:
        self._frame, self._filter = frame, filter
        self._labels = {str(label): label for label in frame.columns}
        self.names = [str(label) for label in frame.columns]
        check_names(Path("the dataframe"), self.names)
        self._kinds = Kinds()
        self._lengths: dict[int, int] = {}

    def _reader(self, names: list[str]) -> Callable[[int, int], Iterator[Batch]]:
        """What reads a partition, given its place and the number of its first row."""
        needed = names if self._filter is None else self.names  # it may be of other columns
        frame = self._frame[[self._labels[name] for name in needed]]
        [parts] = told(frame.to_delayed, "the dataframe")()

        def read(place: int, first: int) -> Iterator[Batch]:
            where = f"partition {place} of the dataframe"
            [computed] = told(parts[place].compute, where)()
            table = as_table(computed)
            self._kinds.check(table.schema, where, needed)
            _check_rows(where, len(table), self._lengths.setdefault(place, len(table)))
            yield from _cut(table, names, first, where, self._filter)

        return read

    def batches(
        self, rng: np.random.Generator | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Batch]:
        count = self._frame.npartitions
        read = self._reader(self.names if columns is None else list(columns))
        if rng is None:
            first = 0
            for place in range(count):
                yield from read(place, first)
                first += self._lengths[place]
            return
        if len(self._lengths) < count:
            collections.deque(self.batches(), 0)  # which counts rows
        ends = np.cumsum([self._lengths[place] for place in range(count)])
        for place in rng.permutation(count).tolist():
            yield from read(place, int(ends[place]) - self._lengths[place])

    def sample(self) -> Any:
        read = self._reader(self.names)
        return sampled(self._frame.npartitions, lambda place: read(place, 0))


def told(make: Callable[[], Any], where: str, remedy: str = "") -> Callable[[], Iterator[Any]]:
    """What another library makes, one table or an iterator; its errors become one line each."""

    def tables() -> Iterator[Any]:
        try:
            made = make()
            yield from made if hasattr(made, "__next__") else [made]
        except BackhandError:
            raise
        except Exception as error:
            raise InputError(f"{where}: cannot be read: {first_line(error)}{remedy}") from error

    return tables


def _cut(table: Any, names: list[str], first: int, where: str, filter: Any) -> Iterator[Batch]:
    """The rows of a table that a filter lets through; ``first`` is the number of its first row."""
    for some in slices(noted(table, arrow.FIRST_ROW, f"{first + 1}")):
        kept = let_through(some, filter, where).select(names)
        if len(kept):
            yield Batch(kept, np.arange(first, first + len(kept)), where)
        first += len(some)


def _check_rows(where: str, rows: int, before: int) -> None:
    if rows != before:
        raise InputError(f"{where}: has {rows:,} rows, and had {before:,} before; {AGAIN}")


def _shown(table: Any) -> str:
    """The first row as text, by which another one is told from it."""
    return repr(table.slice(0, 1).to_pylist())

"""What all sources of rows have in common: a table that is read more than once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backhand.datasets.reading import noted
from backhand.errors import InputError
from backhand.preprocess import arrow
from backhand.preprocess.tables import nearest

ROWS = 1 << 16
"""The most rows of a batch; with more of them, more of a table is unpacked at a time."""

SAMPLE = 1 << 16
"""Rows of a sample, which says what columns hold."""


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
    random : bool
        Whether parts of it can be read in random order.
    """

    names: list[str]
    length: int | None = None
    random = False

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
            if name not in self.names:
                near = nearest(name, self.names)
                hint = f"did you mean {near!r}? " if near else ""
                shown = ", ".join(self.names[:20])
                raise InputError(f"no column {name!r}: {hint}columns: {shown}")


def _head(batches: Iterator[Batch], rows: int) -> Any:
    import pyarrow as pa

    found, left = [], rows
    for batch in batches:
        found.append(batch.table.slice(0, left))
        left -= found[-1].num_rows
        if left <= 0:
            break
    if not found:
        raise InputError("the source has no rows")
    return pa.concat_tables(found, promote_options="default")


def slices(table: Any) -> Iterator[Any]:
    """A table of text as some of at most `ROWS` rows, whose messages have the right row numbers."""
    row = int((table.schema.metadata or {}).get(arrow.FIRST_ROW, b"1"))
    for first in range(0, table.num_rows, ROWS):
        yield noted(table.slice(first, ROWS), arrow.FIRST_ROW, f"{row + first}")

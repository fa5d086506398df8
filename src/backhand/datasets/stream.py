"""`Stream`: a table that is read while it is learned from, and its column to predict."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.datasets.plain_rows import plain_rows
from backhand.datasets.source import Source
from backhand.datasets.sources import source_of
from backhand.datasets.tables import NO_CLASS
from backhand.datasets.text_files import TextFiles
from backhand.errors import InputError
from backhand.memory import as_bytes
from backhand.preprocess import arrow, cells
from backhand.preprocess.missing import spells
from backhand.preprocess.readings import Reading
from backhand.train.blocks import WINDOW, Blocks
from backhand.train.stored import disk_allowed, kept_or_reread

MOST_CLASSES = 10_000
"""Distinct values of a target, beyond which they are no classes."""


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """A table that memory does not hold, and how it is read while it is learned from.

    Parameters
    ----------
    data : path, list of paths, pyarrow.dataset.Dataset, dask dataframe, callable, or a table
        A folder of Parquet or CSV files, files, a dataframe of Dask's, a lazy frame of Polars', a
        relation of DuckDB's, whatever else exports an Arrow stream as often as it is asked, or a
        function that returns an iterator of tables: the same rows in the same order whenever it is
        called.
    columns : sequence of str, optional
        Those to read, the target among them; by default all.
    filter : pyarrow.compute.Expression, optional
        Rows to read, such as ``pyarrow.compute.field("year") > 2020``.
    validation : float
        Share of the rows that choose epochs and weights; at most 200,000 rows are taken.
    last : bool
        Whether these are the last rows, such as in time, instead of some from all over.
    window : int or str
        How many bytes of rows are shuffled together. While a network trains, two as many are in
        memory for it.
    disk : int or str, optional
        How many bytes prepared rows may take on the disk; by default half of what is free. If they
        would take more, none are kept, and rows are read and prepared again in each epoch.
    scratch : str, optional
        The folder where they are kept while a fit lasts; by default the system's for temporary
        files.
    separator, decimal, encoding : str, optional
        Of files of text, as of `backhand.datasets.reading.read_table`.

    Raises
    ------
    InputError
        If there is no such file or column, or a value makes no sense.
    """

    data: Any
    columns: Sequence[str] | None = None
    filter: Any = None
    validation: float = 0.1
    last: bool = False
    window: int | str = WINDOW
    disk: int | str | None = None
    scratch: str | None = None
    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        share = self.validation
        number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if not (number and 0 <= share < 1):
            raise InputError(f"validation must be a share of the rows, 0 to 1, got {share!r:.60}")
        if self.window_bytes <= 0:
            raise InputError(f"window={self.window!r}: must be a size such as 128M")
        _ = self.disk_bytes, self.source

    @property
    def window_bytes(self) -> int:
        return as_bytes(self.window, "window")

    @property
    def disk_bytes(self) -> int:
        return disk_allowed(
            None if self.disk is None else as_bytes(self.disk, "disk"), self.scratch
        )

    @functools.cached_property
    def source(self) -> Source:
        return source_of(
            self.data,
            columns=self.columns,
            filter=self.filter,
            separator=self.separator,
            decimal=self.decimal,
            encoding=self.encoding,
        )

    def batches(self) -> Iterator[Any]:
        """All rows in their order as pyarrow tables, such as to predict them a few at a time."""
        for batch in self.source.batches():
            yield batch.table

    def rows(self, target: str, *, regression: bool = False) -> Blocks:
        """Rows for `backhand.fit` of a plain network: numbers, neither scaled nor filled in.

        They are read through once now, and kept on the disk if there is room. `validation` and
        `last` are for estimators; `fit` takes validation rows in memory.

        Parameters
        ----------
        target : str
            The column to predict: the classes' numbers, 0, 1, ..., or booleans.
        regression : bool
            Whether it holds any numbers instead.

        Returns
        -------
        Blocks
            x of float32, the other columns in their order; t of int64, or of float64 for a
            regression.

        Raises
        ------
        InputError
            Names a column that holds neither numbers nor booleans, and the place of a value that
            is missing, too large, or no class.

        Examples
        --------
        >>> import numpy as np
        >>> import pyarrow as pa
        >>> from backhand import Network, Stream, TrainConfig, fit
        >>> x = np.linspace(-1, 1, 100)
        >>> table = pa.table({"a": x, "b": x**2, "y": x > 0})
        >>> net = Network((2, 8, 2), loss="softmax_cross_entropy")
        >>> rows = Stream(lambda: iter([table])).rows("y")
        >>> len(fit(net, net.init("lecun_normal", 0), rows, TrainConfig(epochs=3)).history)
        3
        """
        make = plain_rows(self.source, target, regression)
        return kept_or_reread(make, self.window_bytes, self.disk_bytes, self.scratch)


class TargetColumn:
    """The column to predict, read a few rows at a time as `read_target` reads it whole.

    Parameters
    ----------
    source : Source
    sample : pyarrow.Table
        Some of its rows, which say what the column holds.
    name : str
    regression : bool

    Raises
    ------
    InputError
        If the column holds no numbers, or what cannot be classes.
    """

    def __init__(self, source: Source, sample: Any, name: str, regression: bool) -> None:
        source.check_there([name])
        self.name, where = name, f"target column {name!r}"
        self._reading = cells.look(sample, name)
        kind = self._reading.kind
        if kind in ("date", "unusable"):
            what = "dates" if kind == "date" else arrow.type_of(sample, name)
            raise InputError(f"{where} holds {what}; it must hold numbers, text or booleans")
        if kind == "empty":
            raise InputError(f"{where} has no values in {len(sample):,} rows from all over")
        if regression:
            if kind != "number":
                raise InputError(f"{where} holds {kind}; regression needs numbers")
            self._dtype: Any = np.float64
            return
        typed_text = arrow.is_text(arrow.decoded_type(sample.schema.field(name).type))
        if kind == "number" and typed_text:
            as_written = not isinstance(source, TextFiles) or cells.have_zeros(sample, name)
            kind = "text" if as_written else kind
        if kind == "number":
            whole = cells.are_integers(sample, name, self._reading)
            self._dtype = np.int64 if whole else np.float64
        elif kind == "boolean":
            self._dtype = np.bool_
        else:
            self._dtype, self._reading = str, Reading("text")

    def read(self, table: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The values of rows that have one (M,), and which of the rows these are (N,)."""
        if self._reading.kind == "number":
            values = cells.numbers(table, self.name, self._reading, strays="ignore")
            known = ~np.isnan(values)
            if self._dtype is np.int64:
                self._check_whole(values[known])
            return values[known].astype(self._dtype), known
        import pyarrow as pa

        found = cells.categories(table, self.name, self._reading)
        if self._dtype is np.bool_:
            known = spells(found, "true", "false")
            return np.array(found.filter(pa.array(known)).to_pylist(), object) == "true", known
        known = ~spells(found, *NO_CLASS)
        some = found.filter(pa.array(known))
        return np.array(some.to_pylist(), dtype=object), known

    def _check_whole(self, values: NDArray[np.float64]) -> None:
        odd = values[(values != np.floor(values)) | (np.abs(values) >= cells.LARGEST_EXACT)]
        if len(odd):
            raise InputError(
                f"target column {self.name!r}: {odd[0]:g} is no whole number that float64 holds, "
                "as those of a sample are; make the classes text"
            )

    def strays(self, table: Any, known: NDArray[np.bool_]) -> tuple[int, str]:
        """Of the rows that have no value (N,): in how many something else stands; the first."""
        if known.all() or self._dtype is str:
            return 0, ""
        number, first, _ = cells.strays_among(table, self.name, self._reading, ~known)
        return number, first

"""The partitions of Dask's collections, with their targets, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..datasets.reading import noted
from ..datasets.source import Batch, Source, slices
from ..errors import InputError
from ..preprocess import arrow
from ..preprocess.tables import as_table


class Partition(Source):
    """A part of a table, in memory.

    Parameters
    ----------
    table : pyarrow.Table
    sample : pyarrow.Table
        Some rows from all over the whole table.
    first : int
        How many rows of the whole table stand before these.
    """

    def __init__(self, table: Any, sample: Any, first: int = 0) -> None:
        self.names, self.length = list(sample.column_names), len(table)
        self._table, self._sample, self._first = table, sample, first

    def sample(self) -> Any:
        return self._sample

    def batches(
        self, rng: np.random.Generator | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Batch]:
        table = self._table.select(self.names if columns is None else list(columns))
        first = self._first
        for some in slices(noted(table, arrow.FIRST_ROW, f"{first + 1}")):
            yield Batch(some, np.arange(first, first + len(some)), "a partition")
            first += len(some)


class Named:
    """Names for the target and the weights that no column of X has.

    Parameters
    ----------
    X, y, weight : collections of Dask's

    Attributes
    ----------
    target : str
    weight : str or None
    has_names : bool
        False if X is an array.

    Raises
    ------
    InputError
        If X is no dataframe and no array of two axes.
    """

    def __init__(self, X: Any, y: Any, weight: Any = None) -> None:
        self.has_names = hasattr(X, "columns")
        if self.has_names and hasattr(X, "to_delayed"):
            names = [str(name) for name in X.columns]
        elif hasattr(X, "to_delayed") and len(getattr(X, "shape", ())) == 2:
            names = [f"x{place}" for place in range(X.shape[1])]
        else:
            raise InputError(
                "X must be a dataframe or an array (N, D) of Dask's, such as "
                f"dask.dataframe.from_pandas(..., npartitions=4), got {type(X).__name__}; "
                "TabularClassifier and TabularRegressor take tables in memory"
            )
        given = getattr(y, "name", None) if self.has_names else None
        self.target = _free(given if isinstance(given, str) else "target", names)
        self.weight = None if weight is None else _free("weight", [*names, self.target])

    def delayed(self, X: Any, y: Any, weight: Any = None) -> list[Any]:
        """A delayed pyarrow.Table for each partition, with target and weights.

        Raises
        ------
        InputError
            If X, y and weights have different numbers of partitions.
        """
        from dask.delayed import delayed

        every = [parts_of(X, "X"), parts_of(y, "y")]
        if weight is not None:
            every.append(parts_of(weight, "sample_weight"))
        counts = {len(parts) for parts in every}
        if len(counts) > 1:
            raise InputError(
                f"X has {len(every[0])} partitions and y has {len(every[1])}"
                + ("" if weight is None else f", and sample_weight has {len(every[2])}")
                + ": give them the same ones, such as columns of one dataframe"
            )
        join = delayed(joined, pure=False)
        return [join([self.target, self.weight], *parts) for parts in zip(*every, strict=True)]


def _free(name: str, names: Sequence[str]) -> str:
    while name in names:
        name += "_"
    return name


def parts_of(collection: Any, name: str) -> list[Any]:
    """The partitions of a dataframe or an array of Dask's, as delayed objects.

    Raises
    ------
    InputError
        For anything else, and an array that is cut between columns.
    """
    if not hasattr(collection, "to_delayed"):
        raise InputError(
            f"{name} must be a collection of Dask's, got {type(collection).__name__}: such as "
            "dask.dataframe.from_pandas(..., npartitions=4), or dask.array.from_array"
        )
    parts = np.array(collection.to_delayed(), dtype=object)
    if parts.ndim > 1 and parts[0].size > 1:
        raise InputError(f"{name} is cut between columns: {name}.rechunk({{1: -1}}) joins them")
    return list(parts.reshape(-1))


def joined(names: Sequence[str | None], x: Any, *columns: Any) -> Any:
    """A partition with its target, and its weights, as one pyarrow.Table.

    Raises
    ------
    InputError
        If their numbers of rows differ.
    """
    table = as_table(x)
    for name, values in zip(names, columns, strict=False):
        if len(values) != len(table):
            raise InputError(
                f"a partition of X has {len(table)} rows, and that of {name!r} {len(values)}"
            )
        flat = np.asarray(values).reshape(-1) if getattr(values, "ndim", 1) > 1 else values
        table = table.append_column(name, as_table({name: flat}).column(0))
    return table

"""Partitions as tables: names that no column has, rows that fit, and numbers of rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from backhand import InputError
from backhand.dask.partitions import Named, Partition, joined, parts_of


def test_a_partition_numbers_its_rows_from_where_it_stands():
    table = pa.table({"a": [1.0, 2.0], "b": ["x", "y"]})
    source = Partition(table, table.slice(0, 1), 100)
    (batch,) = source.batches(None, ["b"])
    assert batch.table.column_names == ["b"]
    assert batch.numbers.tolist() == [100, 101]
    assert source.length == 2
    assert source.sample().num_rows == 1


def test_target_and_weights_are_joined():
    x = {"a": [1.0, 2.0]}
    found = joined(["y", "w"], x, np.array([[0], [1]]), np.array([0.5, 2.0]))
    assert found.to_pydict() == {"a": [1.0, 2.0], "y": [0, 1], "w": [0.5, 2.0]}
    with pytest.raises(InputError, match="a partition of X has 2 rows, and that of 'y' 3"):
        joined(["y"], x, [1, 2, 3])


def test_names_are_free():
    dd = pytest.importorskip("dask.dataframe")
    pd = pytest.importorskip("pandas")
    X = dd.from_pandas(pd.DataFrame({"y": [1.0], "weight": [2.0]}), npartitions=1)
    names = Named(X, X.y, X.weight)
    assert (names.target, names.weight, names.has_names) == ("y_", "weight_", True)


def test_an_array_that_is_cut_between_columns_says_so():
    da = pytest.importorskip("dask.array")
    X = da.zeros((4, 4), chunks=(2, 2))
    with pytest.raises(InputError, match=r"X is cut between columns: X\.rechunk"):
        parts_of(X, "X")
    assert len(parts_of(X.rechunk({1: -1}), "X")) == 2

"""The target of a stream, read a few rows at a time, and sizes as people write them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from backhand import InputError, Stream
from backhand.datasets.sources import source_of
from backhand.datasets.stream import TargetColumn


def column(values, regression=False):
    table = pa.table({"y": values})
    source = source_of(lambda: table)
    return TargetColumn(source, source.sample(), "y", regression), table


@pytest.mark.parametrize(
    ("values", "labels", "dtype"),
    [
        ([3, 1, None, 3], [3, 1, 3], np.int64),
        ([0.5, None, 1.5], [0.5, 1.5], np.float64),
        (["b", "a", None, ""], ["b", "a"], object),
        (["1", "2", "1"], ["1", "2", "1"], object),  # text of a typed column stays what it is
        ([True, None, False], [True, False], np.bool_),
    ],
    ids=["integers", "floats", "text", "digits", "booleans"],
)
def test_classes_are_as_their_column_has_them(values, labels, dtype):
    target, table = column(values)
    found, known = target.read(table)
    assert found.tolist() == labels
    assert found.dtype == dtype
    assert known.sum() == len(labels)


def test_numbers_are_read_as_such():
    target, table = column([1, None, 3], regression=True)
    found, known = target.read(table)
    assert found.tolist() == [1.0, 3.0]
    assert known.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("values", "regression", "message"),
    [
        (["a", "b"], True, "holds text; regression needs numbers"),
        (pa.nulls(3), False, "has no values in 3 rows"),
        ([[1], [2]], False, "holds list"),
        (np.array(["2020-01-01"], "M8[D]"), False, "holds dates"),
    ],
    ids=["text", "empty", "list", "dates"],
)
def test_what_is_no_target(values, regression, message):
    with pytest.raises(InputError, match=message):
        column(values, regression)


def test_sizes_are_numbers_or_text():
    table = pa.table({"y": [1]})
    assert Stream(lambda: table, window="2M").window_bytes == 2 << 20
    assert Stream(lambda: table, window=100, disk=0).disk_bytes == 0
    for wrong in ({"window": 0}, {"window": -1}, {"disk": "all"}, {"validation": True}):
        with pytest.raises(InputError):
            Stream(lambda: table, **wrong)

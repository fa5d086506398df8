from __future__ import annotations

import sys

import numpy as np
import pytest

from backhand.datasets import columns
from backhand.errors import InputError, MissingExtraError

pa = pytest.importorskip("pyarrow")


def fitted(values):
    return columns.fit_column(pa.table({"c": values}), "c", None)


def test_few_categories_are_kept_however_few_the_rows():
    many = [f"v{i}" for i in range(columns.FEW_CATEGORIES)]
    assert isinstance(fitted(many), columns.CategoryColumn)
    assert fitted([*many, "one more"]) == "text with too many distinct values"
    assert isinstance(fitted([*many, "one more"] * 2), columns.CategoryColumn)


def test_a_thousand_categories_are_the_most():
    many = [f"v{i}" for i in range(columns.MOST_CATEGORIES)]
    assert isinstance(fitted(many * 3), columns.CategoryColumn)
    assert fitted([*many, "one more"] * 3) == "text with too many distinct values"


def test_a_boolean_column_takes_zeros_and_ones_later():
    encoder = fitted([True, False])
    x = np.zeros((3, 3), np.float32)
    encoder.encode(pa.table({"c": ["0", "1", "2"]}), x)
    np.testing.assert_array_equal(x, np.eye(3))


def test_a_text_column_of_codes_takes_them_as_numbers_later():
    encoder = fitted(["1", "2", "A"])
    x = np.zeros((2, 4), np.float32)
    encoder.encode(pa.table({"c": [2, 3]}), x)
    np.testing.assert_array_equal(x, [[0, 1, 0, 0], [0, 0, 0, 1]])


def test_mean_and_std_of_one_value_repeated():
    assert columns.mean_and_std(np.full(7, 0.1), "here")[1] < 1e-16


def test_tables_are_made_from_mappings_or_refused():
    assert columns.as_table({"a": np.arange(3), 2: [1, None, 3]}).column_names == ["a", "2"]
    for raw, message in (
        ({"a": [1, "x"]}, "column 'a' cannot be read"),
        ({"a": [1], "b": [1, 2]}, "columns differ in length: 'a' 1, 'b' 2"),
        ([1, 2], "must be a pyarrow.Table or a mapping, not list"),
        (pa.table([[1], [2]], names=["a", "a"]), "column 'a' is there twice"),
        ({1: [1], "1": [2]}, "column '1' is there twice"),
    ):
        with pytest.raises(InputError, match=message):
            columns.as_table(raw)


def test_the_extra_is_named_without_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"backhand\[table\]"):
        columns.as_table({"a": [1]})


def test_the_nearest_name_is_found_whatever_its_case():
    assert columns.nearest("Age", ["AGE", "name"]) == "AGE"
    assert columns.nearest("heigth", ["height", "weight"]) == "height"
    assert columns.nearest("zzz", ["height"]) is None

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from backhand.errors import InputError
from backhand.preprocess import cells, columns


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
    x = np.zeros((3, 2), np.float32)
    told = encoder.encode(pa.table({"c": ["0", "1", "2"]}), x)
    assert told == "column 'c': 1 value not seen in training ('2'), in 1 row"
    np.testing.assert_array_equal(x, [[1, 0], [0, 1], [0.5, 0.5]])


def test_a_text_column_of_codes_takes_them_as_numbers_later():
    encoder = fitted(["1", "2", "A"])
    x = np.zeros((2, 3), np.float32)
    encoder.encode(pa.table({"c": [2, 3]}), x)
    np.testing.assert_allclose(x, [[0, 1, 0], [1 / 3] * 3], rtol=1e-7)


def test_mean_and_std_of_one_value_repeated():
    assert columns.mean_and_std(np.full(7, 0.1), "here")[1] < 1e-16


WANTED = {"n": [1.5, None], "kind": ["p", "q"]}


@pytest.mark.parametrize(
    "raw",
    [
        WANTED,
        {"n": np.array([1.5, np.nan]), "kind": np.array(["p", "q"])},
        {"n": pd.Series([1.5, None], index=[7, 8]), "kind": ("p", "q")},
        [{"n": 1.5, "kind": "p"}, {"kind": "q"}],
        [{"kind": "p", "n": np.float64(1.5)}, {"kind": "q", "n": None}],
        pa.table(WANTED),
        pd.DataFrame(WANTED),
        pd.DataFrame(WANTED, index=["u", "v"]),
        pd.DataFrame(WANTED).astype({"kind": "category", "n": "Float64"}),
        pl.DataFrame(WANTED),
        pl.DataFrame(WANTED).with_columns(pl.col("kind").cast(pl.Categorical)),
    ],
    ids=lambda raw: type(raw).__name__,
)
def test_rows_are_taken_as_people_have_them(raw):
    table = columns.as_table(raw)
    assert sorted(table.column_names) == ["kind", "n"]
    np.testing.assert_array_equal(cells.numbers(table, "n"), [1.5, np.nan])
    assert cells.categories(table, "kind", "text").to_pylist() == ["p", "q"]


def test_single_values_are_one_row():
    day = datetime.date(2020, 3, 1)
    table = columns.as_table({"a": 1, "b": "text", "c": None, "d": day, "e": np.float32(2)})
    assert table.to_pylist() == [{"a": 1, "b": "text", "c": None, "d": day, "e": 2.0}]
    assert columns.as_table({"a": np.array(2.5)}).to_pylist() == [{"a": 2.5}]
    assert columns.as_table({"a": iter([1, 2])}).num_rows == 2
    assert columns.as_table({"a": np.arange(3), 2: [1, None, 3]}).column_names == ["a", "2"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"a": [1, "x"]}, "column 'a', row 2 cannot be read"),
        ({"a": [2**70]}, "column 'a', row 1 cannot be read"),
        ({"a": object()}, "column 'a' cannot be read"),
        ({"a": np.zeros((2, 2))}, "column 'a' cannot be read"),
        ({"a": [1], "b": [1, 2]}, "columns differ in length: 'a' 1, 'b' 2"),
        ({"a": [1], "b": 2}, "'b' is a single value and column 'a' is not: give lists"),
        ([{"a": 1}, {"a": "x"}], "column 'a', row 2 cannot be read"),
        ([1, 2], "must be a DataFrame, a pyarrow.Table, .* not list"),
        ([], "must be a DataFrame, .* not list"),
        (None, "must be a DataFrame, .* not NoneType"),
        (pd.DataFrame({"a": [1, "x"]}), "column 'a' cannot be read"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "column 'a' is there twice"),
        (pa.table([[1], [2]], names=["a", "a"]), "column 'a' is there twice"),
        ({1: [1], "1": [2]}, "column '1' is there twice"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(raw, message):
    with pytest.raises(InputError, match=message) as caught:
        columns.as_table(raw)
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf8_is_named():
    raw = pa.array([b"\xff\xfe"])
    text = pa.StringArray.from_buffers(1, raw.buffers()[1], raw.buffers()[2])
    with pytest.raises(InputError, match=r"column 'c': cannot be read: .*UTF8"):
        columns.as_table(pa.table({"c": text}))


def test_the_nearest_name_is_found_whatever_its_case():
    assert columns.nearest("Age", ["AGE", "name"]) == "AGE"
    assert columns.nearest("heigth", ["height", "weight"]) == "height"
    assert columns.nearest("zzz", ["height"]) is None


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1, 2, 6], "mean 3, standard deviation 2.16"),
        ([4, 4, None], "one value, or missing"),
        (["2024-03-01", "2024-03-03"], "about 2024-03-02, 1 days around"),
        (["b", "a", None, "b"], "a, b, or missing"),
        (list("abcdefghijkl"), "a, b, c, d, e, f, g, h, i, j and 2 more"),
    ],
)
def test_what_a_column_has_for_people(values, told):
    assert fitted(values).summary == told


def test_a_date_that_somebody_edited_has_a_summary():
    assert columns.NumberColumn("day", "date", 1e300, 1.0, False).summary.startswith("mean 1e+300")


@pytest.mark.parametrize(
    ("values", "row"),
    [([True, "false", None], 2), ([None, 1.5, 2, "x", 3], 4), (["a"] * 40 + [3], 41)],
)
def test_a_list_of_mixed_values_is_refused_with_its_row(values, row):
    with pytest.raises(InputError, match=f"column 'c', row {row} cannot be read: "):
        columns.as_table({"c": values})

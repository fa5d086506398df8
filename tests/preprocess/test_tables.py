from __future__ import annotations

import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from backhand.errors import InputError
from backhand.preprocess import arrow, cells
from backhand.preprocess.readings import Reading
from backhand.preprocess.tables import Columns, as_table, matrix, nearest

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
    table = as_table(raw)
    assert sorted(table.column_names) == ["kind", "n"]
    np.testing.assert_array_equal(cells.numbers(table, "n"), [1.5, np.nan])
    assert cells.categories(table, "kind", Reading("text")).to_pylist() == ["p", "q"]


def test_single_values_are_one_row():
    day = datetime.date(2020, 3, 1)
    table = as_table({"a": 1, "b": "text", "c": None, "d": day, "e": np.float32(2)})
    assert table.to_pylist() == [{"a": 1, "b": "text", "c": None, "d": day, "e": 2.0}]
    assert as_table({"a": np.array(2.5)}).to_pylist() == [{"a": 2.5}]
    assert as_table({"a": iter([1, 2])}).num_rows == 2
    assert as_table({"a": np.arange(3), 2: [1, None, 3]}).column_names == ["a", "2"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"a": [1, [2]]}, "column 'a', row 2 cannot be read"),
        (pl.DataFrame({"a": [1]}).lazy(), r"LazyFrame has not been read yet: pass its collect\(\)"),
        ({"a": object()}, "column 'a', row 1 cannot be read"),
        ({"a": np.zeros((2, 2))}, "column 'a' cannot be read"),
        ({"a": [1], "b": [1, 2]}, "columns differ in length: 'a' 1, 'b' 2"),
        ({"a": [1], "b": 2}, "'b' is a single value and column 'a' is not: give lists"),
        ([{"a": 1}, {"a": {}}], "column 'a', row 2 cannot be read"),
        ([1, 2], "must be a DataFrame, a pyarrow.Table, .* not list"),
        ([], "must be a DataFrame, .* not list"),
        (None, "must be a DataFrame, .* not NoneType"),
        (pd.DataFrame({"a": [1, b"x", []]}), "column 'a' cannot be read"),
        (np.zeros(3), r"shape \(3,\): rows and columns"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "column 'a' is there twice"),
        (pa.table([[1], [2]], names=["a", "a"]), "column 'a' is there twice"),
        ({1: [1], "1": [2]}, "column '1' is there twice"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(raw, message):
    with pytest.raises(InputError, match=message) as caught:
        as_table(raw)
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf8_is_named():
    raw = pa.array([b"\xff\xfe"])
    text = pa.StringArray.from_buffers(1, raw.buffers()[1], raw.buffers()[2])
    with pytest.raises(InputError, match=r"column 'c': cannot be read: .*UTF8"):
        as_table(pa.table({"c": text}))


def test_the_nearest_name_is_found_whatever_its_case():
    assert nearest("Age", ["AGE", "name"]) == "AGE"
    assert nearest("heigth", ["height", "weight"]) == "height"
    assert nearest("zzz", ["height"]) is None


@pytest.mark.parametrize(
    ("values", "row"),
    [([True, [], None], 2), ([None, 1.5, 2, b"x", 3], 4), (["a"] * 40 + [{}], 41)],
)
def test_a_list_of_mixed_values_is_refused_with_its_row(values, row):
    with pytest.raises(InputError, match=f"column 'c', row {row} cannot be read: "):
        as_table({"c": values})


@pytest.mark.parametrize("pack", [list, tuple, lambda v: pd.Series(v, dtype=object)])
def test_numbers_and_texts_in_one_column_are_text(pack):
    """As a spreadsheet gives them; `cells` then reads nearly all of them as numbers."""
    values = [1, 2.5, "unknown", None, float("nan"), np.int64(3), True]
    table = as_table({"c": pack(values)})
    assert table.column("c").to_pylist() == ["1", "2.5", "unknown", None, None, "3", "True"]
    frame = as_table(pd.DataFrame({"c": [1, "x", pd.NA, pd.NaT]}, dtype=object))
    assert frame.column("c").to_pylist() == ["1", "x", None, None]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([Decimal("1.5"), 2.5, None, True, Fraction(1, 4)], [1.5, 2.5, None, 1.0, 0.25]),
        ([2**70, 5, None], [str(2**70), "5", None]),  # float64 would confuse it with others
        ([Decimal("NaN"), 1.5, "x"], [None, "1.5", "x"]),
    ],
)
def test_numbers_of_several_types_in_one_column(values, wanted):
    for given in (values, pd.Series(values, dtype=object)):
        assert as_table({"c": given}).column("c").to_pylist() == wanted


@pytest.mark.parametrize("dtype", [">f8", ">i2", np.longdouble, "m8[D]", "m8[h]", "M8[D]", ">f2"])
def test_arrays_of_dtypes_that_arrow_does_not_have(dtype):
    array = np.array([[0, 3], [1, 4]]).astype(dtype)
    unit = {"m8[D]": 86_400, "m8[h]": 3600}.get(dtype, 1)
    column = Columns(array).only("x1")
    read = cells.dates if dtype == "M8[D]" else cells.numbers
    reading = cells.look(column, "x1")
    np.testing.assert_array_equal(read(column, "x1", reading), [3 * unit, 4 * unit])
    if array.dtype.kind in "if":
        frame = as_table(pd.DataFrame({"c": array[:, 1]}))
        np.testing.assert_array_equal(cells.numbers(frame, "c"), [3, 4])


def test_masked_elements_are_missing():
    array = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 1], [0, 0]])
    np.testing.assert_array_equal(cells.numbers(Columns(array).only("x1"), "x1"), [np.nan, 4])


def test_kinds_of_cells_that_only_pandas_has():
    found = as_table(
        pd.DataFrame(
            {
                "sparse": pd.arrays.SparseArray([0.0, 1.5, 0.0]),
                "month": pd.period_range("2020-01", periods=3, freq="M"),
                "cut": pd.cut([1.0, np.nan, 9.0], [0, 5, 10]),
                "interval": pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]),
            }
        )
    )
    np.testing.assert_array_equal(cells.numbers(found, "sparse"), [0, 1.5, 0])
    days = cells.dates(found, "month", cells.look(found, "month"))
    np.testing.assert_array_equal(np.diff(days), [31, 29])
    assert found.column("cut").to_pylist() == ["(0, 5]", None, "(5, 10]"]
    assert found.column("interval").to_pylist() == ["(0, 1]", "(1, 2]", "(2, 3]"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, bool, object])
def test_the_columns_of_an_array(dtype):
    array = np.array([[0, 1], [1, 1], [0, 0]]).astype(dtype)
    for given in (array, np.asfortranarray(array), np.repeat(array, 2, axis=1)[:, ::2]):
        columns = Columns(given)
        assert (columns.names, columns.rows, columns.has_names) == (["x0", "x1"], 3, False)
        np.testing.assert_array_equal(cells.numbers(columns.only("x1"), "x1"), [1, 1, 0])


def test_a_column_of_a_file_keeps_its_row_numbers():
    table = pa.table({"a": ["1", "x"], "b": ["1", "2"]}).replace_schema_metadata(
        {arrow.FIRST_ROW: b"7"}
    )
    assert arrow.row_number(Columns(table).only("b"), 1) == 8


def test_a_frame_is_never_there_twice():
    """Only the column that is asked for is made, and a view of a number column is not copied."""
    frame = pd.DataFrame({"a": np.arange(3.0), "b": [object()] * 3})
    assert Columns(frame).only("a").column("a").to_pylist() == [0, 1, 2]
    array = np.asfortranarray(np.arange(6.0).reshape(3, 2))
    column = Columns(array).only("x1").column(0).chunk(0)
    assert np.shares_memory(column.to_numpy(), array)


def test_missing_columns_are_named_with_the_nearest():
    columns = Columns({"aeg": [1], "b": [1]})
    with pytest.raises(InputError, match="column 'age' is missing; did you mean 'aeg'\\?"):
        columns.check_there(["b", "age"])
    with pytest.raises(InputError, match=r"^column 'zzz' is missing$"):
        columns.check_there(["zzz"])


def test_a_matrix_of_numbers():
    table = {"b": ["1", ""], "a": [3, 4], "c": ["x", "y"]}
    np.testing.assert_array_equal(matrix(table, ["a", "b"]), [[3, 1], [4, np.nan]])
    with pytest.raises(InputError, match="column 'c', row 1: 'x' is not a number"):
        matrix(table, ["c"])

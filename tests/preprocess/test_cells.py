from __future__ import annotations

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest

from backhand.errors import InputError
from backhand.preprocess import cells


def one(values, **kwargs):
    return pa.table({"c": pa.array(values, **kwargs)})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", "-3e4", "+.5", "7."], "number"),
        (["1", "NA", "", " ? ", "nan", "NULL", "n/a", "None"], "number"),
        (["inf", "-Infinity"], "number"),
        (["1", "2x"], "text"),
        (["1,5", "2,5"], "text"),
        (["0x10", "1"], "text"),
        (["true", "False", "NA"], "boolean"),
        (["true", "yes"], "text"),
        (["2020-01-31", "2021-12-01 10:20", "2021-12-01T10:20:30.25Z"], "date"),
        (["2020-02-30", "2020-01-01"], "text"),
        (["", "NA", "?"], "empty"),
        ([None, None], "empty"),
        ([1, 2], "number"),
        ([1.5, None], "number"),
        ([decimal.Decimal("1.5")], "number"),
        ([True, None], "boolean"),
        ([datetime.date(2020, 1, 1)], "date"),
        ([datetime.datetime(2020, 1, 1)], "date"),
        ([[1], [2]], "unusable"),
        ([b"a"], "unusable"),
        ([datetime.time(1)], "unusable"),
    ],
)
def test_kinds(values, kind):
    assert cells.kind_of(one(values), "c") == kind


def test_numbers_from_text():
    values = cells.numbers(one([" 1", "+2.5", "-3E2", "", "NA", ".5", "7.", None]), "c")
    np.testing.assert_array_equal(values, [1, 2.5, -300, np.nan, np.nan, 0.5, 7, np.nan])


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
)
def test_every_form_of_text_is_read(kind):
    table = one(["1", "2", None]).cast(pa.schema([("c", kind)]))
    np.testing.assert_array_equal(cells.numbers(table, "c"), [1, 2, np.nan])
    assert cells.categories(table, "c", "text").to_pylist() == ["1", "2", None]


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint64(), pa.float32(), pa.float64(), pa.decimal128(30, 2)]
)
def test_every_form_of_number_is_read(kind):
    table = one([1, 2, None]).cast(pa.schema([("c", kind)]))
    np.testing.assert_array_equal(cells.numbers(table, "c"), [1, 2, np.nan])


def test_columns_in_several_pieces_are_one():
    table = pa.concat_tables([one(["1"]), one(["2"]), one(["3"])])
    np.testing.assert_array_equal(cells.numbers(table, "c"), [1, 2, 3])


def test_dates_are_days_since_1970():
    day = datetime.date(2020, 3, 1)
    days = (day - datetime.date(1970, 1, 1)).days
    for column in (
        one(["2020-03-01", "2020-03-01T12:00", ""]),
        one([datetime.datetime(2020, 3, 1), datetime.datetime(2020, 3, 1, 12), None]),
    ):
        np.testing.assert_array_equal(
            cells.numbers(column, "c", "date"), [days, days + 0.5, np.nan]
        )
    np.testing.assert_array_equal(cells.numbers(one([day, None]), "c", "date"), [days, np.nan])
    wide = one([day]).cast(pa.schema([("c", pa.date64())]))
    np.testing.assert_array_equal(cells.numbers(wide, "c", "date"), [days])


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (["1", "2", "abc"], "number", "column 'c', row 3: 'abc' is not a number"),
        (["1", "inf"], "number", "column 'c', row 2: inf is not a finite number"),
        (["1", "1e999"], "number", "column 'c', row 2: 1e999 is not a finite number"),
        ([1.0, float("-inf")], "number", "column 'c', row 2: -inf is not a finite number"),
        (["2020-01-01", "2020-02-30"], "date", "row 2: '2020-02-30' is not a date"),
        (["2020-01-01", "soon"], "date", "row 2: 'soon' is not a date"),
        ([1, 2], "date", "the model was trained on dates"),
        ([[1]], "number", "column 'c' holds list"),
    ],
)
def test_what_cannot_be_read_is_named(values, kind, message):
    with pytest.raises(InputError, match=message):
        cells.numbers(one(values), "c", kind)


def test_categories():
    text = cells.categories(one([" a", "b ", "", "NA", None]), "c", "text")
    assert text.to_pylist() == ["a", "b", None, "NA", None]
    boolean = cells.categories(one(["TRUE", "0", "1", "NA", "", "maybe"]), "c", "boolean")
    assert boolean.to_pylist() == ["true", "false", "true", None, None, "maybe"]
    assert cells.categories(one([True, None]), "c", "boolean").to_pylist() == ["true", None]
    assert cells.categories(one([1, 2]), "c", "text").to_pylist() == ["1", "2"]
    with pytest.raises(InputError, match="column 'c' holds list"):
        cells.categories(one([[1]]), "c", "text")


def test_rows_are_numbered_as_in_the_file():
    table = one(["a", "b", "c", "d"])
    assert [cells.row_number(table, i) for i in range(4)] == [1, 2, 3, 4]
    noted = table.replace_schema_metadata({cells.FIRST_ROW: b"2"})
    assert [cells.row_number(noted, i) for i in range(4)] == [2, 3, 4, 5]


def test_integers_are_told_from_other_numbers():
    assert cells.are_integers(one(["1", "-2", "NA"]), "c")
    assert cells.are_integers(one([1, 2]), "c")
    assert not cells.are_integers(one(["1", "2.0"]), "c")
    assert not cells.are_integers(one([1.0, 2.0]), "c")

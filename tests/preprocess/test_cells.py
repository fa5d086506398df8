from __future__ import annotations

import datetime
import decimal
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhand.errors import InputError
from backhand.preprocess import arrow, cells
from backhand.preprocess.readings import Reading

DATE = Reading("date")


def one(values, **kwargs):
    return pa.table({"c": pa.array(values, **kwargs)})


def numbers(values, reading=cells.NUMBER, **kwargs):
    return cells.numbers(one(values), "c", reading, **kwargs)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", "-3e4", "+.5", "7."], "number"),
        (["1", "NA", "", " ? ", "nan", "NULL", "n/a", "None", "-", "."], "number"),
        (["inf", "-Infinity"], "number"),
        (["1", "2x"], "text"),
        (["1,5", "2,5"], "number"),
        (["$1,200", "12 %", "(5)"], "number"),
        (["0x10", "1"], "text"),
        (["true", "False", "NA", "unknown"], "boolean"),
        (["true", "yes"], "text"),
        (["2020-01-31", "2021-12-01 10:20", "2021-12-01T10:20:30.25Z"], "date"),
        (["31.12.2020", "1.1.2021"], "date"),
        (["2020-02-30", "2020-01-01"], "text"),
        (["", "NA", "?"], "empty"),
        (["-", "#N/A", ""], "empty"),
        (["unknown", "missing"], "text"),
        (["unknown", "7", "8"], "number"),
        (["unknown", "unknown", "7"], "text"),
        ([None, None], "empty"),
        (["5", *[None] * 9], "number"),
        (["$5", *[None] * 9], "number"),
        (["1.2.2020", *[None] * 9], "date"),
        (["true", None], "boolean"),
        ([1, 2], "number"),
        ([1.5, None], "number"),
        ([decimal.Decimal("1.5")], "number"),
        ([True, None], "boolean"),
        ([datetime.date(2020, 1, 1)], "date"),
        ([datetime.datetime(2020, 1, 1)], "date"),
        ([[1], [2]], "unusable"),
        ([b"a"], "unusable"),
        ([datetime.time(1)], "number"),
        ([datetime.timedelta(hours=1)], "number"),
        # Codes: zeros in front, and integers that float64 confuses
        (["007", "7", "010"], "text"),
        (["94105", "10001", "60601"] * 20 + ["02134"], "text"),
        (["5", "12", "105"] * 20 + ["05"], "number"),
        (["0.5", "0", "00.5"], "number"),
        (["9007199254740993", "9007199254740992"], "text"),
        ([2**53 + 1, 2**53], "text"),
        ([-(2**62), None], "text"),
        ([2**53 - 1, 5], "number"),
        (["5", "6"] * 20 + ["9007199254740993"], "number"),
        ([5, 6] * 20 + [2**60], "number"),
    ],
)
def test_kinds(values, kind):
    assert cells.look(one(values), "c").kind == kind


def test_one_stray_cell_in_twenty_does_not_change_the_kind():
    for known, stray, kind in (
        ([str(i) for i in range(19)], "abc", "number"),
        ([str(i) for i in range(18)], "abc", "text"),
        ([f"{i}.1.2020" for i in range(1, 20)], "soon", "date"),
        ([f"{i}.1.2020" for i in range(1, 20)], "30.2.2020", "date"),
        (["true", "false"] * 10, "maybe", "text"),
    ):
        table = one([*known[:3], stray, *known[3:]])
        reading = cells.look(table, "c")
        assert reading.kind == kind
        if kind != "text":
            assert (reading.strays, reading.stray, reading.stray_row) == (1, stray, 4)


def test_simple_numbers_are_read_as_others_are(monkeypatch):
    tables = [
        one(values, type=pa.string())
        for values in (
            ["1.5", "-", "NA", None, "inf"],
            ["1,5", "2", ""],
            ["1.234", "5"],
            ["1", "unknown", "unknown"],
            ["unknown"],
            ["007", "1"],
        )
    ]
    tables += [t.replace_schema_metadata({arrow.LIKELY_DECIMAL: b","}) for t in tables]

    def all_of():
        readings = [cells.look(table, "c", rows) for table in tables for rows in (None, [0])]
        return [(r, r.words, r.strays) for r in readings]

    quick = all_of()
    monkeypatch.setattr(cells.number_text, "simple_floats", lambda text, decimal: None)
    assert all_of() == quick


def test_given_rows_decide_and_all_rows_are_noted():
    table = one(["1", "2"] * 20 + ["a", "-"] * 40)
    assert cells.look(table, "c").kind == "text"
    reading = cells.look(table, "c", np.arange(40))
    assert reading == cells.NUMBER
    assert (reading.strays, reading.stray_row, reading.words) == (40, 41, ("-",))
    assert cells.look(table, "c", np.arange(40, 50)).kind == "text"
    assert cells.look(one(["1", "NA"]), "c", np.array([1])).kind == "empty"
    assert cells.look(one([1, None]), "c", np.array([1])).kind == "empty"


def test_a_named_decimal_mark_decides():
    table = one(["1,234", "5"])
    assert cells.look(table, "c").thousands == ","
    said = table.replace_schema_metadata({arrow.DECIMAL: b","})
    assert cells.look(said, "c").decimal == ","
    likely = table.replace_schema_metadata({arrow.LIKELY_DECIMAL: b","})
    assert cells.look(likely, "c").decimal == ","
    # and what a model was trained on, in a file that is written otherwise
    np.testing.assert_array_equal(cells.numbers(said, "c", cells.NUMBER), [1.234, 5])


def test_numbers_from_text():
    values = numbers([" 1", "+2.5", "-3E2", "", "NA", ".5", "7.", None])
    np.testing.assert_array_equal(values, [1, 2.5, -300, np.nan, np.nan, 0.5, 7, np.nan])
    values = numbers(["1.234,5", " 1 ", "?"], Reading("number", ",", "."))
    np.testing.assert_array_equal(values, [1234.5, 1, np.nan])


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
)
def test_every_form_of_text_is_read(kind):
    table = one(["1", "2", None]).cast(pa.schema([("c", kind)]))
    np.testing.assert_array_equal(cells.numbers(table, "c"), [1, 2, np.nan])
    assert cells.categories(table, "c", cells.TEXT).to_pylist() == ["1", "2", None]


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint64(), pa.float32(), pa.float64(), pa.decimal128(30, 2)]
)
def test_every_form_of_number_is_read(kind):
    table = one([1, 2, None]).cast(pa.schema([("c", kind)]))
    np.testing.assert_array_equal(cells.numbers(table, "c"), [1, 2, np.nan])


def test_columns_in_several_pieces_and_without_rows():
    table = pa.concat_tables([one(["1"]), one(["2"]), one(["3"])])
    np.testing.assert_array_equal(cells.numbers(table, "c"), [1, 2, 3])
    for empty in (one([], type=pa.string()), one([], type=pa.float64()), one([], type=pa.null())):
        assert cells.look(empty, "c").kind == "empty"
        assert cells.numbers(empty, "c").shape == (0,)


def test_dates_are_days_since_1970():
    day = datetime.date(2020, 3, 1)
    days = (day - datetime.date(1970, 1, 1)).days
    for column in (
        one(["2020-03-01", "2020-03-01T12:00", ""]),
        one([datetime.datetime(2020, 3, 1), datetime.datetime(2020, 3, 1, 12), None]),
    ):
        np.testing.assert_array_equal(cells.dates(column, "c", DATE), [days, days + 0.5, np.nan])
    np.testing.assert_array_equal(cells.dates(one([day, None]), "c", DATE), [days, np.nan])
    np.testing.assert_array_equal(cells.dates(one([None, None]), "c", DATE), [np.nan, np.nan])
    wide = one([day]).cast(pa.schema([("c", pa.date64())]))
    np.testing.assert_array_equal(cells.dates(wide, "c", DATE), [days])
    reading = Reading("date", form="D.M.Y")
    np.testing.assert_array_equal(
        cells.dates(one(["1.3.2020", "NA"]), "c", reading), [days, np.nan]
    )


@pytest.mark.parametrize(
    ("values", "reading", "message"),
    [
        (["1", "2", "abc"], cells.NUMBER, "column 'c', row 3: 'abc' is not a number"),
        (["1", "-"], cells.NUMBER, "row 2: '-' is not a number"),
        (["1", "inf"], cells.NUMBER, "column 'c', row 2: inf is not a finite number"),
        (["1", "1e999"], cells.NUMBER, "column 'c', row 2: 1e999 is not a finite number"),
        ([1.0, float("-inf")], cells.NUMBER, "column 'c', row 2: -inf is not a finite number"),
        (["2020-01-01", "2020-02-30"], DATE, "row 2: '2020-02-30' is not a date"),
        (["2020-01-01", "soon"], DATE, "row 2: 'soon' is not a date"),
        ([1, 2], DATE, "the model was trained on dates"),
        ([datetime.date(2020, 1, 1)], cells.NUMBER, "holds date32.*, which is not a number"),
        ([[1]], cells.NUMBER, "column 'c' holds list"),
    ],
)
def test_what_cannot_be_read_is_named(values, reading, message):
    read = cells.dates if reading == DATE else cells.numbers
    with pytest.raises(InputError, match=message):
        read(one(values), "c", reading, strays="raise")


def test_strays_are_told_once_and_count_as_missing():
    reading = cells.look(one(["5", "-", "7"]), "c")
    values = ["1", " - ", "abc", "abc", "unknown", "NA", "2"]
    with pytest.warns(UserWarning, match=r"'c': 3 cells are not .*in row 3: 'abc'\)") as told:
        found = numbers(values, reading)
    assert len(told) == 1
    np.testing.assert_array_equal(found, [1, *[np.nan] * 5, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(numbers(values, reading, strays="ignore"), found)
        numbers(["1", "-", "NA"], reading)  # as in training
    with pytest.warns(UserWarning, match=r"1 cell is not a date \(D.M.Y\) \(row 2: '2020-01-01'\)"):
        cells.dates(one(["1.3.2020", "2020-01-01"]), "c", Reading("date", form="D.M.Y"))


def test_categories():
    text = cells.categories(one([" a", "b ", "", "NA", None]), "c", cells.TEXT)
    assert text.to_pylist() == ["a", "b", None, "NA", None]
    boolean = one(["TRUE", "0", "1", "NA", "", "maybe", "unknown", "-"])
    found = cells.categories(boolean, "c", Reading("boolean")).to_pylist()
    assert found == ["true", "false", "true", None, None, "maybe", None, None]
    typed = cells.categories(one([True, None]), "c", Reading("boolean"))
    assert typed.to_pylist() == ["true", None]
    assert cells.categories(one([1, 2]), "c", cells.TEXT).to_pylist() == ["1", "2"]
    with pytest.raises(InputError, match="column 'c' holds list"):
        cells.categories(one([[1]]), "c", cells.TEXT)


def test_integers_are_told_from_other_numbers():
    assert cells.are_integers(one(["1", "-2", "NA"]), "c")
    assert cells.are_integers(one([1, 2]), "c")
    assert not cells.are_integers(one(["1", "2.0"]), "c")
    assert not cells.are_integers(one([1.0, 2.0]), "c")


def test_zeros_in_front():
    assert cells.have_zeros(one(["1", " 01"]), "c")
    assert not cells.have_zeros(one(["1", "0", "0.5", None]), "c")
    assert not cells.have_zeros(one([1]), "c")


CELLS = st.one_of(
    st.sampled_from(["", "NA", "-", "unknown", "abc", " 1 ", "1,5", "1.5", "007", "true", "$5"]),
    st.text(max_size=5),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.dates(min_value=datetime.date(1000, 1, 1)).map(lambda day: day.strftime("%d.%m.%Y")),
)


@given(st.lists(CELLS, min_size=1, max_size=30), st.randoms())
def test_any_cells_have_a_reading_that_belongs_to_their_rows(values, random):
    table = one(values, type=pa.string())
    reading = cells.look(table, "c")
    order = list(range(len(values)))
    random.shuffle(order)
    shuffled = table.take(order)
    assert cells.look(shuffled, "c") == reading
    if reading.kind in ("number", "date"):
        read = cells.numbers if reading.kind == "number" else cells.dates
        found = read(table, "c", reading, strays="ignore")
        assert np.isfinite(found).any()
        alone = [read(table.slice(i, 1), "c", reading, strays="ignore")[0] for i in order]
        np.testing.assert_array_equal(alone, found[order])
        known = np.isfinite(found).sum() + reading.strays
        assert reading.strays <= cells.STRAY_SHARE * known

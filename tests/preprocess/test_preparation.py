"""No statistic sees a row that it must not see, and what is stored is what was fitted."""

from __future__ import annotations

import json
import math
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhand.errors import InputError
from backhand.preprocess.preparation import TablePreparation, Treatment, preparation_from_dict


def fit(columns, **kwargs):
    return TablePreparation.fit(columns, **kwargs)


def mixed_table(rng, n=300):
    """A table with every kind of column."""
    return {
        "size": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
        "income": rng.standard_cauchy(n),
        "sex": rng.choice(["f", "m"], n),
        "city": rng.choice(["Oslo", "Rome", "Paris", "Bergen"], n),
        "street": rng.choice([f"s{i}" for i in range(20)], n),
        "day": (np.datetime64("2020-01-01") + rng.integers(0, 900, n)).astype("datetime64[s]"),
        "old": rng.random(n) < 0.3,
        "rooms": rng.integers(1, 6, n),
    }


def test_numbers_stand_first_then_indicators_then_codes(rng):
    table = mixed_table(rng)
    preparation = fit(table)
    numbers, indicators, codes = preparation.inputs
    assert numbers == ["size", "income", "day", "day: day of year", "day: day of month", "rooms"]
    assert codes == ["street"]
    assert indicators[:4] == ["size is missing", "income (tail)", "sex = m", "city = Bergen"]
    assert preparation.feature_names == [*numbers, *indicators, *codes]
    x = preparation.apply(table)
    assert x.shape == (300, preparation.width)
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    assert np.abs(x[:, : len(numbers)]).max() <= 3
    np.testing.assert_array_equal(x[:, -1], np.round(x[:, -1]))
    assert len(preparation.frequencies[0]) == 21


def test_each_prepared_column_belongs_to_one_column(rng):
    table = mixed_table(rng)
    preparation = fit(table)
    x = preparation.apply(table)
    places = preparation.places
    assert sorted(place for some in places.values() for place in some) == [*range(x.shape[1])]
    for name, column in table.items():
        changed = preparation.apply({**table, name: column[::-1]})
        differ = np.flatnonzero((changed != x).any(axis=0))
        assert set(differ) == set(places[name]), name


def test_rows_in_an_order_into_an_array_that_is_there(rng):
    table = mixed_table(rng)
    preparation = fit(table)
    x = preparation.apply(table)
    order = rng.permutation(300)[:120]
    out = np.full((130, preparation.width), np.nan, np.float32)
    found = preparation.apply(table, order, out[5:125])
    assert found.base is out
    np.testing.assert_array_equal(found, x[order])
    assert np.isnan(out[:5]).all()
    assert np.isnan(out[125:]).all()
    with pytest.raises(InputError, match=r"out has shape \(3, 1\) and dtype float32; \(300, "):
        preparation.apply(table, out=np.zeros((3, 1), np.float32))
    with pytest.raises(InputError, match="dtype float64"):
        preparation.apply(table, out=np.zeros(x.shape))


def test_columns_are_found_by_name_in_any_order(rng):
    table = mixed_table(rng)
    preparation = fit(table)
    expected = preparation.apply(table)
    turned = {"more": [0] * 300, **{name: table[name] for name in sorted(table)}}
    np.testing.assert_array_equal(preparation.apply(turned), expected)
    np.testing.assert_array_equal(preparation.apply(pa.table(turned)), expected)
    np.testing.assert_array_equal(preparation.apply(pd.DataFrame(turned)), expected)
    assert preparation.columns == list(table)


def test_prepared_columns_do_not_depend_on_other_columns(rng):
    table = mixed_table(rng)
    preparation = fit(table)
    x = preparation.apply(table)
    turned = fit({name: table[name] for name in sorted(table)})
    place = [turned.feature_names.index(name) for name in preparation.feature_names]
    np.testing.assert_array_equal(turned.apply(table)[:, place], x)


def test_one_row_at_a_time_is_the_whole_table(rng):
    table = mixed_table(rng)
    preparation = fit(table)
    x = preparation.apply(table)
    for i in range(40):
        row = {name: values[i : i + 1] for name, values in table.items()}
        np.testing.assert_array_equal(preparation.apply(row)[0], x[i])


def test_a_missing_column_is_named():
    preparation = fit({"age": [1, 2], "b": [3, 4]})
    with pytest.raises(InputError, match="column 'age' is missing; did you mean 'aeg'\\?"):
        preparation.apply({"aeg": [1], "b": [1]})


def test_a_cell_that_cannot_be_read_is_told_once_in_fit_and_once_in_apply():
    values = [*map(str, range(0, 90, 3)), "oops"]
    with pytest.warns(UserWarning, match="row 31: 'oops'") as caught:
        preparation = fit({"a": values})
    assert len(caught) == 1
    assert "oops" in preparation.describe()[0].notes
    with pytest.warns(UserWarning, match="column 'a': .*row 2: 'two'") as caught:
        preparation.apply({"a": ["1", "two"]})
    assert len(caught) == 1
    preparation.apply({"a": ["1", "two"]}, warn=False)
    with pytest.raises(InputError, match="column 'a', row 1: inf is not a finite number"):
        preparation.apply({"a": [math.inf]})


def test_an_array():
    array = np.random.default_rng(0).normal(size=(50, 3))
    array[:, 1] = 7
    with pytest.warns(UserWarning, match="constant"):
        preparation = fit(array)
    assert preparation.inputs == (["x0", "x2"], [], [])
    x = preparation.apply(array)
    named = fit({"a": array[:, 0], "b": array[:, 2]})
    np.testing.assert_array_equal(named.apply({"a": array[:, 0], "b": array[:, 2]}), x)
    with pytest.raises(InputError, match="rows have 4 columns, the model takes 3"):
        preparation.apply(np.zeros((2, 4)))
    with pytest.raises(InputError, match="fitted on an array without names: give an array"):
        preparation.apply({"x0": [1], "x2": [2]})
    with pytest.raises(InputError, match="an array has no names"):
        named.apply(array)
    assert preparation_from_dict(preparation.to_dict()) == preparation


# What is left out


def test_columns_that_are_left_out_are_named():
    columns = {
        "good": [i * i for i in range(100)],
        "same": [7] * 100,
        "also": ["x"] * 100,
        "nothing": [None] * 100,
        "key": [f"k{i}" for i in range(100)],
        "index": list(range(100)),
        "lists": [[1]] * 100,
    }
    with pytest.warns(UserWarning, match="left out") as caught:
        preparation = fit(columns)
    assert preparation.columns == ["good"]
    told = [str(warning.message) for warning in caught]
    keep = "; to use it, name it to keep"
    assert told == [
        "2 columns are left out (constant in the training rows): 'same', 'also'",
        "1 column is left out (no value in the training rows): 'nothing'",
        f"1 column is left out (an identifier, different in every row{keep}): 'key'",
        f"1 column is left out (row numbers{keep}): 'index'",
        "1 column is left out (values of type list<item: int64>): 'lists'",
    ]
    with (
        pytest.warns(UserWarning, match="'same'"),
        pytest.raises(InputError, match=r"no usable feature column \('same': constant"),
    ):
        fit({"same": [7, 7]})


def test_people_decide_otherwise():
    columns = {"index": list(range(100)), "a": [i % 7 for i in range(100)], "b": [1.5, 2] * 50}
    preparation = fit(columns, keep=["index"], drop=["a"])
    assert preparation.columns == ["index", "b"]
    assert preparation.left_out == (("a", "", "as asked"),)
    assert fit(columns, keep="index", exclude=["a"]).columns == ["index", "b"]
    with pytest.raises(InputError, match="no column 'idnex' to drop or keep: did you mean 'index'"):
        fit(columns, keep=["idnex"])
    with pytest.raises(InputError, match=r"no column 'zzz' to drop or keep$"):
        fit(columns, drop=["zzz"])
    with pytest.raises(InputError, match="column 'a' is both to drop and to keep"):
        fit(columns, drop=["a"], keep=["a"])


def test_how_columns_are_treated():
    table = {"age": [30, 41, None, 52, 38], "sex": list("fmmff"), "same": [1] * 5}
    with pytest.warns(UserWarning, match="same"):
        preparation = fit(table)
    assert preparation.describe() == [
        Treatment("age", "numbers", "number, robustly scaled", 1, "30 to 52, median 39.5"),
        Treatment("sex", "text", "-1 or 1", 0, "f, m"),
        Treatment("same", "numbers", "left out", 0, "constant in the training rows"),
    ]
    assert preparation.summary == (
        "columns: 1 of numbers, 1 of categories, as 3 inputs (1 column with missing values)"
    )


# The leak

TABLE = {
    "number": [1.0, 2.0, None, 4.0, 9.0, 1.0, 2.0, 30.0],
    "text": ["a", "b", "a", None, "b", "a", "b", "a"],
    "flag": [True, False, True, True, False, True, True, None],
    "day": [f"2020-01-0{i}" for i in range(1, 9)],
}
TRAIN = np.array([6, 0, 3, 1, 4])
WILD = {"number": 1e30, "text": "wild", "flag": None, "day": "1066-10-14"}


def leaks(fitting) -> bool:
    """Say whether wild values outside the training rows change what ``fitting`` finds."""
    wild = {
        name: [v if i in TRAIN else WILD[name] for i, v in enumerate(values)]
        for name, values in TABLE.items()
    }
    return fitting(TABLE) != fitting(wild)


def test_statistics_are_of_the_training_rows_alone():
    assert not leaks(lambda table: fit(table, rows=TRAIN).to_dict())


def test_a_leak_would_be_caught():
    assert leaks(lambda table: fit(table).to_dict())


def test_each_statistic_would_show_a_leak():
    honest = fit(TABLE, rows=TRAIN).to_dict()["columns"]
    faulty = fit(TABLE).to_dict()["columns"]
    for mine, theirs in zip(honest, faulty, strict=True):
        assert mine["rows"] == 5
        own = mine.keys() - {"kind", "name", "reading", "two", "embedded", "values", "tail"}
        if mine["name"] == "day":
            own -= {"missing"}
        assert {key for key in own if mine[key] == theirs[key]} <= {"missing", "least", "pooled"}


# To a model file and back

CELLS = {
    "number": st.none() | st.floats(-1e6, 1e6),
    "day": st.none() | st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)),
    "text": st.none() | st.sampled_from(["a", "b", " c", "", "NA"]),
    "flag": st.none() | st.booleans(),
}


@pytest.mark.filterwarnings(
    "ignore:.* left out", "ignore:.* seen in training", "ignore:.* far outside"
)
@given(st.lists(st.fixed_dictionaries(CELLS), min_size=2, max_size=30), st.data())
def test_any_table_is_prepared_finite_and_round_trips(rows, data):
    columns = {name: [row[name] for row in rows] for name in CELLS}
    train = data.draw(
        st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=len(rows), unique=True)
    )
    try:
        preparation = fit(columns, rows=np.array(train))
    except InputError as error:
        assert "no usable feature column" in str(error)  # noqa: PT017
        return
    x = preparation.apply(columns)
    assert x.shape == (len(rows), len(preparation.feature_names))
    assert np.isfinite(x).all()
    back = preparation_from_dict(json.loads(json.dumps(preparation.to_dict())))
    assert back == preparation
    np.testing.assert_array_equal(back.apply(columns), x)
    # The same rows one by one, so nothing depends on what else is in a batch.
    one = np.concatenate(
        [
            preparation.apply({n: pa.array([v[i]], pa.array(v).type) for n, v in columns.items()})
            for i in range(len(rows))
        ]
    )
    np.testing.assert_array_equal(one, x)


PIXELS = {"kind": "pixels", "mean": 0.1, "std": 0.3, "scale": 1.0, "width": 4}
TABLE_ENTRY = fit(
    {
        "a": [1.0, 2.0, 5.0, None, 2.5],
        "b": ["x", "y", "y", None, "x"],
        "c": ["x", "y", "z", None, "x"],
        "d": ["2020-01-01", "2020-01-02", "2020-01-09", None, "2021-01-01"],
        "e": [True, False, True, True, None],
    }
).to_dict()
NUMBER, TEXT, _, DATE, BOOLEAN = TABLE_ENTRY["columns"]


def table(*columns):
    return {**TABLE_ENTRY, "columns": list(columns)}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (None, "must be a mapping, not NoneType"),
        ([], "must be a mapping, not list"),
        ({}, "unknown preparation kind"),
        ({"kind": "pixel"}, "did you mean 'pixels'"),
        ({"kind": ["pixels"]}, "unknown preparation kind"),
        ({**PIXELS, "std": 0}, "std: must be greater than 0"),
        ({**PIXELS, "std": "0.3"}, "std: must be a number, not '0.3'"),
        ({**PIXELS, "mean": math.nan}, "mean: must be finite"),
        ({**PIXELS, "scale": -1.0}, "scale: must be greater than 0"),
        ({**PIXELS, "width": 4.0}, "width: must be an integer"),
        ({**PIXELS, "extra": 1}, "'extra' is not known"),
        ({"kind": "pixels", "mean": 0.1}, "'scale' is missing"),
        (table(), "columns must be a list that is not empty"),
        ({**TABLE_ENTRY, "columns": "ab"}, "columns must be a list"),
        ({**TABLE_ENTRY, "has_names": 1}, "has_names: must be true or false"),
        ({**TABLE_ENTRY, "left_out": [["a", "b"]]}, "left_out: must have 3 entries, not 2"),
        ({**TABLE_ENTRY, "left_out": [["a", "b", 1]]}, "left_out: must be text, not 1"),
        ({**TABLE_ENTRY, "left_out": [["a", "b", "c"]]}, "column 'a' is there twice"),
        (table(1), "must be a mapping, not int"),
        (table({**NUMBER, "kind": "nubmer"}), "did you mean 'number'"),
        (table({**NUMBER, "name": 1}), "name: must be text"),
        (table({**NUMBER, "reading": 1}), "column 'a': reading: must be a mapping"),
        (table({**NUMBER, "rows": 0}), "rows: must be an integer of at least 1"),
        (table({**NUMBER, "missing": -1}), "missing: must be an integer of at least 0"),
        (table({**NUMBER, "missing": 6}), "6 missing values in 5 rows"),
        (table({**NUMBER, "scale": [1.0, 0.0]}), "scale: width: must be greater than 0"),
        (table({**NUMBER, "scale": None, "missing": 0}), "column 'a': scale is missing"),
        (table({**NUMBER, "two": True, "tail": [0.0, 1.0, 0.0, 1.0]}), "two values have no tail"),
        (table({**NUMBER, "least": 6.0}), "column 'a': least 6.0 is more than most 5.0"),
        (table(NUMBER, NUMBER), "column 'a' is there twice"),
        (table({**TEXT, "values": "xy"}), "values: must be a list, not 'xy'"),
        (table({**TEXT, "values": ["x", 1]}), "values: must be text"),
        (table({**TEXT, "values": ["x", "x"]}), "a value is there twice"),
        (table({**TEXT, "values": ["x"]}), "1 values and 2 counts"),
        (table({**TEXT, "counts": [1, 2]}), "the counts are not of 5 rows"),
        (table({**TEXT, "counts": [0, 4]}), "counts: must be an integer of at least 1"),
        (table({**TEXT, "values": ["x"], "counts": [5], "missing": 0}), "two or more"),
        (table({**BOOLEAN, "values": ["false", "y"]}), "values of a boolean"),
        (table({**DATE, "spans": [None]}), "spans must have 4 entries"),
        (table({**DATE, "spans": [[2.0, 1.0, 0.0, 1.0], *[None] * 3]}), "spans: most: must be gr"),
        (table({**DATE, "weekdays": [1] * 6}), "weekdays must have 7 entries or none"),
        (table({**DATE, "weekdays": [1] * 7}), "weekdays are not of 4 rows"),
        (table({**DATE, "spans": [None] * 4, "weekdays": [], "missing": 0}), "spans are missing"),
    ],
)
def test_an_edited_model_file_is_refused(entry, message):
    with pytest.raises(InputError, match=message):
        preparation_from_dict(entry)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.sampled_from([PIXELS, TABLE_ENTRY, *TABLE_ENTRY["columns"]]),
    st.data(),
    json_values,
)
def test_any_one_entry_replaced_is_taken_or_refused(original, data, value):
    key = data.draw(st.sampled_from(sorted(original)))
    edited = {**original, key: value}
    entry = edited if original in (PIXELS, TABLE_ENTRY) else table(edited)
    try:
        preparation = preparation_from_dict(entry)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert preparation.to_dict()["kind"] in ("pixels", "table")

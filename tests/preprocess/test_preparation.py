"""Formulas against plain Python; no statistic sees a row that it must not see."""

from __future__ import annotations

import json
import math
import statistics

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhand.errors import InputError
from backhand.preprocess.preparation import TablePreparation, preparation_from_dict


def fit(columns, **kwargs):
    return TablePreparation.fit(columns, **kwargs)


# Tables


def test_numbers_against_plain_python():
    values = [3.0, None, 5.0, 10.0, None, 1e-3]
    preparation = fit({"a": values})
    known = [v for v in values if v is not None]
    mean, std = statistics.fmean(known), statistics.pstdev(known)
    assert preparation.feature_names == ["a", "a is missing"]
    expected = [[0.0, 1.0] if v is None else [(v - mean) / std, 0.0] for v in values]
    x = preparation.apply({"a": values})
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    np.testing.assert_allclose(x, expected, rtol=1e-6)


def test_without_missing_values_in_training_later_ones_get_the_mean():
    preparation = fit({"a": [1.0, 2.0, 6.0]})
    assert preparation.feature_names == ["a"]
    np.testing.assert_array_equal(preparation.apply({"a": [3.0, None]}), [[0], [0]])


def test_text_and_booleans_become_one_hot():
    preparation = fit({"c": ["b", "a", None, "b"], "f": [True, False, True, True]})
    assert preparation.feature_names == ["c = a", "c = b", "c is missing", "f = false", "f = true"]
    x = preparation.apply({"f": [False, True, True], "c": ["a", "", "b"]})
    np.testing.assert_array_equal(x, [[1, 0, 0, 1, 0], [0, 0, 1, 0, 1], [0, 1, 0, 0, 1]])


def test_what_was_not_seen_in_training_is_the_mean_of_what_was():
    preparation = fit({"c": ["b", "a", None, "d", "e"], "f": [True, False, True, True, False]})
    with pytest.warns(UserWarning, match="not seen in training") as caught:
        x = preparation.apply({"c": ["z", "y", None, "z"], "f": ["", "maybe", "1", "false"]})
    told = [str(warning.message) for warning in caught]
    assert told == [
        "column 'c': 2 values not seen in training ('z', ...), in 3 rows",
        "column 'f': 1 value not seen in training ('maybe'), in 1 row",
    ]
    unseen = [1 / 4] * 4 + [0]
    want = [[*unseen, 0.5, 0.5], [*unseen, 0.5, 0.5], [0, 0, 0, 0, 1, 0, 1], [*unseen, 1, 0]]
    np.testing.assert_array_equal(x, want)
    # any weights of a first layer: what goes in for an unseen value is the mean of what can go in
    w = np.random.default_rng(0).normal(size=(7, 3))
    seen = preparation.apply({"c": ["a", "b", "d", "e"], "f": [True] * 4}) @ w
    np.testing.assert_allclose(x[3] @ w - w[5], seen.mean(axis=0) - w[6], rtol=1e-6)


def test_columns_are_found_by_name_in_any_order():
    table = {"a": [1, 2, 3], "b": ["x", "y", "x"]}
    preparation = fit(table)
    expected = preparation.apply(table)
    turned = {"more": [0, 0, 0], "b": ["x", "y", "x"], "a": [1, 2, 3]}
    np.testing.assert_array_equal(preparation.apply(turned), expected)
    np.testing.assert_array_equal(preparation.apply(pa.table(turned)), expected)
    assert preparation.columns == ["a", "b"]
    assert preparation.width == expected.shape[1]


def test_a_missing_column_is_named_with_the_nearest():
    preparation = fit({"age": [1, 2], "b": [3, 4]})
    with pytest.raises(InputError, match="column 'age' is missing; did you mean 'aeg'\\?"):
        preparation.apply({"aeg": [1], "b": [1]})
    with pytest.raises(InputError, match=r"^column 'age' is missing$"):
        preparation.apply({"b": [1]})


def test_text_where_numbers_belong_is_named():
    preparation = fit({"a": ["1", "2", "4"]})
    with pytest.raises(InputError, match="column 'a', row 2: 'two' is not a number"):
        preparation.apply({"a": ["1", "two"]})
    with pytest.raises(InputError, match="column 'a', row 1: inf is not a finite number"):
        preparation.apply({"a": [math.inf]})
    with pytest.raises(InputError, match=r"column 'a', row 1: 1e\+300 is too far"):
        preparation.apply({"a": [1e300]})


def test_columns_that_are_left_out_are_named():
    columns = {
        "good": list(range(100)),
        "same": [7] * 100,
        "also": ["x"] * 100,
        "nothing": [None] * 100,
        "key": [f"k{i}" for i in range(100)],
        "lists": [[1]] * 100,
    }
    with pytest.warns(UserWarning, match="left out") as caught:
        preparation = fit(columns)
    assert preparation.columns == ["good"]
    told = [str(warning.message) for warning in caught]
    assert "2 columns are left out (constant in the training rows): 'same', 'also'" in told
    assert "1 column is left out (no value at all): 'nothing'" in told
    assert "1 column is left out (text with too many distinct values): 'key'" in told
    assert len(told) == 4
    with (
        pytest.warns(UserWarning, match="'same'"),
        pytest.raises(InputError, match=r"no usable feature column.*'same': constant"),
    ):
        fit({"same": [7, 7]})


def test_a_number_that_is_constant_but_sometimes_missing_keeps_its_indicator():
    preparation = fit({"a": [7, None, 7]})
    assert preparation.feature_names == ["a is missing"]
    np.testing.assert_array_equal(preparation.apply({"a": [7, None, 8]}), [[0], [1], [0]])


@pytest.mark.parametrize("size", [1e-200, 1e-3, 1.0, 1e200])
def test_the_size_of_numbers_does_not_matter(size):
    x = fit({"a": [size, 2 * size, 6 * size]}).apply({"a": [size, 2 * size, 6 * size]})
    np.testing.assert_allclose(x, fit({"a": [1, 2, 6]}).apply({"a": [1, 2, 6]}), rtol=1e-6)


def test_numbers_too_large_for_any_statistic():
    with pytest.raises(InputError, match="column 'a': values up to"):
        fit({"a": [1.7e308, -1.7e308, 1.7e308]})


# The leak

TABLE = {
    "number": [1.0, 2.0, None, 4.0, 9.0, 1.0, 2.0, 3.0],
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
    for mine, theirs in zip(honest[:1] + honest[3:], faulty[:1] + faulty[3:], strict=True):
        assert mine["mean"] != theirs["mean"]
        assert mine["std"] != theirs["std"]
    assert honest[0]["missing"] is False
    assert faulty[0]["missing"] is True


# To a model file and back

CELLS = {
    "number": st.none() | st.floats(-1e6, 1e6),
    "text": st.none() | st.sampled_from(["a", "b", " c", "", "NA"]),
    "flag": st.none() | st.booleans(),
}


@pytest.mark.filterwarnings("ignore:.* left out", "ignore:.* not seen in training")
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
NUMBER = {"kind": "number", "name": "a", "mean": 0.0, "std": 1.0, "missing": False}
TEXT = {"kind": "text", "name": "b", "values": ["x", "y"], "missing": False}


def table(*columns):
    return {"kind": "table", "columns": list(columns)}


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
        ({"kind": "table", "columns": "ab"}, "columns must be a list"),
        (table(1), "must be a mapping, not int"),
        (table({**NUMBER, "kind": "nubmer"}), "did you mean 'number'"),
        (table({**NUMBER, "name": 1}), "name: must be text"),
        (table({**NUMBER, "std": 0.0}), "column 'a': std must be greater than 0"),
        (table({**NUMBER, "std": -1.0, "missing": True}), "std must be greater than 0"),
        (table({**NUMBER, "missing": 1}), "missing: must be true or false"),
        (table(NUMBER, NUMBER), "column 'a' is there twice"),
        (table({**TEXT, "values": []}), "values must be a list that is not empty"),
        (table({**TEXT, "values": ["x", 1]}), "values: must be text"),
        (table({**TEXT, "values": ["x", "x"]}), "a value is there twice"),
        (table({**TEXT, "kind": "boolean"}), "values of a boolean"),
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
    st.sampled_from([PIXELS, table(NUMBER, TEXT), NUMBER, TEXT]),
    st.data(),
    json_values,
)
def test_any_one_entry_replaced_is_taken_or_refused(original, data, value):
    key = data.draw(st.sampled_from(sorted(original)))
    edited = {**original, key: value}
    entry = edited if original in (PIXELS, table(NUMBER, TEXT)) else table(edited)
    try:
        preparation = preparation_from_dict(entry)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert preparation.to_dict()["kind"] in ("pixels", "table")

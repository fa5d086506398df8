"""What the classifier and the regressor of tables have each for themselves."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import log_loss, recall_score
from sklearn.model_selection import train_test_split

from backhand import InputError, TabularClassifier, TabularRegressor
from backhand.export.programs import program_of
from backhand.tabular.model import TableModel


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)


def test_real_classes(cancer):
    X, X_test, y, y_test = cancer
    model = TabularClassifier("fast", random_state=0).fit(X, y)
    assert model.score(X_test, y_test) > 0.95
    assert log_loss(y_test, model.predict_proba(X_test)) < 0.2  # boosted trees: 0.15
    assert -0.15 < model.held_out_score_ < 0
    assert model.classes_.tolist() == [0, 1]


def test_real_numbers():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    model = TabularRegressor(random_state=0).fit(X, y)
    assert model.score(X_test, y_test) > 0.25  # ridge regression: 0.37, boosted trees: 0.19
    low, high = model.predict_interval(X_test, coverage=0.8).T
    covered = np.mean((low <= y_test) & (y_test <= high))
    assert covered == pytest.approx(0.8, abs=3 * np.sqrt(0.8 * 0.2 / len(y_test)) + 0.03)


def test_the_same_seed_is_the_same_model(cancer, recipe):
    X, X_test, y, _ = cancer
    one, two = (
        TabularClassifier(recipe, random_state=3, threads=threads).fit(X, y) for threads in (1, 2)
    )
    np.testing.assert_array_equal(one.predict_proba(X_test), two.predict_proba(X_test))


@pytest.mark.parametrize(
    "labels",
    [
        ["007", "08"],
        [True, False],
        [2**60 + 1, 2**60 + 2],
        [datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2)],
    ],
    ids=str,
)
def test_classes_stay_what_they_are(labels, table, recipe):
    frame, value = table
    y = np.array(labels, dtype="M8[us]" if isinstance(labels[0], datetime.datetime) else None)
    y = y[(value > 1).astype(int)]
    model = TabularClassifier(recipe, n_members=1, random_state=0).fit(frame, y)
    assert model.classes_.tolist() == sorted(labels)
    assert set(model.predict(frame).tolist()) == set(labels)
    about = json.loads(json.dumps(model.model_.to_dict()))
    again = TableModel.from_dict(about, model.model_.tensors())
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
    assert again.classes.dtype == y.dtype


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", None, "b", "a"], "y contains NaN .* it is None in row 1; leave such rows out"),
        (pd.array(["a", "b", "b", pd.NA], "string"), "it is <NA> in row 3"),
        (pd.to_datetime(["2020", None, "2021", "2021"]), "row 1"),
        ([1.0, 2.0, np.nan, 2.0], "it is nan in row 2"),
        (np.array([1, "a", 1, "a"], dtype=object), "several types, int, str: make all of them"),
        (np.ma.array([1, 2, 1, 2], mask=[0, 0, 0, 1]), "y has masked elements"),
        (np.ones((4, 2), int), "1d array"),
    ],
)
def test_odd_classes_are_one_line(y, message, recipe):
    y = np.array(y, dtype=object) if isinstance(y, list) and None in y else y
    with pytest.raises(ValueError, match=message):
        TabularClassifier(recipe).fit({"a": [1.5, 2.5, 3.0, 9.0]}, y)


def test_rare_classes_are_found_where_they_count(table, recipe):
    frame, value = table
    y = (value > np.quantile(value, 0.94)).astype(int)
    plain = TabularClassifier(recipe, random_state=0).fit(frame, y)
    chosen = TabularClassifier(recipe, metric="recall", random_state=0).fit(frame, y)
    balanced = TabularClassifier(recipe, class_weight="balanced", random_state=0).fit(frame, y)
    assert plain.model_.threshold == 0.5
    assert chosen.model_.threshold < 0.3
    recall, before = (recall_score(y, model.predict(frame)) for model in (chosen, plain))
    assert recall > before
    assert balanced.predict_proba(frame)[:, 1].mean() > plain.predict_proba(frame)[:, 1].mean()


def test_a_class_weight_of_an_unknown_class(table, recipe):
    frame, value = table
    with pytest.raises(InputError, match="class_weight"):
        TabularClassifier(recipe, class_weight={"maybe": 2}).fit(frame, value > 1)


def test_a_class_that_only_judging_rows_have(table, recipe):
    frame, value = table
    y = np.where(value > 1, "yes", "no")
    with pytest.raises(InputError, match="'maybe'"):
        TabularClassifier(recipe).fit(frame, y, X_val=frame[:2], y_val=["yes", "maybe"])


def test_values_that_training_has_not_seen(recipe):
    rng = np.random.default_rng(0)
    towns = np.array([f"town {i}" for i in range(12)])
    frame = pd.DataFrame({"a": rng.normal(size=400), "town": rng.choice(towns, 400)})
    y = frame["a"] + rng.normal(size=400) * 0.1
    model = TabularRegressor(recipe, random_state=0).fit(frame, y)
    known = model.predict(frame)
    with pytest.warns(UserWarning, match="'town'"):
        unknown = model.predict(frame.assign(town="elsewhere"))
    # the town means nothing, so an unknown one must not either
    assert np.mean((unknown - y) ** 2) < 2 * np.mean((known - y) ** 2) + 0.05


@pytest.mark.parametrize("kind", ["texts", "dates", "numbers"])
def test_programs_decide_as_predict_does(kind, table, recipe, monkeypatch):
    X, value = table
    targets = {
        "texts": np.array(["a", "b", "c"])[np.digitize(value, [-1.0, 1.0])],
        "dates": np.array(["2020-01-01", "2021-01-01"], "M8[D]")[(value > 0).astype(int)],
        "numbers": value,
    }
    make = TabularRegressor if kind == "numbers" else TabularClassifier
    model = make(recipe, random_state=0).fit(X, targets[kind])
    program = program_of(model)
    preparation = model.model_.preparation
    x = program.prepared(preparation.values(X))
    np.testing.assert_array_equal(x, preparation.apply(X))
    decided = program.decided(x)
    monkeypatch.setenv("BACKHAND_ENGINE", "numpy")  # as programs are run, to the bit
    if kind == "numbers":
        np.testing.assert_array_equal(decided[:, 0], model.predict(X))
    else:
        assert program.decision.classes == tuple(map(str, model.classes_))
        chosen = np.array(program.decision.classes)[decided]
        np.testing.assert_array_equal(chosen, model.predict(X).astype(str))


def test_intervals_are_refused_where_they_make_no_sense(table, recipe):
    frame, value = table
    model = TabularRegressor(recipe, random_state=0).fit(frame, value)
    with pytest.raises(InputError, match="coverage"):
        model.predict_interval(frame, 1.5)

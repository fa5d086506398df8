"""What both estimators of tables must do wherever scikit-learn takes an estimator."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import backhand
from backhand import InputError, TabularClassifier, TabularRegressor
from backhand.sealed import read_sealed, write_sealed
from backhand.tabular.recipes import PIECES, Recipe

BOTH = (TabularClassifier, TabularRegressor)
UNEQUAL = (
    "rows that are there twice are shuffled and held out one by one, so a fit to them is another "
    "one than a fit to rows of weight 2"
)


def expected(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": UNEQUAL,
        "check_sample_weight_equivalence_on_sparse_data": "a table is dense",  # scikit-learn 1.6
    }


ONE = Recipe((dataclasses.replace(PIECES, hidden=(32,), members=1),), lengths=((10**9, 64, 32),))
"""One small network, since each of these checks has a table of another width to compile for."""


@pytest.mark.filterwarnings("ignore::UserWarning")  # columns of these checks that are left out
@parametrize_with_checks([Estimator(ONE) for Estimator in BOTH], expected_failed_checks=expected)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data(table):
    frame, value = table
    return frame, {TabularRegressor: value, TabularClassifier: np.where(value > 1, "yes", "no")}


@pytest.fixture(scope="module", params=BOTH, ids=lambda kind: kind.__name__)
def fitted(request, data, recipe):
    frame, targets = data
    return request.param(recipe, random_state=0).fit(frame, targets[request.param])


def answers(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def test_frames_of_all_libraries_are_the_same_table(fitted, data, recipe):
    frame, targets = data
    wanted = answers(fitted, frame)
    for made in (polars.from_pandas(frame), pa.Table.from_pandas(frame, preserve_index=False)):
        np.testing.assert_array_equal(answers(fitted, made), wanted)
        other = clone(fitted).fit(made, targets[type(fitted)])
        np.testing.assert_array_equal(answers(other, frame), wanted)
        assert [*other.feature_names_in_] == [*frame.columns]


def test_one_dict_and_a_list_of_them(fitted, data):
    frame, _ = data
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    wanted = answers(fitted, frame)
    np.testing.assert_allclose(answers(fitted, rows[:7]), wanted[:7], atol=1e-5)
    backwards = dict(reversed(rows[0].items()), unknown=3)
    np.testing.assert_allclose(answers(fitted, backwards), wanted[:1], atol=1e-5)


@pytest.mark.parametrize("own", [True, False], ids=["recipe", "preset"])
def test_a_file_predicts_the_same_bits(own, fitted, data, recipe, tmp_path):
    frame, targets = data
    model = type(fitted)(random_state=0, preset=recipe if own else "fast", n_members=1)
    model.fit(frame, targets[type(fitted)])
    model.save(tmp_path / "model.safetensors")
    again = backhand.load(tmp_path / "model.safetensors")
    assert type(again) is type(model)
    assert again.get_params() == model.get_params()
    assert again.held_out_score_ == model.held_out_score_
    np.testing.assert_array_equal(answers(again, frame), answers(model, frame))
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
    other = ({*BOTH} - {type(model)}).pop()
    with pytest.raises(InputError, match=r"backhand\.load"):
        other.load(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"names": ["a", "b"]}, "names are not those of its columns"),
        ({"names": True}, "names: must be a list"),
        ({"names": [[1]] * 6}, "names: must be text"),
        ({"names": list("uvwxyz")}, "names are not those of its columns"),
        ({"columns": 0}, "columns: must be an integer of at least 1"),
        ({"columns": "6"}, "columns: must be an integer of at least 1"),
    ],
)
def test_edited_names_are_refused(fitted, data, tmp_path, entries, message):
    assert data[0].shape[1] == 6
    fitted.save(tmp_path / "a")
    tensors, about = read_sealed(tmp_path / "a")
    write_sealed(tmp_path / "b", tensors, {**about, **entries})
    with pytest.raises(InputError, match=message):
        backhand.load(tmp_path / "b")


def test_pickles_and_clones(fitted, data):
    frame, _ = data
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(answers(again, frame), answers(fitted, frame))
    with pytest.raises(NotFittedError):
        clone(fitted).predict(frame)


@pytest.mark.parametrize("Estimator", BOTH)
def test_it_stands_in_pipelines_searches_and_cross_validation(Estimator, data, recipe):
    frame, targets = data
    y = targets[Estimator]
    model = Estimator(recipe, random_state=0)
    piped = make_pipeline(FunctionTransformer(lambda X: X.drop(columns="tail")), model)
    assert cross_val_score(piped, frame, y, cv=2).min() > 0.5
    search = GridSearchCV(model, {"n_members": [1], "drop": [(), ("a",)]}, cv=2)
    assert search.fit(frame, y).best_params_["drop"] == ()


def test_calibration_takes_a_classifier(data, recipe):
    frame, targets = data
    model = CalibratedClassifierCV(TabularClassifier(recipe, random_state=0), cv=2)
    p = model.fit(frame, targets[TabularClassifier]).predict_proba(frame)
    assert p.shape == (len(frame), 2)


def test_weights_of_zero_take_rows_away(fitted, data, recipe):
    frame, targets = data
    y = targets[type(fitted)]
    weight = np.ones(len(y))
    weight[200:] = 0
    a = clone(fitted).fit(frame, y, sample_weight=weight)
    b = clone(fitted).fit(frame[:200], y[:200], sample_weight=np.full(200, 4.0))
    np.testing.assert_array_equal(answers(a, frame), answers(b, frame))
    alone = clone(fitted).fit(frame[:200], y[:200])
    np.testing.assert_array_equal(answers(a, frame), answers(alone, frame))
    assert a.held_out_.rows.max() < 200


def test_rows_to_judge_by(fitted, data):
    frame, targets = data
    y = targets[type(fitted)]
    model = clone(fitted).fit(frame[:200], y[:200], X_val=frame[200:], y_val=y[200:])
    assert len(model.held_out_.rows) == 100
    with pytest.raises(InputError, match="together"):
        clone(fitted).fit(frame, y, X_val=frame)
    with pytest.raises(InputError, match="X_val has no rows"):
        clone(fitted).fit(frame, y, X_val=frame[:0], y_val=y[:0])
    with pytest.raises(InputError, match="sample_weight_val is for rows of X_val"):
        clone(fitted).fit(frame, y, sample_weight_val=np.ones(len(y)))
    with pytest.raises((InputError, ValueError), match="feature names"):
        clone(fitted).fit(frame, y, X_val=frame.drop(columns="a"), y_val=y)


def test_importances_name_what_counts(data):
    frame, targets = data
    model = TabularRegressor("fast", random_state=0).fit(
        frame[:200], targets[TabularRegressor][:200]
    )
    found = model.feature_importances(
        frame[200:], targets[TabularRegressor][200:], n_repeats=3, random_state=0
    )
    assert next(iter(found)) == "a"
    assert set(found) == set(frame.columns)
    assert all(len(scores) == 3 for scores in found.values())
    assert found["few"].mean() > 5 * abs(found["tail"].mean())
    with pytest.raises(InputError, match="100 rows"):
        model.feature_importances(frame[200:], targets[TabularRegressor])


def test_importances_of_an_array_and_of_one_row_count_by_place(recipe):
    X = np.random.default_rng(0).normal(size=(60, 2))
    model = TabularRegressor(recipe, random_state=0).fit(X, X[:, 1])
    found = model.feature_importances(X[:1], X[:1, 1], n_repeats=2)
    assert set(found) == {"x0", "x1"}
    assert all((scores == 0).all() for scores in found.values())  # nothing to change places with


def test_importances_of_arrays_and_of_every_kind_of_frame(fitted, data, recipe):
    frame, targets = data
    y = targets[type(fitted)]
    wanted = fitted.feature_importances(frame, y, n_repeats=2, random_state=0)
    for given in (pa.Table.from_pandas(frame), polars.from_pandas(frame), frame.to_dict("records")):
        found = fitted.feature_importances(given, y, n_repeats=2, random_state=0)
        assert found.keys() == wanted.keys()
        assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    numbers = np.random.default_rng(0).normal(size=(len(y), 2))
    model = clone(fitted).fit(numbers, y)
    assert set(model.feature_importances(numbers.tolist(), y)) == {"x0", "x1"}
    for n_repeats in (0, 1.5, "2"):
        with pytest.raises(InputError, match="n_repeats must be a whole number over 0"):
            fitted.feature_importances(frame, y, n_repeats=n_repeats)
    with pytest.raises(InputError, match=f"X has {len(y)} rows, and y has 3"):
        fitted.feature_importances(frame, y[:3])


def test_names_to_drop_in_any_form(data, recipe):
    frame, targets = data
    y = targets[TabularRegressor]
    for drop in ("a", ["a"], np.array(["a"]), pd.Index(["a"])):
        model = TabularRegressor(recipe, n_members=1, drop=drop, callbacks=None).fit(frame, y)
        assert "a" not in model.model_.preparation.columns
    numbers = pd.DataFrame(np.random.default_rng(0).normal(size=(len(y), 2)))
    model = TabularRegressor(recipe, n_members=1, drop=[0]).fit(numbers, y)
    assert model.model_.preparation.columns == ["1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"callbacks": print}, "callbacks must be a list of functions, got <built-in"),
        ({"drop": 5}, "drop must be a list of columns, got 5"),
        ({"random_state": "a"}, "random_state='a': "),
        ({"random_state": -1}, "random_state=-1: "),
        ({"threads": 10**6}, "threads=1000000 is more than 1,024"),
        ({"n_members": 10**9}, "n_members must be a whole number from 1 to 1,000"),
        ({"preset": "quick"}, "preset"),
        ({"metric": "acuracy"}, "metric"),
        ({"time_limit": 0}, "time_limit"),
        ({"drop": ["nothing"]}, "nothing"),
        ({"callbacks": [3]}, "callbacks"),
        ({"n_members": 0}, "n_members"),
        ({"n_members": 1.5}, "n_members"),
        ({"threads": 0}, "threads"),
    ],
)
@pytest.mark.parametrize("Estimator", BOTH)
def test_odd_parameters_are_one_line(Estimator, arguments, message, data, recipe):
    frame, targets = data
    with pytest.raises(InputError, match=message) as caught:
        Estimator(**{"preset": recipe, **arguments}).fit(frame, targets[Estimator])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((3, 2)), [1.0, 2.0], "3 rows"),
        ([[1], [1, 2], [3]], [1.0, 2.0, 1.0], "X is no array: "),
        (np.ones(3), [1.0, 2.0, 3.0], "2D"),
        ("table", [1.0], "X, a str, is streamed"),
        (np.ones((3, 2)), [1.0, np.nan, 3.0], "NaN"),
        (np.full((3, 2), np.inf), [1.0, 2.0, 1.0], "infinity"),
        (pd.DataFrame({"a": [1, 1, 1]}), [1.0, 2.0, 1.0], "constant"),
        (pd.DataFrame({"a": [[1], [2], [3]]}), [1.0, 2.0, 1.0], "list"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("Estimator", BOTH)
def test_odd_data_is_one_line(Estimator, X, y, message, recipe):
    with pytest.raises(ValueError, match=message):
        Estimator(recipe).fit(X, y)


def test_a_refused_fit_leaves_the_last_one(fitted, data):
    frame, targets = data
    wanted = answers(fitted, frame)
    with pytest.raises(ValueError, match="rows"):
        fitted.fit(frame[["a"]], targets[type(fitted)][:3])
    np.testing.assert_array_equal(answers(fitted, frame), wanted)
    assert fitted.n_features_in_ == frame.shape[1]

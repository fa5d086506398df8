"""What both estimators must do wherever scikit-learn takes an estimator."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import inspect
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context, neural_network
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from backhand import InputError, MLPClassifier, MLPRegressor

BOTH = (MLPClassifier, MLPRegressor)
NEEDS = {
    "check_sample_weights_pandas_series": "pandas",
    "check_classifier_data_not_an_array": "pandas",
    "check_regressor_data_not_an_array": "pandas",
}
ARRAY_API_CHECK = """
import warnings
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import estimator_checks_generator
import backhand
warnings.simplefilter("ignore", ConvergenceWarning)
ran = 0
for estimator, check in estimator_checks_generator(backhand.{name}(), legacy=True):
    if getattr(check, "func", check).__name__ == "check_array_api_input":
        check(estimator)
        ran += 1
print(ran)
"""
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@parametrize_with_checks([MLPClassifier(), MLPRegressor()])
@quiet
def test_scikit_learns_own_checks(estimator, check):
    name = getattr(check, "func", check).__name__
    package = NEEDS.get(name)
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{name} needs {package}")
    if name == "check_array_api_input":
        run_array_api_check(type(estimator).__name__)
    else:
        check(estimator)


def run_array_api_check(name: str) -> None:
    """SciPy reads the variable that the check wants when it is imported: a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", ARRAY_API_CHECK.format(name=name)],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


@pytest.mark.parametrize("ours", BOTH)
def test_parameters_are_scikit_learns_and_ours_follow_by_keyword(ours):
    theirs = inspect.signature(getattr(neural_network, ours.__name__).__init__).parameters
    mine = list(inspect.signature(ours.__init__).parameters.values())
    if "loss" not in theirs:  # scikit-learn's regressor has it since 1.7, the classifier not
        mine = [p for p in mine if p.name != "loss"]
    for a, b in zip(theirs.values(), mine, strict=False):
        assert (a.name, a.default, a.kind) == (b.name, b.default, b.kind)
    added = mine[len(theirs) :]
    both = ["initialiser", "schedule", "dropout", "dtype", "engine", "threads", "weight_decay"]
    both += ["scoring", "callbacks", "clip_norm"]
    own = ["label_smoothing", "class_weight"] if ours is MLPClassifier else ["out_activation"]
    assert [p.name for p in added] == both + own
    assert all(p.kind is p.KEYWORD_ONLY for p in added)


@pytest.mark.parametrize("ours", BOTH)
def test_every_parameter_has_legal_values(ours):
    assert set(ours().get_params()) == set(ours._parameter_constraints)


@quiet
@pytest.mark.parametrize("how", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("ours", BOTH)
@pytest.mark.parametrize("settings", [{}, {"solver": "sgd"}, {"solver": "sgd", "momentum": 0.0}])
def test_a_copy_predicts_and_learns_on_like_the_original(ours, how, settings):
    X, y = iris()
    model = ours(hidden_layer_sizes=(7,), max_iter=3, random_state=0, **settings).fit(X, y)
    other = how(model)
    assert np.array_equal(model.predict(X), other.predict(X))
    model.partial_fit(X, y)
    other.partial_fit(X, y)  # needs the optimiser's state, not the weights alone
    for a, b in zip(model.coefs_, other.coefs_, strict=True):
        assert np.array_equal(a, b)
    fresh = ours(hidden_layer_sizes=(7,), max_iter=3, random_state=0, **settings).fit(X, y)
    fresh._fitted = dataclasses.replace(fresh._fitted, state=None)
    fresh.partial_fit(X, y)
    if settings.get("momentum") != 0.0:
        assert not np.array_equal(fresh.coefs_[0], model.coefs_[0])


@quiet
def test_weights_that_a_user_changes_count():
    X, y = iris()
    model = MLPClassifier((7,), max_iter=3, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    model.coefs_[1] *= 0.0
    model.intercepts_[1] *= 0.0
    assert np.allclose(model.predict_proba(X), 1 / 3)
    model.learning_rate_init = 1e-3
    model.partial_fit(X, y)
    assert np.abs(model.coefs_[1]).max() < 0.01
    assert not np.array_equal(before, model.predict_proba(X))


@quiet
def test_clone_pipeline_search_and_calibration():
    X, y = load_iris(return_X_y=True)
    model = clone(MLPClassifier((10,), activation=["silu"], random_state=0, max_iter=150))
    pipeline = make_pipeline(StandardScaler(), model)
    search = GridSearchCV(
        pipeline, {"mlpclassifier__learning_rate_init": [1e-6, 0.02]}, cv=3, error_score="raise"
    ).fit(X, y)
    assert search.best_params_ == {"mlpclassifier__learning_rate_init": 0.02}
    assert search.best_score_ > 0.93
    calibrated = CalibratedClassifierCV(search.best_estimator_, cv=3).fit(X, y)
    assert calibrated.score(X, y) > 0.93


@quiet
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_tables_with_column_names(kind):
    frames = pytest.importorskip(kind)
    X, y = iris()
    names = list("abcd")
    table = frames.DataFrame(dict(zip(names, X.T, strict=True)))
    model = MLPClassifier(max_iter=5, random_state=0).fit(table, y)
    assert list(model.feature_names_in_) == names
    assert np.array_equal(
        model.predict(table), MLPClassifier(max_iter=5, random_state=0).fit(X, y).predict(X)
    )
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    scaled = make_pipeline(StandardScaler(), MLPClassifier(max_iter=5)).set_output(transform=kind)
    assert list(scaled.fit(table, y)[-1].feature_names_in_) == names


@quiet
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_input_gives_what_dense_gives(form, solver):
    X, y = load_digits(return_X_y=True)
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    settings = {"max_iter": 3, "random_state": 0, "solver": solver, "dtype": "float64"}
    dense = MLPClassifier(**settings).fit(X, y, weight)
    thin = MLPClassifier(**settings).fit(form(X), y, weight)
    assert np.allclose(dense.loss_, thin.loss_, rtol=1e-9)
    assert np.allclose(dense.predict_proba(X), thin.predict_proba(form(X)), rtol=1e-6)


@quiet
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "bool", ">f4"])
def test_x_of_any_real_type(dtype):
    X, y = load_digits(return_X_y=True)
    X = (X > 8).astype(dtype)
    plain = MLPRegressor(max_iter=2, random_state=0).fit(X.astype(float), y)
    model = MLPRegressor(max_iter=2, random_state=0).fit(X, y)
    assert np.allclose(model.predict(X), plain.predict(X.astype(float)))


def test_the_dtype_of_weights_and_predictions():
    X, y = iris()
    many = np.tile(X, (2, 1)), np.tile(y, 2)

    def fitted(X, y, **settings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return MLPRegressor(max_iter=1, **settings).fit(X, y)

    assert fitted(X, y).coefs_[0].dtype == np.float64
    assert fitted(X.astype("f"), y).coefs_[0].dtype == np.float32
    assert fitted(*many).coefs_[0].dtype == np.float32
    assert fitted(*many, dtype="float64").coefs_[0].dtype == np.float64
    assert fitted(X.astype("f"), y, solver="lbfgs").coefs_[0].dtype == np.float64
    assert fitted(*many).predict(X).dtype == np.float64
    assert fitted(*many).predict(X.astype("f")).dtype == np.float32


@quiet
def test_rows_of_weight_zero_are_as_if_absent():
    X, y = load_digits(return_X_y=True)
    weight = np.random.default_rng(0).integers(0, 2, len(X))
    settings = {"max_iter": 3, "random_state": 0, "shuffle": False}
    a = MLPClassifier(**settings).fit(X, y, weight)
    b = MLPClassifier(**settings).fit(X[weight > 0], y[weight > 0])
    assert np.allclose(a.coefs_[0], b.coefs_[0], rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="weight"):
        a.fit(X, y, np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        a.fit(X, y, -np.ones(len(X)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "rleu"}, "did you mean 'relu'"),
        ({"activation": ["relu", "tanh"]}, "one for each of the 1 hidden layers"),
        ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be > 0"),
        ({"hidden_layer_sizes": (5.5,)}, "whole numbers"),
        ({"initialiser": "glorot"}, "unknown initialiser"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"schedule": "cosine", "solver": "sgd", "learning_rate": "adaptive"}, "both steer"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": 0.5, "solver": "lbfgs"}, "needs solver 'adam', 'adamw' or 'sgd'"),
        ({"engine": "nunpy"}, "did you mean 'numpy'"),
        ({"dtype": "float16"}, "dtype"),
        ({"alpha": -1.0}, "alpha"),
        ({"solver": "adamax"}, "solver"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
@pytest.mark.parametrize("ours", BOTH)
def test_wrong_parameters_are_named(ours, settings, message):
    X, y = iris()
    with pytest.raises(ValueError, match=message):
        ours(**settings).fit(X, y)


@quiet  # without a random_state, some fits do not converge
@pytest.mark.parametrize("ours", BOTH)
def test_wrong_use_is_named(ours):
    X, y = iris()
    with pytest.raises(NotFittedError):
        ours().predict(X)
    with pytest.raises(AttributeError) as failure:
        _ = ours(solver="lbfgs").partial_fit
    assert "partial_fit" in str(failure.value)
    assert not hasattr(ours(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="early_stopping=True needs X_val and y_val"):
        ours(early_stopping=True).fit(np.tile(X, (2, 1)), np.tile(y, 2)).partial_fit(X, y)


@quiet
@pytest.mark.parametrize("ours", BOTH)
def test_the_quick_way_refuses_what_the_slow_way_refuses(ours):
    X, y = iris()
    model = ours(max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="features"):
        model.predict(X[:, :2])
    with pytest.raises(ValueError, match="0 sample"):
        model.predict(X[:0])
    with pytest.raises(ValueError, match="NaN"):
        model.predict(X * np.nan)
    with pytest.raises(ValueError, match="Expected 2D"):
        model.predict(X[0])
    assert np.array_equal(model.predict(X.tolist()), model.predict(np.asfortranarray(X)))


@quiet
@pytest.mark.parametrize("ours", BOTH)
def test_divergence_is_an_error(ours):
    X, y = iris()
    with pytest.raises(InputError, match="non-finite parameter weights"):
        ours(solver="sgd", learning_rate_init=1e30, max_iter=20, random_state=0).fit(X, y)


@quiet
@pytest.mark.parametrize("ours", BOTH)
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_matrix, np.ndarray.tolist])
def test_own_rows_to_judge_by(ours, form):
    X, y = iris()
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 3, 50)
    learn, judge = np.split(rng.permutation(150), [100])
    settings = {"max_iter": 12, "random_state": 0, "learning_rate_init": 0.01}
    model = ours(hidden_layer_sizes=(7,), early_stopping=True, **settings)
    model.fit(X[learn], y[learn], X_val=form(X[judge]), y_val=y[judge], sample_weight_val=weight)
    assert model.t_ == 12 * 100  # nothing was set aside
    scores = []
    plain = ours(hidden_layer_sizes=(7,), **settings)
    for epochs in range(1, 13):  # the weights after every epoch, judged by scikit-learn
        plain.set_params(max_iter=epochs).fit(X[learn], y[learn])
        scores.append(plain.score(X[judge], y[judge], weight))
    np.testing.assert_allclose(model.validation_scores_, scores, rtol=1e-9)
    best = plain.set_params(max_iter=int(np.argmax(scores)) + 1).fit(X[learn], y[learn])
    assert np.array_equal(model.coefs_[0], best.coefs_[0])


@quiet
@pytest.mark.parametrize("ours", BOTH)
def test_own_rows_go_through_a_pipeline(ours):
    X, y = load_iris(return_X_y=True)
    X, X_val, y, y_val = train_test_split(X, y, random_state=0, stratify=y)
    settings = {"early_stopping": True, "max_iter": 5, "random_state": 0}
    scale = StandardScaler().fit(X)
    direct = ours(**settings).fit(scale.transform(X), y, X_val=scale.transform(X_val), y_val=y_val)
    with config_context(enable_metadata_routing=True):
        last = ours(**settings).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), last, transform_input=["X_val"])
        pipeline.fit(X, y, X_val=X_val, y_val=y_val)
        assert pipeline[-1].validation_scores_ == direct.validation_scores_
        search = GridSearchCV(last, {"alpha": [0.1]}, cv=2, error_score="raise")
        search.fit(scale.transform(X), y, X_val=scale.transform(X_val), y_val=y_val)
        assert search.best_estimator_.set_params(alpha=1e-4).n_iter_ == 5
    assert len(direct.validation_scores_) == 5


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        ({}, {"y_val": None}, "X_val and y_val go together"),
        ({}, {"X_val": None, "y_val": None, "sample_weight_val": [1]}, "are not given"),
        ({"early_stopping": False}, {}, "need early_stopping=True"),
        ({}, {"sample_weight_val": np.zeros(150)}, "sample_weight_val is 0|at least one non-zero"),
        ({}, {"X_val": np.ones((150, 3))}, "features"),
        ({}, {"y_val": np.ones(3)}, "inconsistent numbers of samples"),
    ],
)
@pytest.mark.parametrize("ours", BOTH)
def test_rows_to_judge_by_that_make_no_sense(ours, settings, changes, message):
    X, y = iris()
    with pytest.raises(ValueError, match=message):
        ours(**{"early_stopping": True, **settings}).fit(
            X, y, **{"X_val": X, "y_val": y, **changes}
        )


def test_targets_to_judge_by_must_be_such_as_were_learned():
    X, y = iris()
    with pytest.raises(InputError, match="`y_val` has classes not in"):
        MLPClassifier(early_stopping=True).fit(X, y, X_val=X, y_val=y + 1)
    with pytest.raises(InputError, match="y_val has 1 columns and y has 2"):
        MLPRegressor(early_stopping=True).fit(X, X[:, :2], X_val=X, y_val=y)
    with pytest.raises(
        InputError, match=r"needs targets finite and at least 0, got -2\.0 in y_val"
    ):
        MLPRegressor("poisson", early_stopping=True).fit(X, y, X_val=X, y_val=y - 2.0)

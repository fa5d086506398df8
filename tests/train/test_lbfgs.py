from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from backhand import InputError, MLPClassifier, MLPRegressor, Network
from backhand.run.llvm.runtime import engine as llvm_engine
from backhand.train.lbfgs import minimise
from backhand.train.rows import Rows

# of scikit-learn's own before 1.7, with a new SciPy
pytestmark = pytest.mark.filterwarnings("ignore:scipy.optimize.*iprint:DeprecationWarning")

SETTINGS = {"solver": "lbfgs", "hidden_layer_sizes": (8,), "random_state": 0, "max_iter": 3000}


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_minimum_is_scikit_learns(load, weighted):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    weight = np.random.default_rng(0).uniform(0.1, 2, len(X)) if weighted else None
    settings = {**SETTINGS, "alpha": 1.0, "activation": "tanh", "tol": 1e-6}
    ours = MLPClassifier(**settings).fit(X, y, weight)
    theirs = neural_network.MLPClassifier(**settings)
    if weight is None:
        theirs.fit(X, y)
    elif has_fit_parameter(theirs, "sample_weight"):
        theirs.fit(X, y, weight)
    else:
        pytest.skip("scikit-learn's own has no sample_weight before 1.7")
    assert np.isclose(ours.loss_, theirs.loss_, rtol=1e-6)
    assert np.allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-3)
    assert not hasattr(ours, "loss_curve_")


def test_regression_reaches_the_same_loss():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
    settings = {**SETTINGS, "alpha": 10.0, "activation": "tanh", "tol": 1e-6}
    ours = MLPRegressor(**settings).fit(X, y)
    theirs = neural_network.MLPRegressor(**settings).fit(X, y)
    assert np.isclose(ours.loss_, theirs.loss_, rtol=1e-6)


def test_with_several_outputs_it_minimises_the_sum_and_shows_the_mean():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X @ rng.normal(size=(3, 2)) + [1.0, 2.0]
    model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0.0, tol=1e-9).fit(X, y)
    assert np.allclose(model.predict(X), y, atol=1e-4)
    short = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=2.0, tol=1e-9).fit(X, y)
    penalty = 0.5 * 2.0 * (short.coefs_[0] ** 2).sum() / 60
    assert np.isclose(short.loss_, 0.5 * ((short.predict(X) - y) ** 2).mean() + penalty)


def test_too_few_iterations_or_evaluations_warn(capsys):
    X, y = load_iris(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        model = MLPClassifier(solver="lbfgs", max_iter=2, random_state=0, verbose=True).fit(X, y)
    assert model.n_iter_ == 2
    assert capsys.readouterr().out.startswith("Iteration 1, loss = ")
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        MLPClassifier(solver="lbfgs", max_fun=2, random_state=0).fit(X, y)


def test_parts_of_the_rows_add_up(monkeypatch):
    rng = np.random.default_rng(0)
    net = Network((3, 4, 1), activation="tanh", loss="half_squared_error", dtype="float64")
    data = Rows(rng.normal(size=(90, 3)), rng.normal(size=(90, 1)), rng.uniform(1, 2, (90, 1)))
    keywords = {"l2": 0.1 / 90, "max_iter": 5, "max_fun": 100, "tol": 1e-6}
    whole = minimise(net, net.init("glorot_uniform", 0), data, **keywords)
    monkeypatch.setattr("backhand.train.rows.EVALUATED_AT_ONCE", 40)
    split = minimise(net, net.init("glorot_uniform", 0), data, **keywords)
    assert np.isclose(whole.loss + whole.penalty, split.loss + split.penalty, rtol=1e-9)


def test_the_same_bits_whatever_the_threads_of_the_blas():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    found = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = MLPClassifier((400, 100), solver="lbfgs", max_iter=5, random_state=0).fit(X, y)
        found.append([*model.coefs_, model.loss_])
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.filterwarnings("ignore:lbfgs failed:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_the_parameters_have_the_networks_dtype(engine, tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 3))
    seen = []
    model = MLPRegressor(
        **{**SETTINGS, "max_iter": 3, "dtype": "float32", "engine": engine},
        callbacks=lambda progress: seen.extend(a.dtype for a in progress.params.values()),
    ).fit(X, X[:, 0])
    assert {a.dtype for a in (*model.coefs_, *model.intercepts_)} == {np.dtype("float32")}
    assert set(seen) == {np.dtype("float32")}
    model.save(tmp_path / "m")
    expected = model.predict(X)
    np.testing.assert_array_equal(MLPRegressor.load(tmp_path / "m").predict(X), expected)
    logits = model.predictor()(X.astype("float32"))[:, 0]
    np.testing.assert_allclose(logits, expected, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:lbfgs failed:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_loss_that_is_not_finite_is_told(dtype):
    X = np.random.default_rng(0).normal(size=(30, 3))
    X[7, 1] = 1e300 if dtype == "float64" else 1e38
    with pytest.raises(InputError, match=r"largest of X is 1e\+.* in row 7, column 1"):
        MLPRegressor(**SETTINGS, dtype=dtype).fit(X, X[:, 0])


def test_a_penalty_that_weights_make_infinite_is_told():
    X = np.random.default_rng(0).normal(size=(30, 3))
    with pytest.raises(InputError, match="alpha divided by the weight"):
        MLPRegressor(**SETTINGS, alpha=1e10).fit(X, X[:, 0], np.full(30, 1e-300))


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
def test_the_engine_that_is_named_computes(monkeypatch, engine):
    runs = []
    execute = llvm_engine.execute
    monkeypatch.setattr(llvm_engine, "execute", lambda *a: runs.append(a) or execute(*a))
    monkeypatch.setenv("BACKHAND_ENGINE", "llvm" if engine == "numpy" else "numpy")
    X = np.random.default_rng(0).normal(size=(20, 3))
    MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", engine=engine, tol=1e-2).fit(X, X[:, 0])
    assert bool(runs) == (engine == "llvm")

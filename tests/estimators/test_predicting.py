"""Predictions through compiled code, with the coefficients as they are."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from backhand import InputError, MLPClassifier, MLPRegressor, Network


def fitted(**keywords):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 5)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPRegressor(hidden_layer_sizes=(9, 7), max_iter=3, random_state=0, **keywords)
        return model.fit(X, X[:, :2]), X


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_come_from_machine_code_and_agree_with_the_array_engine(dtype):
    model, X = fitted(dtype=dtype)
    params = {f"w{number}": w for number, w in enumerate(model.coefs_, 1)}
    params |= {f"b{number}": b for number, b in enumerate(model.intercepts_, 1)}
    network = Network((5, 9, 7, 2), activation="relu", dtype=dtype)
    expected = network.forward(params, X, engine="numpy")
    epsilon = np.finfo(dtype).eps
    found = model.predict(X.astype(dtype))
    np.testing.assert_allclose(found, expected, rtol=50 * epsilon, atol=50 * epsilon)
    one_by_one = np.concatenate([model.predict(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_array_equal(one_by_one, model.predict(X))  # a row alone gives the same bits
    for same in (X[::-1][::-1], np.asfortranarray(X), X.astype("float64")):
        np.testing.assert_array_equal(model.predict(same).astype(np.float32), one_by_one)


def test_predictions_follow_coefficients_that_are_replaced():
    model, X = fitted()
    before, all_before = model.predict(X[:1]), model.predict(X)
    model.intercepts_[-1][:] += np.float32(1)
    np.testing.assert_allclose(model.predict(X[:1]), before + 1, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X), all_before + 1, rtol=1e-5)
    model.coefs_ = [np.zeros_like(w) for w in model.coefs_]
    still = model.predict(X[:1])
    np.testing.assert_array_equal(still[0], model.intercepts_[-1].astype(still.dtype))
    model.intercepts_[-1] = np.zeros(2, np.float32)
    model.intercepts_[-1][:] = 3  # an array of the caller's own may change in place
    np.testing.assert_array_equal(model.predict(X[:1]), [[3, 3]])


def test_copies_and_pickles_predict_the_same_and_follow_their_own_coefficients():
    model, X = fitted()
    expected = model.predict(X)
    for same in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(same.predict(X), expected)
        same.intercepts_[-1][:] = 7
        assert np.all(same.predict(X) != expected)
        np.testing.assert_array_equal(model.predict(X), expected)


def test_a_first_prediction_may_come_from_many_threads_at_once():
    model, X = fitted()
    expected = pickle.loads(pickle.dumps(model)).predict(X)
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda i: model.predict(X[i % 120 : i % 120 + 1])[0], range(2400)))
    np.testing.assert_array_equal(rows, np.tile(expected, (20, 1)))


def test_the_predictor_gives_logits_and_keeps_its_coefficients():
    model, X = fitted()
    predict = model.predictor()
    expected = model.predict(X)
    model.coefs_ = [np.zeros_like(w) for w in model.coefs_]
    np.testing.assert_array_equal(predict(X), expected)
    with pytest.raises(NotFittedError):
        MLPRegressor().predictor()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory as Linux tells it")
def test_many_predictions_take_no_memory():
    model, X = fitted()
    x = X[:1]

    def taken():
        return int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[1])

    for _ in range(2000):
        model.predict(x)
    before = taken()
    for _ in range(50_000):
        model.predict(x)
    assert taken() - before < 1024  # kilobytes: an array a call would take 5,000


FORMS = {
    "as it is": lambda X: X,
    "one row": lambda X: X[:1],
    "columns first": np.asfortranarray,
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "some columns": lambda X: np.hstack([X, X])[:, : X.shape[1]],
    "lists": np.ndarray.tolist,
    "sparse": sparse.csr_matrix,
    "longer": lambda X: X.astype(np.longdouble),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [3.5e38, -1e39, 1.7e308])
@pytest.mark.parametrize("ours", [MLPRegressor, MLPClassifier])
def test_values_that_the_network_cannot_hold_are_named(ours, value, form):
    X = np.random.default_rng(0).standard_normal((250, 5))
    model = ours(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, X[:, 0] > 0)
        wide = clone(model).set_params(dtype="float64").fit(X, X[:, 0] > 0)
    X[0, 3] = value
    x = FORMS[form](X)
    asked = [model.predict, lambda x: model.score(x, np.zeros(len(x) if form != "sparse" else 250))]
    if ours is MLPClassifier:
        asked += [model.predict_proba, model.predict_log_proba, model.decision_function]
    for ask in asked:
        with pytest.raises(InputError, match=r"^X is \S+ in row 0, column 3, beyond what float32"):
            ask(x)
    if abs(value) < 1e100:
        assert np.isfinite(wide.predict(x)).all()  # which float64 holds


@pytest.mark.parametrize("value", [1e20, 3e38])
def test_large_values_that_the_network_holds_are_taken(value):
    for dtype in (np.float32, np.float64):
        X = np.full((3, 5), value, dtype)
        model, _ = fitted()
        model.coefs_[0][:] *= np.float32(1e-30)
        assert np.isfinite(model.predict(X)).all()
        assert np.isfinite(model.predict(X[:1])).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_of_float64_rows_have_the_order_of_the_logits(classes):
    X = np.random.default_rng(0).standard_normal((400, 5))
    y = np.digitize(X[:, 0], [-0.4, 0.4][: classes - 1])
    model = MLPClassifier((4,), dtype="float32", max_iter=30, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    x = 8 * X
    p, z = model.predict_proba(x), model.decision_function(x)
    z = np.stack([-z, z], axis=1) if classes == 2 else z
    assert p.dtype == np.float64
    if classes == 2:  # up to where 1 - p is below half an ulp of 1
        below = np.abs(z[:, 1]) < 30
        for column in range(2):
            order = np.argsort(z[below, column])
            assert (np.diff(p[below, column][order]) > 0).tolist() == (
                np.diff(z[below, column][order]) > 0
            ).tolist()
    np.testing.assert_array_equal(p.argmax(1), z.argmax(1))
    np.testing.assert_allclose(np.log(p), model.predict_log_proba(x), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("form", [np.array, sparse.csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("engine", ["llvm", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_overflow_in_the_network_is_told_with_row_and_layer(engine, dtype, form):
    model, X = fitted(engine=engine, dtype=dtype)
    large = X.astype(dtype)
    large[1, 2] = np.finfo(dtype).max / 4
    model.coefs_[0][:] = 100
    with pytest.raises(InputError, match=rf"row 1 of X .* layer 1 .* not finite in {dtype}"):
        model.predict(form(large))
    model.coefs_[0][:] = 1  # what is merely large is predicted as before
    large[1, 2] = 1e30
    assert np.isfinite(model.predict(form(large))).all()

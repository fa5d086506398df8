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
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from backhand import MLPRegressor


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
    slow = clone(model).set_params(engine="numpy")
    slow.__setstate__({**model.__getstate__(), "engine": "numpy"})
    expected = slow.predict(X)
    epsilon = np.finfo(dtype).eps
    np.testing.assert_allclose(model.predict(X), expected, rtol=50 * epsilon, atol=50 * epsilon)
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

"""What is no table of real numbers is refused in one line wherever it enters an estimator."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from backhand import InputError, MLPClassifier, MLPRegressor

X = np.random.default_rng(0).standard_normal((12, 3))
Y = np.arange(12.0) % 3


class Raises:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array\nafter all")


def masked(a):
    return np.ma.array(a, mask=np.arange(a.size).reshape(a.shape) == 1)


NO_NUMBERS = {
    "dates": lambda a: a.astype("M8[D]"),
    "durations": lambda a: a.astype("m8[s]"),
    "records": lambda a: np.zeros(a.shape, [("a", "f4"), ("b", "i8")]),
    "raw bytes": lambda a: np.zeros(a.shape, "V4"),
    "masked": masked,
    "masked records": lambda a: np.ma.zeros(a.shape, [("a", "f4")]),
    "raises": lambda a: Raises(),
}
FEATURES = {
    **NO_NUMBERS,
    "ragged": lambda a: [[1, 2], [3]],
    "texts": lambda a: a.astype("U9"),
    "objects": lambda a: np.full(a.shape, {}, object),
}
NUMBERS = {**NO_NUMBERS, "texts": lambda a: np.full(a.shape, "one"), "bytes": lambda a: b"ab"}


def fitted(kind, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kind(hidden_layer_sizes=(4,), max_iter=2, random_state=0, **settings).fit(X, Y)


def refused(function, *args, **keywords):
    with pytest.raises((InputError, ValueError)) as caught:
        function(*args, **keywords)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_features_that_are_no_numbers(kind, name):
    model, bad = fitted(kind), FEATURES[name](X)
    for function in (model.fit, model.partial_fit, model.score):
        refused(function, bad, Y)
    refused(model.predict, bad)
    refused(kind(early_stopping=True).fit, X, Y, X_val=bad, y_val=Y)


@pytest.mark.parametrize("name", NUMBERS)
def test_targets_of_the_regressor_and_weights_that_are_no_numbers(name):
    model, bad = fitted(MLPRegressor), NUMBERS[name](Y)
    for function in (model.fit, model.partial_fit, model.score):
        refused(function, X, bad)
    refused(MLPRegressor(early_stopping=True).fit, X, Y, X_val=X, y_val=bad)
    for kind in (MLPRegressor, MLPClassifier):
        refused(kind().fit, X, Y, bad)


@pytest.mark.parametrize("name", NO_NUMBERS)
def test_labels_that_are_neither_numbers_nor_texts(name):
    refused(MLPClassifier().fit, X, NO_NUMBERS[name](Y))


@pytest.mark.parametrize("labels", ["abc", [True, False, True]])
def test_labels_of_one_kind_are_learnt(labels):
    y = np.array(list(labels))[np.arange(12) % len(labels)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPClassifier((4,), max_iter=2).fit(X, y)
    assert set(model.predict(X)) <= set(y)


def damaged_coo():
    x = sparse.coo_matrix(X)
    x.row[0] = -5000
    return x


def damaged_bsr():
    x = sparse.bsr_matrix(X)
    x.indptr[-1] += 2**29
    return x


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
def test_sparse_matrices_of_any_format_are_predicted(form):
    model = fitted(MLPRegressor)
    np.testing.assert_allclose(model.predict(sparse.csr_matrix(X).asformat(form)), model.predict(X))


@pytest.mark.parametrize("make", [damaged_coo, damaged_bsr])
def test_damaged_sparse_matrices_are_seen_before_they_are_converted(make):
    model = fitted(MLPClassifier)
    for function in (model.fit, model.partial_fit, model.score):
        refused(function, make(), Y)
    for function in (model.predict, model.predict_proba, model.decision_function):
        with pytest.raises(InputError, match="X is a malformed sparse matrix"):
            function(make())
    refused(MLPClassifier(early_stopping=True).fit, X, Y, X_val=make(), y_val=Y)


def test_targets_that_cannot_be_compared_are_refused_in_one_line():
    X, y = np.arange(20.0)[:, None], np.arange(20) % 2
    mixed = y.astype(object)
    mixed[3] = np.datetime64("1970-01-01")
    with pytest.raises(InputError, match=r"^y: "):
        MLPClassifier(max_iter=1).partial_fit(X, y, classes=[0, 1]).score(X, mixed)
    with pytest.raises(InputError, match=r"too large"):
        MLPRegressor(max_iter=1).fit(X, [10**400, *y[1:]])


def test_parameters_that_are_set_between_two_parts_are_checked():
    X, y = np.arange(20.0)[:, None], np.arange(20.0)
    model = MLPRegressor(max_iter=1).partial_fit(X, y)
    before = model.predict(X)
    for wrong in ({"batch_size": 0}, {"max_iter": 2.5}, {"callbacks": 3}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            model.set_params(**wrong).partial_fit(X, y)
        model.set_params(batch_size="auto", max_iter=1, callbacks=None)
    np.testing.assert_array_equal(model.predict(X), before)

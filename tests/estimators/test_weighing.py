from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits, load_iris
from sklearn.utils.class_weight import compute_sample_weight

from backhand import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("class_weight", [{"rare": 7.5, "often": 0.25}, {"rare": 3}, "balanced"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weights_are_factors_of_sample_weights(class_weight, weighted, solver):
    X, y = load_digits(return_X_y=True)
    y = np.where(y == 3, "rare", "often")
    weight = np.random.default_rng(0).uniform(0, 3, len(X)) if weighted else None
    settings = {"max_iter": 3, "random_state": 0, "solver": solver}
    ours = MLPClassifier((9,), class_weight=class_weight, **settings).fit(X, y, weight)
    factors = compute_sample_weight(class_weight, y) * (1 if weight is None else weight)
    same = MLPClassifier((9,), **settings).fit(X, y, factors)
    assert np.array_equal(ours.coefs_[0], same.coefs_[0])


def test_balanced_weights_of_several_labels():
    X, y = load_digits(return_X_y=True)
    labels = np.stack([y > 4, y == 3], 1).astype(int)
    settings = {"max_iter": 3, "random_state": 0}
    same = MLPClassifier((9,), **settings).fit(X, labels, compute_sample_weight("balanced", labels))
    for target in (labels, sparse.csr_matrix(labels)):
        ours = MLPClassifier((9,), class_weight="balanced", **settings).fit(X, target)
        assert np.array_equal(ours.coefs_[0], same.coefs_[0])


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_dict_for_each_label(form):
    X, y = load_digits(return_X_y=True)
    labels = np.stack([y > 4, y == 3], 1).astype(int)
    class_weight = [{0: 0.5, 1: 2}, {1: 6.0, 0: 1.0}]
    settings = {"max_iter": 3, "random_state": 0}
    factors = compute_sample_weight(class_weight, labels)
    same = MLPClassifier((9,), **settings).fit(X, labels, factors)
    for given in (class_weight, [class_weight[0], {1: 6.0}]):  # what is left out weighs 1
        ours = MLPClassifier((9,), class_weight=given, **settings).fit(X, form(labels))
        assert np.array_equal(ours.coefs_[0], same.coefs_[0])
    # rows of a part need not have both values of a label
    ours = MLPClassifier((9,), class_weight=class_weight, random_state=0)
    same = MLPClassifier((9,), random_state=0)
    some = y != 3
    ours.partial_fit(X[some], form(labels[some]), classes=[0, 1])
    same.partial_fit(X[some], form(labels[some]), factors[some], classes=[0, 1])
    assert np.array_equal(ours.coefs_[0], same.coefs_[0])


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: 2}, "for 2 labels, give a list of as many dicts"),
        ([{0: 2}], "for 2 labels, give a list of as many dicts"),
        ([{0: 2}, {2: 1}], r"class_weight\[1\] must be a dict of 0 and 1"),
        ([{0: 2}, 3.0], r"class_weight\[1\] must be a dict of 0 and 1"),
        ([{1: -2}, {1: 1}], r"class_weight\[0\].*finite and >= 0"),
        ([{1: 2}, {1: np.nan}], r"class_weight\[1\].*finite and >= 0"),
    ],
)
def test_weights_of_labels_that_make_no_sense(class_weight, message):
    X, y = load_digits(return_X_y=True)
    labels = np.stack([y > 4, y == 3], 1).astype(int)
    with pytest.raises(ValueError, match=message):
        MLPClassifier(class_weight=class_weight).fit(X, labels)
    with pytest.raises(ValueError, match=r"give a dict|not in class_weight|finite and >= 0"):
        MLPClassifier(class_weight=class_weight).fit(X, np.where(y > 4, "b", "a"))


def test_class_weights_in_partial_fit():
    X, y = load_iris(return_X_y=True)
    some = y != 1  # a class that the dict names is not among the first rows
    class_weight = {1: 4.0, 2: 0.5}
    ours = MLPClassifier((9,), class_weight=class_weight, random_state=0)
    ours.partial_fit(X[some], y[some], classes=[0, 1, 2]).partial_fit(X, y)
    factors = np.array([1.0, 4.0, 0.5])[y]
    same = MLPClassifier((9,), random_state=0)
    same.partial_fit(X[some], y[some], factors[some], classes=[0, 1, 2]).partial_fit(X, y, factors)
    assert np.array_equal(ours.coefs_[0], same.coefs_[0])
    with pytest.raises(ValueError, match=r"'balanced' is not for partial_fit.*as a dict"):
        ours.set_params(class_weight="balanced").partial_fit(X, y)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: -1.0}, "finite and >= 0"),
        ({0: np.nan}, "finite and >= 0"),
        ({5: 1.0}, "not in class_weight"),
        ("even", "class_weight"),
    ],
)
def test_class_weights_that_make_no_sense(class_weight, message):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        MLPClassifier(class_weight=class_weight).fit(X, y)

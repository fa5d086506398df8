from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits, load_iris
from sklearn.utils.class_weight import compute_sample_weight

from backhand import InputError, MLPClassifier, MLPRegressor
from backhand.estimators.weighing import product

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


@pytest.mark.parametrize("power", [-1040, -140, 123, 1000])
@pytest.mark.parametrize("how", ["rows", "classes", "both", "validation"])
@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"engine": "numpy"}], ids=str)
def test_weights_of_any_size_train_the_same(power, how, settings):
    X, y = load_iris(return_X_y=True)
    X = np.tile(X, (2, 1))
    y, weight = np.tile(y, 2), np.random.default_rng(0).integers(1, 2**20, 300) / 2.0**20
    settings = {"alpha": 0.0, "max_iter": 4, "random_state": 0, **settings}

    def fitted(factor, **more):
        by_class = None
        if how in ("classes", "both"):
            by_class = {c: np.ldexp(1.0 + c, factor) for c in range(3)}
        rows = {"sample_weight": np.ldexp(weight, factor)} if how in ("rows", "both") else {}
        if how == "validation":
            rows = {"X_val": X, "y_val": y, "sample_weight_val": np.ldexp(weight, factor)}
            more = {"early_stopping": True, "scoring": "loss"}
        return MLPClassifier((9,), class_weight=by_class, **settings, **more).fit(X, y, **rows)

    plain, scaled = fitted(0), fitted(power)
    for a, b in zip(plain.coefs_, scaled.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(scaled.loss_)
    assert scaled.loss_ == pytest.approx(plain.loss_, rel=1e-12)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("power", [-110, 90])
def test_the_penalty_keeps_its_share_where_weights_are_scaled(solver, power):
    X, y = load_iris(return_X_y=True)
    settings = {"solver": solver, "max_iter": 5, "random_state": 0, "hidden_layer_sizes": (9,)}
    weight = np.full(len(X), np.ldexp(1.0, power))
    plain = MLPRegressor(alpha=0.5, **settings).fit(X, y)
    same = MLPRegressor(alpha=np.ldexp(0.5, power), **settings).fit(X, y, weight)
    np.testing.assert_allclose(plain.coefs_[0], same.coefs_[0], rtol=1e-9)
    assert same.loss_ == pytest.approx(plain.loss_, rel=1e-9)


def test_a_penalty_beyond_the_dtype_is_named():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(InputError, match=r"alpha divided by the weight of a batch.*scale sample_"):
        MLPRegressor(alpha=1.0).fit(np.tile(X, (2, 1)), np.tile(y, 2), np.full(300, 1e-300))


def test_products_beyond_any_dtype():
    huge, tiny = np.array([1e300, 5e299]), np.array([1.0, 0.5])
    weight, exponent = product([huge, huge], "float32", "sample_weight")
    assert np.isfinite(weight).all()
    assert weight[0] / weight[1] == pytest.approx(4, rel=1e-6)
    assert exponent < -1900
    same, nothing = product([tiny, tiny], "float32", "sample_weight")
    assert (same.tolist(), nothing) == ([1.0, 0.25], 0)
    with pytest.raises(InputError, match="w is 0 for every row"):
        product([np.zeros(2)], "float32", "w")


def test_rows_that_vanish_beside_others_are_told_of_and_left_out():
    X, y = load_iris(return_X_y=True)
    X, y = np.tile(X, (2, 1)), np.tile(y, 2)
    weight = np.where(np.arange(300) < 30, 1e-60, 1.0)
    settings = {"max_iter": 3, "random_state": 0, "shuffle": False}
    with pytest.warns(UserWarning, match=r"sample_weight of row 0 is 1e-60, which counts as 0"):
        ours = MLPRegressor(**settings).fit(X, y, weight)
    same = MLPRegressor(**settings).fit(X, y, weight > 0.5)
    assert np.array_equal(ours.coefs_[0], same.coefs_[0])

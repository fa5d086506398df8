"""Estimators as scikit-learn's: the same predictions, which can be pickled and trained further."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import sklearn
from sklearn import neural_network
from sklearn.exceptions import NotFittedError

from backhand import InputError, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 4))
TARGETS = {
    "text": np.array(["no", "yes", "perhaps"])[RNG.integers(0, 3, 90)],
    "two": RNG.integers(5, 7, 90),
    "bool": RNG.random(90) < 0.5,
    "labels": (RNG.random((90, 3)) < 0.5).astype(int),
}
SETTINGS = {
    "hidden_layer_sizes": (6, 5),
    "max_iter": 4,
    "random_state": 1,
    "learning_rate_init": 0.1,
}
POISSON = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 7)

# three layers of at most 6 sums each, and a few ulp for the last function
SIZE = {name: 200 * float(np.finfo(name).eps) for name in ("float32", "float64")}


@pytest.mark.parametrize("dtype", SIZE)
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("kind", TARGETS)
def test_a_classifier_predicts_the_same_there(kind, activation, dtype):
    ours = MLPClassifier(**SETTINGS, activation=activation, dtype=dtype).fit(X, TARGETS[kind])
    theirs = ours.to_sklearn()
    assert type(theirs) is neural_network.MLPClassifier
    rows = X.astype(dtype)
    p = ours.predict_proba(rows)
    np.testing.assert_allclose(theirs.predict_proba(rows), p, rtol=SIZE[dtype], atol=SIZE[dtype])
    np.testing.assert_array_equal(theirs.predict(rows), ours.predict(rows))
    assert theirs.predict(rows).dtype == ours.predict(rows).dtype
    assert theirs.loss_curve_ == ours.loss_curve_
    for name, value in theirs.get_params().items():
        assert ours.get_params()[name] == value
    again = pickle.loads(pickle.dumps(theirs))
    np.testing.assert_array_equal(again.predict_proba(rows), theirs.predict_proba(rows))
    before = theirs.coefs_[0].copy()
    theirs.partial_fit(X, TARGETS[kind])
    assert (theirs.coefs_[0] != before).any()
    assert ours.coefs_[0].tolist() == before.tolist()
    theirs.set_params(warm_start=True).fit(X, TARGETS[kind])


@pytest.mark.parametrize("loss", ["squared_error", *["poisson"] * POISSON])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_regressor_predicts_the_same_there(loss, outputs, solver):
    y = np.abs(X[:, 0] if outputs == 1 else X[:, :2])
    settings = {**SETTINGS, "learning_rate_init": 0.001}
    ours = MLPRegressor(loss, **settings, solver=solver, dtype="float64").fit(X, y)
    theirs = ours.to_sklearn()
    np.testing.assert_allclose(
        theirs.predict(X), ours.predict(X), rtol=SIZE["float64"], atol=SIZE["float64"]
    )
    assert theirs.predict(X).shape == ours.predict(X).shape
    theirs.set_params(solver="adam").partial_fit(X, y)
    theirs.set_params(solver="lbfgs").fit(X, y)


def test_early_stopping_goes_on():
    ours = MLPClassifier(**SETTINGS, early_stopping=True, warm_start=True).fit(X, TARGETS["two"])
    theirs = ours.to_sklearn()
    assert theirs.validation_scores_ == ours.validation_scores_
    theirs.fit(X, TARGETS["two"])
    assert len(theirs.validation_scores_) > len(ours.validation_scores_)


@pytest.mark.parametrize("kind", TARGETS)
def test_there_and_back(kind):
    ours = MLPClassifier(**SETTINGS, dtype="float64").fit(X, TARGETS[kind])
    back = MLPClassifier.from_sklearn(ours.to_sklearn())
    np.testing.assert_array_equal(back.predict_proba(X), ours.predict_proba(X))
    assert back.loss_curve_ == ours.loss_curve_
    assert back.n_iter_ == ours.n_iter_


@pytest.mark.parametrize("kind", TARGETS)
def test_back_and_there(kind):
    theirs = neural_network.MLPClassifier(**SETTINGS).fit(X, TARGETS[kind])
    same = MLPClassifier.from_sklearn(theirs).to_sklearn()
    np.testing.assert_array_equal(same.predict_proba(X), theirs.predict_proba(X))
    assert same.get_params() == theirs.get_params()


def test_names_of_columns_go_along():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    theirs = MLPRegressor(**SETTINGS).fit(frame, X[:, 0]).to_sklearn()
    assert theirs.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        theirs.predict(frame[list("dcba")])


def test_parameters_that_were_changed_after_the_fit():
    """The network that was fitted counts."""
    ours = MLPRegressor(**SETTINGS, activation="tanh").fit(X, X[:, 0])
    want = ours.predict(X)
    ours.set_params(activation="relu", hidden_layer_sizes=(3,))
    theirs = ours.to_sklearn()
    assert theirs.activation == "tanh"
    assert theirs.hidden_layer_sizes == (6, 5)
    np.testing.assert_allclose(theirs.predict(X), want, rtol=1e-4, atol=1e-5)


def test_weights_that_somebody_put_there_count():
    ours = MLPRegressor(**SETTINGS).fit(X, X[:, 0])
    ours.intercepts_[-1] = ours.intercepts_[-1] + 1
    np.testing.assert_array_equal(ours.to_sklearn().intercepts_[-1], ours.intercepts_[-1])


def test_without_hidden_layers():
    ours = MLPRegressor(**{**SETTINGS, "hidden_layer_sizes": ()}).fit(X, X[:, 0])
    assert ours.to_sklearn().coefs_[0].shape == (4, 1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dropout": 0.1}, r"has no dropout=0\.1: .* call set_params\(dropout=0\.0\) before"),
        ({"class_weight": "balanced"}, r"has no class_weight='balanced': "),
        ({"label_smoothing": 0.1}, r"has no label_smoothing=0\.1: "),
        ({"clip_norm": 1.0}, r"has no clip_norm=1\.0: "),
        ({"schedule": "cosine"}, r"has no schedule='cosine': "),
        ({"solver": "adamw"}, r"has no solver='adamw': .* set_params\(solver='adam'\)"),
        ({"activation": "silu"}, r"one activation .* of identity, .*; the network has silu$"),
        ({"activation": ["relu", "tanh"]}, r"one activation .*; the network has relu, tanh$"),
        ({"loss": "focal"}, r"no network with the loss 'focal.*' that predicts classes by 'soft"),
    ],
)
def test_what_scikit_learn_has_not_is_refused(setting, message):
    ours = MLPClassifier(**{**SETTINGS, **setting}).fit(X, TARGETS["text"])
    with pytest.raises(InputError, match=message) as caught:
        ours.to_sklearn()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [{"loss": "mean_squared_error"}, {"loss": "quantile"}, {"out_activation": "softplus"}],
)
def test_losses_of_numbers_that_scikit_learn_has_not_are_refused(setting):
    ours = MLPRegressor(**SETTINGS, **setting).fit(X, X[:, 0])
    with pytest.raises(InputError, match=r"^scikit-learn has no network with the loss"):
        ours.to_sklearn()


def test_two_classes_of_two_outputs_are_refused():
    ours = MLPClassifier(**SETTINGS, loss="softmax_cross_entropy").fit(X, TARGETS["two"])
    with pytest.raises(InputError, match=r"that predicts two classes by 'softmax'$"):
        ours.to_sklearn()


def test_for_predictions_only_a_parameter_can_be_set_back():
    ours = MLPRegressor(**SETTINGS, dropout=0.2).fit(X, X[:, 0])
    want = ours.predict(X)
    theirs = ours.set_params(dropout=0.0).to_sklearn()
    np.testing.assert_allclose(theirs.predict(X), want, rtol=1e-4, atol=1e-5)


def test_what_is_not_fitted():
    with pytest.raises(NotFittedError):
        MLPRegressor().to_sklearn()

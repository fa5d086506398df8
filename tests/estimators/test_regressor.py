from __future__ import annotations

import doctest

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_diabetes
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import backhand.estimators.regressor
from backhand import MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def test_the_example_runs():
    assert doctest.testmod(backhand.estimators.regressor).failed == 0


def test_scores_beside_scikit_learn():
    X, y = diabetes()
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    settings = {"random_state": 0, "learning_rate_init": 0.01, "max_iter": 300, "alpha": 1.0}
    ours, theirs = (
        m.MLPRegressor(**settings).fit(X_train, y_train).score(X_test, y_test)
        for m in (backhand, neural_network)
    )
    assert ours > 0.2
    assert ours >= theirs - 0.03


@pytest.mark.skipif(
    "loss" not in neural_network.MLPRegressor().get_params(), reason="scikit-learn before 1.7"
)
def test_poisson_is_scikit_learns():
    X, y = diabetes()
    y = np.round(y / 50)
    settings = {"loss": "poisson", "hidden_layer_sizes": (9,), "random_state": 0, "max_iter": 5}
    ours = MLPRegressor(dtype="float64", **settings).fit(X, y)
    theirs = neural_network.MLPRegressor(**settings).fit(X, y)
    assert ours.out_activation_ == theirs.out_activation_ == "exp"
    assert np.allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-7)
    assert np.allclose(ours.predict(X), theirs.predict(X), rtol=1e-7)
    assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)


def test_poisson_refuses_negative_targets():
    X, y = diabetes()
    with pytest.raises(ValueError, match="needs targets >= 0"):
        MLPRegressor("poisson").fit(X, y - 100)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_every_loss_learns(loss, outputs):
    X, y = diabetes()
    y = y / 100 if outputs == 1 else np.stack([y / 100, 3 - y / 150], 1)
    model = MLPRegressor(loss, (20,), random_state=0, max_iter=300, learning_rate_init=0.01)
    model.fit(X, y)
    assert model.n_outputs_ == outputs
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) > 0.5


def test_several_outputs_show_the_mean_loss():
    X, y = diabetes()
    y = np.stack([y / 100, 3 - y / 150], 1)
    settings = {"hidden_layer_sizes": (9,), "random_state": 0, "max_iter": 5}
    ours = MLPRegressor(dtype="float64", **settings).fit(X, y)
    theirs = neural_network.MLPRegressor(**settings).fit(X, y)
    assert np.allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-7)
    assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)


def test_a_column_of_targets_warns_and_gives_a_row():
    X, y = diabetes()
    model = MLPRegressor(hidden_layer_sizes=(5,), max_iter=2, random_state=0)
    with pytest.warns(DataConversionWarning):
        model.fit(X, y[:, None])
    assert model.predict(X).shape == (len(X),)


def test_partial_fit_learns():
    X, y = diabetes()
    y = (y - y.mean()) / y.std()
    model = MLPRegressor(random_state=0)
    for _ in range(40):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.4
    assert len(model.loss_curve_) == 40

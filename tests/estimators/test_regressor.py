from __future__ import annotations

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_diabetes
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import d2_pinball_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import backhand.estimators.regressor
from backhand import InputError, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    return StandardScaler().fit_transform(X), y


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
    with pytest.raises(ValueError, match="needs targets finite and at least 0"):
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


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_a_quantile_has_its_share_of_targets_below(level):
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (2000, 1))
    y = X[:, 0] + (0.1 + X[:, 0]) * rng.standard_normal(2000)
    model = MLPRegressor(
        f"quantile:level={level}", (20,), learning_rate_init=0.01, max_iter=100, random_state=0
    )
    below = y < model.fit(X, y).predict(X)
    # the count below is known to a few of the 2000 rows where the gradient is near zero; half the
    # rows lie on either side, so both halves have to follow the spread
    for half in (X[:, 0] < 0.5, X[:, 0] >= 0.5):
        assert abs(below[half].mean() - level) < 0.05


@pytest.mark.parametrize("loss", ["gamma", "tweedie", "tweedie:power=1.2"])
def test_a_log_link_finds_the_mean_of_skewed_targets(loss):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (4000, 2))
    mean = np.exp(1 + X @ [1.0, -0.5])
    y = mean * rng.gamma(4.0, 0.25, 4000)
    model = MLPRegressor(loss, (), solver="lbfgs", alpha=0, tol=1e-6, random_state=0).fit(X, y)
    assert model.out_activation_ == "exp"
    # the relative error of y is 1/2, that of a coefficient about 0.5 / sqrt(4000 / 3)
    np.testing.assert_allclose(model.coefs_[0][:, 0], [1.0, -0.5], atol=5 * 0.5 / np.sqrt(4000 / 3))
    np.testing.assert_allclose(model.intercepts_[0], [1.0], atol=5 * 0.5 / np.sqrt(4000))


def test_a_log_link_is_scikit_learns_linear_model():
    from sklearn.linear_model import GammaRegressor

    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((200, 3)), rng.gamma(2.0, 1.0, 200)
    ours = MLPRegressor("gamma", (), solver="lbfgs", alpha=0, tol=1e-9, random_state=0).fit(X, y)
    theirs = GammaRegressor(alpha=0, tol=1e-9, max_iter=1000).fit(X, y)
    # SciPy ends where the loss changes by less than 2e-9 of itself: by the root of it off the least
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=2 * np.sqrt(2e-9))


@pytest.mark.parametrize(
    ("loss", "wanted"), [("gamma", "finite and above 0"), ("tweedie", "finite and at least 0")]
)
def test_targets_that_a_log_link_cannot_have(loss, wanted):
    with pytest.raises(InputError, match=f"loss='{loss}' needs targets {wanted}, got -1.0 in y"):
        MLPRegressor(loss).fit(np.ones((3, 1)), [1.0, -1.0, 2.0])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_an_activation_of_the_outputs(solver, engine, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (500, 2))
    y = 1 / (1 + np.exp(-3 * X[:, 0] - X[:, 1]))
    model = MLPRegressor(
        hidden_layer_sizes=(),
        out_activation="logistic",
        solver=solver,
        engine=engine,
        alpha=0,
        learning_rate_init=0.03,
        max_iter=500,
        tol=1e-9,
        random_state=0,
    ).fit(X, y)
    assert model.out_activation_ == "logistic"
    np.testing.assert_allclose(model.coefs_[0][:, 0], [3, 1], atol=0.05)
    assert ((model.predict(100 * X) >= 0) & (model.predict(100 * X) <= 1)).all()
    assert model.score(X, y) > 0.999
    model.save(tmp_path / "model.safetensors")
    again = MLPRegressor.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(InputError, match="'poisson' has a link of its own"):
        MLPRegressor("poisson", out_activation="logistic").fit(X, y)
    with pytest.raises(InputError, match="unknown activation 'logistik'"):
        MLPRegressor(out_activation="logistik").fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_several_quantiles_that_do_not_cross(solver, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (4000, 1))
    y = X[:, 0] + (0.1 + X[:, 0]) * rng.standard_normal(4000)
    levels = (0.1, 0.5, 0.9)
    model = MLPRegressor(
        "quantiles:0.1,0.5,0.9",
        (20,),
        solver=solver,
        learning_rate_init=0.01,
        early_stopping=True,
        max_iter=200,
        random_state=0,
    )
    model.fit(X, y)
    q = model.predict(X)
    assert q.shape == (4000, 3)
    for column, level in zip(q.T, levels, strict=True):
        for half in (X[:, 0] < 0.5, X[:, 0] >= 0.5):
            assert abs((y < column)[half].mean() - level) < 0.05
    far = model.predict(rng.uniform(-1e4, 1e4, (1000, 1)))
    assert (np.diff(far, axis=1) >= 0).all()
    want = [d2_pinball_score(y, c, alpha=level) for c, level in zip(q.T, levels, strict=True)]
    assert np.isclose(model.score(X, y), np.mean(want))
    model.save(tmp_path / "model.safetensors")
    again = MLPRegressor.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(X), q)
    with pytest.raises(InputError, match="is for one target, got 2 in y"):
        model.fit(X, np.column_stack([y, y]))
    with pytest.raises(InputError, match="link of its own"):
        model.set_params(out_activation="tanh").fit(X, y)


def test_one_level_of_several_is_the_single_quantile():
    X, y = diabetes()
    one, single = (
        MLPRegressor(loss, (5,), solver="lbfgs", max_iter=20, random_state=0).fit(X, y)
        for loss in ("quantiles:0.9", "quantile:level=0.9")
    )
    np.testing.assert_array_equal(one.predict(X), single.predict(X))
    assert np.isclose(one.score(X, y), d2_pinball_score(y, single.predict(X), alpha=0.9))

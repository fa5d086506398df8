"""The course of a fit beside scikit-learn's own, number by number in float64."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

import backhand
from backhand import InputError, MLPClassifier, MLPRegressor, Network
from backhand.engines import executor
from backhand.estimators import fitting, parameters
from backhand.formulas.schedules import SCHEDULES
from backhand.train import loop
from backhand.train.loop import TrainLoop

takes_weights = pytest.mark.skipif(
    not has_fit_parameter(neural_network.MLPClassifier(), "sample_weight"),
    reason="scikit-learn's own has no sample_weight before 1.7",
)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16.0, y[:300]


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    return StandardScaler().fit_transform(X), (y - y.mean()) / y.std()


def same(ours, theirs, X, y, *, rtol=1e-10, weight=None):
    ours.set_params(dtype="float64").fit(X, y, weight)
    theirs.fit(X, y) if weight is None else theirs.fit(X, y, weight)
    for a, b in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        assert a.shape == b.shape
        assert np.allclose(a, b, rtol=rtol, atol=1e-12)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    return ours, theirs


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_one_step_over_all_rows(kind, activation, solver):
    X, y = digits() if kind == "MLPClassifier" else diabetes()
    settings = {
        "hidden_layer_sizes": (11, 5),
        "activation": activation,
        "solver": solver,
        "batch_size": len(X),
        "max_iter": 1,
        "alpha": 0.7,
        "random_state": 0,
    }
    ours, theirs = (getattr(m, kind)(**settings) for m in (backhand, neural_network))
    ours, theirs = same(ours, theirs, X, y)
    assert np.isclose(ours.loss_, theirs.loss_, rtol=1e-12)
    assert np.isclose(ours.best_loss_, theirs.best_loss_, rtol=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shuffle": False, "batch_size": 37},
        {"solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "invscaling"},
        {"solver": "sgd", "learning_rate_init": 0.1, "nesterovs_momentum": False},
        {"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.0, "alpha": 1.0},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
        {"early_stopping": True, "n_iter_no_change": 2, "tol": 0.02},
        {"early_stopping": True, "solver": "sgd", "learning_rate": "adaptive", "tol": 0.1},
    ],
)
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_a_whole_fit(kind, settings):
    X, y = digits() if kind == "MLPClassifier" else diabetes()
    settings = {"hidden_layer_sizes": (11,), "max_iter": 40, "random_state": 5, **settings}
    ours, theirs = (getattr(m, kind)(**settings) for m in (backhand, neural_network))
    ours, theirs = same(ours, theirs, X, y, rtol=1e-6)
    # the penalty within an epoch is a straight line; it shows with a large alpha alone
    close = 1e-3 if settings.get("alpha") else 1e-6
    assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=close)
    if settings.get("early_stopping"):
        assert np.allclose(ours.validation_scores_, theirs.validation_scores_)
        assert np.isclose(ours.best_validation_score_, theirs.best_validation_score_)
        assert ours.best_loss_ is None
    else:
        assert ours.validation_scores_ is None
        assert ours.best_validation_score_ is None
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-6)


@takes_weights
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_sample_weights(kind):
    X, y = digits() if kind == "MLPClassifier" else diabetes()
    weight = np.random.default_rng(0).uniform(0.2, 3, len(X))
    settings = {"hidden_layer_sizes": (11,), "max_iter": 5, "alpha": 0.5, "random_state": 5}
    ours, theirs = (getattr(m, kind)(**settings) for m in (backhand, neural_network))
    same(ours, theirs, X, y, rtol=1e-6, weight=weight)


def test_binary_several_labels_and_poisson():
    X, y = digits()
    settings = {"hidden_layer_sizes": (11,), "max_iter": 5, "random_state": 5}
    for target in (y > 4, np.stack([y > 4, y % 2, y == 3], 1).astype(int)):
        ours, theirs = (m.MLPClassifier(**settings) for m in (backhand, neural_network))
        ours, theirs = same(ours, theirs, X, target, rtol=1e-7)
        assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)
        assert np.allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)
        assert np.array_equal(ours.predict(X), theirs.predict(X))


def test_warm_start_goes_on():
    X, y = digits()
    settings = {"hidden_layer_sizes": (11,), "max_iter": 3, "random_state": 5, "warm_start": True}
    ours, theirs = (m.MLPClassifier(**settings) for m in (backhand, neural_network))
    same(ours, theirs, X, y, rtol=1e-7)
    ours, theirs = same(ours, theirs, X, y, rtol=1e-6)
    assert ours.n_iter_ == 3
    assert len(ours.loss_curve_) == len(theirs.loss_curve_) == 6
    with pytest.raises(ValueError, match="warm_start can only be used where"):
        ours.fit(X[:200], y[:200] % 4)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_goes_on(solver):
    X, y = digits()
    settings = {"solver": solver, "random_state": 5, "learning_rate": "invscaling"}
    ours = backhand.MLPClassifier((11,), dtype="float64", **settings)
    theirs = neural_network.MLPClassifier((11,), **settings)
    for model in (ours, theirs):
        for some in np.array_split(np.arange(len(X)), 4):
            model.partial_fit(X[some], y[some], classes=np.arange(10))
    assert np.allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-8, atol=1e-12)
    assert (ours.n_iter_, ours.t_) == (theirs.n_iter_, theirs.t_) == (1, 300)


def test_the_end_of_max_iter_warns_and_verbose_prints(capsys):
    X, y = digits()
    model = backhand.MLPClassifier((5,), max_iter=2, early_stopping=True, verbose=True)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations \\(2\\) reached"):
        model.fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Iteration 1, loss = ")
    assert lines[1].startswith("Validation score: ")
    backhand.MLPClassifier((5,), tol=1e9, n_iter_no_change=1, verbose=True).fit(X, y)
    assert "did not improve more than tol" in capsys.readouterr().out


def test_batches_larger_than_the_data_warn():
    X, y = digits()
    with pytest.warns(UserWarning, match="clipped"):
        backhand.MLPClassifier((5,), max_iter=1, batch_size=1000).fit(X, y)


def test_ctrl_c_keeps_the_model(monkeypatch):
    X, y = digits()
    calls = []

    def interrupt(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "_record", interrupt)
    model = backhand.MLPClassifier((5,))
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert len(calls) == 3
    assert len(model.predict(X)) == len(X)


@pytest.mark.parametrize("settings", [{"early_stopping": True, "validation_fraction": 0.001}])
def test_a_validation_set_of_one_row_is_refused(settings):
    X, y = digits()
    with pytest.raises(ValueError, match="validation set is too small"):
        backhand.MLPClassifier(**settings).fit(X, y)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "inverse_scaling:power=0.3"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_schedules_steer_the_rate(schedule, solver):
    X, y = digits()
    model = backhand.MLPClassifier(
        (20,),
        solver=solver,
        schedule=schedule,
        learning_rate_init=0.02,
        max_iter=40,
        tol=0.0,
        random_state=0,
    )
    assert model.fit(X, y).score(X, y) > 0.8
    plain = backhand.MLPClassifier(
        (20,), solver=solver, learning_rate_init=0.02, max_iter=40, tol=0.0, random_state=0
    ).fit(X, y)
    assert not np.array_equal(plain.coefs_[0], model.coefs_[0])


@pytest.mark.parametrize("dropout", [0.3, [0.4, 0.1]])
def test_dropout_is_drawn_from_the_random_state(dropout):
    X, y = digits()
    settings = {"hidden_layer_sizes": (40, 20), "max_iter": 20, "random_state": 1}
    one = backhand.MLPClassifier(dropout=dropout, **settings).fit(X, y)
    two = backhand.MLPClassifier(dropout=dropout, **settings).fit(X, y)
    plain = backhand.MLPClassifier(**settings).fit(X, y)
    assert np.array_equal(one.coefs_[0], two.coefs_[0])
    assert one.loss_ > plain.loss_
    assert np.array_equal(one.predict_proba(X), one.predict_proba(X))


@pytest.mark.parametrize("initialiser", ["kaiming_normal", "orthogonal", "lsuv"])
def test_initialisers(initialiser):
    X, y = digits()
    model = backhand.MLPClassifier(
        (40, 20), initialiser=initialiser, max_iter=80, random_state=1, activation=["silu", "elu"]
    ).fit(X, y)
    assert model.score(X, y) > 0.9


OPTIONS = [
    {"solver": "adamw", "weight_decay": 0.1},
    {"solver": "sgd", "momentum": 0.5},
    *({"schedule": name} for name in SCHEDULES),
    {"schedule": "cosine:warmup=0.5", "solver": "adamw"},
    {"dropout": 0.3},
    {"dropout": [0.0, 0.4]},
    {"activation": ["silu", "tanh"]},
    {"activation": "leaky_relu:slope=0.1", "threads": 2},
    {"label_smoothing": 0.1},
    {"loss": "focal"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("classes", [2, 3])
def test_both_executors_train_alike_with_every_option(options, classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < classes], y[y < classes]
    settings = {"max_iter": 4, "batch_size": 16, "random_state": 0, "dtype": "float64", **options}
    ours, reference, plain = (
        MLPClassifier((7, 5), engine=engine, **{**settings, **other}).fit(X, y)
        for engine, other in (("llvm", {}), ("numpy", {}), ("numpy", PLAIN))
    )
    for w, v in zip(ours.coefs_, reference.coefs_, strict=True):
        np.testing.assert_allclose(w, v, rtol=1e-9, atol=1e-11)
    same = all(np.array_equal(v, u) for v, u in zip(reference.coefs_, plain.coefs_, strict=True))
    assert same == (options == {"schedule": "constant"}), "the option has no effect"


PLAIN = {
    "solver": "adam",
    "momentum": 0.9,
    "schedule": None,
    "dropout": 0.0,
    "activation": "relu",
    "label_smoothing": 0.0,
    "loss": "log_loss",
}


@pytest.mark.parametrize("loss", ["quantile:level=0.9", "gamma", "tweedie:power=1.2", "huber"])
def test_both_executors_train_alike_with_losses_for_numbers(loss):
    X = load_iris().data
    settings = {"max_iter": 4, "batch_size": 16, "random_state": 0, "dtype": "float64"}
    ours, reference = (
        MLPRegressor(loss, (7,), engine=engine, **settings).fit(X[:, :3], X[:, 3])
        for engine in ("llvm", "numpy")
    )
    for w, v in zip(ours.coefs_, reference.coefs_, strict=True):
        np.testing.assert_allclose(w, v, rtol=1e-9, atol=1e-11)


def test_threads_reach_the_executor_and_change_no_bit(monkeypatch):
    asked = []

    def recorded(*args, **keywords):
        asked.append(args[-1])
        return executor("llvm").trainer(*args, **keywords)

    monkeypatch.setattr(loop, "executor", lambda engine: SimpleNamespace(trainer=recorded))
    X, y = load_iris(return_X_y=True)
    one, two = (
        MLPClassifier((70,), max_iter=3, threads=n, random_state=0).fit(X, y) for n in (1, 2)
    )
    assert asked == [1, 2]
    for w, v in zip(one.coefs_, two.coefs_, strict=True):
        assert np.array_equal(w, v)


def test_adamw_shrinks_weights_and_spares_biases():
    X = np.zeros((10, 2))  # no gradient reaches the first weights: they go by decay alone
    model = MLPClassifier(
        (3,), solver="adamw", alpha=0, weight_decay=0.5, max_iter=1, batch_size=5, random_state=0
    )
    start = parameters.draw(Network((2, 3, 1), dtype="float64"), np.random.RandomState(0))
    w, b = start["w1"], start["b1"]
    model.fit(X, np.arange(10) % 2)
    np.testing.assert_allclose(model.coefs_[0], w * (1 - 0.001 * 0.5) ** 2, rtol=1e-14)
    moved = np.abs(model.intercepts_[0] - b)
    assert moved[b > 0].all(), "the bias of an active unit learns"
    assert not moved[b < 0].any(), "the bias of a dead unit neither learns nor decays"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_a_loss_or_a_penalty_that_is_not_finite_is_told_at_finite_weights(engine, monkeypatch):
    X = np.random.default_rng(0).standard_normal((20, 3))
    epoch = TrainLoop.epoch
    monkeypatch.setattr(TrainLoop, "epoch", lambda *given: epoch(*given) * float("nan"))
    with pytest.raises(InputError, match="a non-finite loss in iteration 1"):
        MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, engine=engine).fit(X, X[:, 0])

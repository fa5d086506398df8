from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier as Theirs

from backhand import InputError, MLPClassifier, MLPRegressor, Network
from backhand.estimators.parameters import (
    class_loss,
    draw,
    engine_name,
    hidden_widths,
    regression_loss,
    regression_losses,
)
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.initialisers import INITIALISERS
from backhand.formulas.losses import LOSSES
from backhand.formulas.optimisers import OPTIMISERS
from backhand.formulas.schedules import SCHEDULES
from backhand.train.config import TrainConfig

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("value", [7, np.int64(7), (7,), [7], np.array([7])])
def test_hidden_widths_of_every_form(value):
    assert hidden_widths(value) == [7]


@pytest.mark.parametrize("value", [(0,), (-3, 5), (2.5,), ("a",), (True,)])
def test_hidden_widths_that_make_no_sense(value):
    with pytest.raises(InputError, match="hidden_layer_sizes"):
        hidden_widths(value)


def test_the_default_engine_is_that_of_training():
    assert engine_name(None) == TrainConfig().engine
    with pytest.raises(InputError, match="unknown engine"):
        engine_name("abacus")


def test_all_losses_add_up_outputs():
    assert {loss.outputs for loss in regression_losses().values()} == {"sum"}


@pytest.mark.parametrize("activation", ["relu", "logistic", "tanh"])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 3)])
def test_first_weights_are_scikit_learns(activation, hidden):
    X = np.random.default_rng(0).normal(size=(12, 4))
    theirs = Theirs(hidden, activation, solver="sgd", learning_rate_init=1e-300, random_state=3)
    theirs.partial_fit(X, np.arange(12) % 3, classes=[0, 1, 2])
    net = Network((4, *hidden, 3), activation=activation, dtype="float64")
    ours = draw(net, np.random.RandomState(3), activation)
    for number, (w, b) in enumerate(zip(theirs.coefs_, theirs.intercepts_, strict=True), 1):
        assert np.array_equal(ours[f"w{number}"], w)
        assert np.array_equal(ours[f"b{number}"], b)


def test_the_bound_goes_by_each_layers_own_units():
    net = Network((300, 300, 300, 300), activation=["logistic", "relu"], dtype="float64")
    params = draw(net, np.random.RandomState(0))
    spread = [np.abs(params[name]).max() for name in ("w1", "w2", "w3")]
    assert np.allclose(spread, np.sqrt(np.array([2, 6, 6]) / 600), rtol=1e-3)


def test_a_losss_parameter_follows_its_name():
    loss = regression_loss("tweedie:power=1.2")
    assert (loss.spec, loss.outputs) == ("tweedie:power=1.2", "sum")
    assert class_loss(MLPClassifier(loss="focal:gamma=1"), "two classes").spec == (
        "binary_focal:gamma=1.0"
    )


@pytest.mark.parametrize("name", ["hubber", "poisson:delta=2", "tweedie:power=3", "focal"])
def test_a_loss_that_makes_no_sense_for_numbers(name):
    with pytest.raises(InputError, match=name.partition(":")[0]):
        regression_loss(name)


def test_smoothing_is_for_the_log_loss():
    with pytest.raises(InputError, match=r"label_smoothing=0.1 needs loss='log_loss', got .*focal"):
        class_loss(MLPClassifier(loss="focal", label_smoothing=0.1), "classes")


def also(monkeypatch, table, name, entry):
    """Let a user's formula be among the registered ones."""
    monkeypatch.setitem(table, entry, dataclasses.replace(table[name], name=entry))


X = np.random.default_rng(0).standard_normal((240, 4))
FITS = {"hidden_layer_sizes": (9,), "max_iter": 3, "random_state": 0, "tol": 0.0}


@pytest.mark.parametrize(
    ("table", "name", "parameter"),
    [
        (ACTIVATIONS, "silu", "activation"),
        (ACTIVATIONS, "softplus", "out_activation"),
        (SCHEDULES, "cosine", "schedule"),
        (INITIALISERS, "kaiming_normal", "initialiser"),
        (OPTIMISERS, "adamw", "solver"),
        (OPTIMISERS, "nesterov", "solver"),
        (LOSSES, "huber", "loss"),
        (LOSSES, "gamma", "loss"),
        (LOSSES, "binary_cross_entropy", "loss"),
    ],
)
def test_registered_formulas_reach_the_regressor(monkeypatch, tmp_path, table, name, parameter):
    y = 0.1 + 0.8 / (1 + np.exp(-X[:, 0]))
    with pytest.raises(ValueError, match="mine"):
        MLPRegressor(**{parameter: "mine"}, **FITS).fit(X, y)
    also(monkeypatch, table, name, "mine")
    ours = MLPRegressor(**{parameter: "mine"}, **FITS).fit(X, y)
    same = MLPRegressor(**{parameter: name}, **FITS).fit(X, y)
    np.testing.assert_array_equal(ours.predict(X), same.predict(X))
    assert ours.partial_fit(X, y).loss_ == same.partial_fit(X, y).loss_
    ours.save(tmp_path / "m")
    np.testing.assert_array_equal(MLPRegressor.load(tmp_path / "m").predict(X), ours.predict(X))
    if table is LOSSES:
        entry = dataclasses.replace(LOSSES[name], name="an entry")
        alone = MLPRegressor(loss=entry, **FITS).fit(X, y)
        np.testing.assert_array_equal(
            alone.predict(X), MLPRegressor(loss=name, **FITS).fit(X, y).predict(X)
        )


@pytest.mark.parametrize("classes", [2, 3])
def test_registered_losses_reach_the_classifier(monkeypatch, tmp_path, classes):
    also(monkeypatch, LOSSES, "softmax_cross_entropy", "mine")
    also(monkeypatch, LOSSES, "binary_cross_entropy", "each")
    y = np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.3, 0.3][: classes - 1])]
    model = MLPClassifier(loss="mine", **FITS).fit(X, y)
    assert (model.n_outputs_, model.out_activation_) == (classes, "softmax")
    p, z = model.predict_proba(X), model.decision_function(X)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-14)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-12)
    chosen = (z > 0).astype(int) if classes == 2 else z.argmax(1)
    assert z.ndim == classes - 1
    np.testing.assert_array_equal(model.predict(X), model.classes_[chosen])
    assert model.partial_fit(X, y).score(X, y) > 0.3
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(
        MLPClassifier.load(tmp_path / "m").predict_proba(X), model.predict_proba(X)
    )
    if classes == 2:
        each = MLPClassifier(loss="each", **FITS).fit(X, y)
        plain = MLPClassifier(**FITS).fit(X, y)
        np.testing.assert_array_equal(each.predict_proba(X), plain.predict_proba(X))
    else:
        with pytest.raises(InputError, match=r"loss='each' is not for classes, which take .*mine"):
            MLPClassifier(loss="each", **FITS).fit(X, y)


def test_losses_of_the_other_estimator_are_refused():
    y = X[:, 0] > 0
    with pytest.raises(InputError, match="loss='huber' is not for two classes"):
        MLPClassifier(loss="huber").fit(X, y)
    with pytest.raises(InputError, match="'half_squared_error' has targets that are real"):
        MLPClassifier(loss=LOSSES["half_squared_error"]).fit(X, y)
    with pytest.raises(InputError, match="'focal' is for classes: MLPClassifier takes it"):
        MLPRegressor(loss=LOSSES["focal"]).fit(X, y)
    with pytest.raises(InputError, match=r"needs targets between 0 and 1, got .* in y \(the first"):
        MLPRegressor(loss="binary_cross_entropy").fit(X, X[:, 0])


@pytest.mark.parametrize("value", [{}, {"a": 1}, "50", {3}])
def test_hidden_widths_that_are_no_sequence(value):
    with pytest.raises(InputError, match="hidden_layer_sizes must be whole numbers"):
        hidden_widths(value)

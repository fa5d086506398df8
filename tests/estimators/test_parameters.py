from __future__ import annotations

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier as Theirs

from backhand import InputError, MLPClassifier, Network
from backhand.estimators.parameters import (
    class_loss,
    draw,
    engine_name,
    hidden_widths,
    regression_loss,
    regression_losses,
)
from backhand.training import Settings


@pytest.mark.parametrize("value", [7, np.int64(7), (7,), [7], np.array([7])])
def test_hidden_widths_of_every_form(value):
    assert hidden_widths(value) == [7]


@pytest.mark.parametrize("value", [(0,), (-3, 5), (2.5,), ("a",), (True,)])
def test_hidden_widths_that_make_no_sense(value):
    with pytest.raises(InputError, match="hidden_layer_sizes"):
        hidden_widths(value)


def test_the_default_engine_is_that_of_training():
    assert engine_name(None) == Settings().engine
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
    for (w, b), v, c in zip(ours, theirs.coefs_, theirs.intercepts_, strict=True):
        assert np.array_equal(w, v)
        assert np.array_equal(b, c)


def test_the_bound_goes_by_each_layers_own_units():
    net = Network((300, 300, 300, 300), activation=["logistic", "relu"], dtype="float64")
    spread = [np.abs(w).max() for w, _ in draw(net, np.random.RandomState(0))]
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

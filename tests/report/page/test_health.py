"""Each illness is planted in a network, and has to be found; a healthy one has none."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network, Rows, TrainConfig, fit
from backhand.report.page.health import BAD, GOOD, NOTE, of_history, of_layers
from backhand.train.monitor import Budget, Monitor, look

RNG = np.random.default_rng(0)
X = RNG.normal(size=(256, 8))
T = (X @ RNG.normal(size=(8, 1)) + 0.1 * RNG.normal(size=(256, 1))).astype(np.float32)


def network(depth=2, activation="relu", units=32):
    return Network((8, *[units] * depth, 1), activation=activation, loss="mean_squared_error")


def seen(depth=2, activation="relu", change=None, scheme="kaiming_normal"):
    net = network(depth, activation)
    params = net.init(scheme, 0)
    if change is not None:
        change(params)
    return of_layers([look(net, params, Rows(X[:64], T[:64]))])


def scaled(factor, weights="w"):
    def change(params):
        for name in params:
            if name.startswith(weights):
                params[name] *= factor

    return change


def dead(params):
    params["b1"][:20] = -100


@pytest.mark.parametrize(
    ("given", "says", "remedy"),
    [
        ({"change": dead}, "layer 1: 20 of 32 units never fire", "leaky_relu"),
        (
            {"activation": "tanh", "change": scaled(100)},
            "% of units are where the activation is flat",
            "lecun_normal",
        ),
        ({"depth": 8, "activation": "logistic"}, "gradients vanish", "kaiming_normal"),
        ({"depth": 6, "change": scaled(8)}, "gradients explode", "clip_norm"),
        ({"depth": 4, "change": scaled(0.2)}, "signals fade", "lsuv"),
        ({"change": scaled(200)}, "pre-activations have a spread of", "standardise"),
    ],
    ids=["dead", "flat", "vanishing", "exploding", "fading", "spread"],
)
def test_illnesses_of_layers(given, says, remedy):
    found = seen(**given)
    assert any(says in one.says and remedy in one.remedy and one.level == BAD for one in found)


@pytest.mark.parametrize("activation", ["relu", "tanh", "selu"])
def test_a_network_as_it_should_be(activation):
    scheme = "kaiming_normal" if activation == "relu" else "lecun_normal"
    found = seen(activation=activation, scheme=scheme)
    assert [one.level for one in found] == [GOOD]


class Plenty(Budget):
    def allows(self):
        return True


def trained(rate, epochs=12, t=T, validation=None, activation="relu", units=32, **config):
    net = network(activation=activation, units=units)
    rows = Rows(X[: len(t)], t)
    monitor = Monitor(net, rows, Plenty())
    config = {"optimiser": "adam", "schedule": "constant", "batch_size": 32, **config}
    settings = TrainConfig(epochs=epochs, learning_rate=rate, seed=0, **config)
    start = net.init("kaiming_normal", 0)
    result = fit(net, start, rows, settings, validation=validation, callbacks=[monitor])
    return [
        *of_layers(monitor.looks),
        *of_history(result.history, result.best_epoch, result.stopped),
    ]


def says(found):
    return " | ".join(f"{one.level}: {one.says}" for one in found)


def test_a_healthy_training():
    found = trained(2e-3, 60, validation=Rows(X, T))
    assert {one.level for one in found} <= {GOOD, NOTE}
    assert not any("rough" in one.says or "overfits" in one.says for one in found)


def test_a_learning_rate_that_is_too_small():
    found = trained(1e-9)
    assert f"{BAD}: weights hardly move" in says(found)
    assert f"{BAD}: the training loss hardly falls" in says(found)


def test_a_learning_rate_that_is_too_large():
    found = trained(0.3, activation="tanh", optimiser="adamw:weight_decay=0.5")
    assert "late in the training" in says(found)
    assert "the training loss is rough" in says(found)


def test_overfitting():
    noise = RNG.normal(size=(40, 1)).astype(np.float32)
    found = trained(1e-2, 80, noise, Rows(X[40:80], RNG.normal(size=(40, 1))), units=64)
    assert f"{NOTE}: overfits" in says(found)


def test_a_training_that_ends_too_early():
    found = trained(3e-4, 8, validation=Rows(X, T))
    assert "still falling when training ended" in says(found)


def test_a_few_epochs_say_nothing():
    assert of_history([], 0, "interrupted") == []

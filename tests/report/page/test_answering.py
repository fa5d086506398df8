from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.report.page.answering import Answering


def one(loss, outputs, activation="tanh", decode=None):
    network = Network((3, 5, outputs), activation=activation, loss=loss, dtype="float64")
    params = network.init("kaiming_normal", 0)
    return Answering([(network, params)], [decode or (lambda z: z[:, 0])], np.ones((1, 1)))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


X = np.random.default_rng(0).normal(size=(6, 3))
ROWS = np.arange(6)


@pytest.mark.parametrize("kind", ["value", "class"])
def test_gradients_are_those_of_differences(kind):
    if kind == "value":
        answering = one("mean_squared_error", 1)
    else:
        answering = one("softmax_cross_entropy", 4, decode=softmax)
    k = np.array([0, 1, 2, 3, 0, 1])

    def answer(x):
        found = answering(x, ROWS)
        return found if found.ndim == 1 else found[ROWS, k]

    dx = answering.gradients(X, ROWS, k)
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-5
        # central differences: an error of the step squared, 1e-10, and of rounding, 1e-11
        near = (answer(X + step) - answer(X - step)) / 2e-5
        np.testing.assert_allclose(dx[:, column], near, rtol=1e-6, atol=1e-8)


def test_networks_have_a_say_in_some_rows_only():
    first, second = one("mean_squared_error", 1), one("mean_squared_error", 1, "relu")
    weights = np.array([[1, 0, 0.5, 1, 1, 1], [0, 1, 0.5, 0, 0, 0]])
    both = Answering([*first.networks, *second.networks], [*first.decode, *second.decode], weights)
    a, b = first(X, ROWS), second(X, ROWS)
    np.testing.assert_allclose(both(X, ROWS), weights[0] * a + weights[1] * b, rtol=1e-12)
    np.testing.assert_allclose(both(X[:2], np.array([1, 1])), b[:2], rtol=1e-12)
    k = np.zeros(6, int)
    wanted = weights[0][:, None] * first.gradients(X, ROWS, k)
    wanted += weights[1][:, None] * second.gradients(X, ROWS, k)
    np.testing.assert_allclose(both.gradients(X, ROWS, k), wanted, rtol=1e-6, atol=1e-9)

"""Callbacks are called after each epoch, and left at the end."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn.datasets import load_iris

from backhand import MLPClassifier, Network, Rows, TrainConfig, fit
from backhand.train.callbacks import entered, notify

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Manager:
    """A callback that notes how it is called; in the epoch `at` it raises `error`."""

    def __init__(self, at: int = 0, error: type[BaseException] | None = None) -> None:
        self.notes: list[str] = []
        self.at, self.error = at, error

    def __enter__(self):
        self.notes.append("enter")

    def __exit__(self, kind, *_):
        self.notes.append("exit")

    def __call__(self, now):
        self.notes.append(str(now.epoch))
        if now.epoch == self.at:
            raise self.error


def by_estimator(callbacks, **settings):
    X, y = load_iris(return_X_y=True)
    settings = {"max_iter": 3, "random_state": 0, **settings}
    return MLPClassifier((4,), callbacks=callbacks, **settings).fit(X, y)


def by_fit(callbacks):
    X, y = load_iris(return_X_y=True)
    network = Network((4, 3), loss="softmax_cross_entropy")
    rows = Rows(X.astype(np.float32), y[:, None])
    return fit(
        network, network.init("kaiming_normal", 0), rows, TrainConfig(epochs=3), callbacks=callbacks
    )


def test_all_are_asked_and_true_alone_ends():
    asked = []
    functions = [lambda n: asked.append(n) or True, lambda n: asked.append(-n) or 1]
    assert notify(functions, 5) is True
    assert asked == [5, -5]
    assert notify(functions[1:], 5) is False


def test_those_entered_are_left_if_another_cannot_be():
    first, second = Manager(), Manager()
    second.__class__ = type("Broken", (Manager,), {"__enter__": lambda self: 1 / 0})
    with pytest.raises(ZeroDivisionError), entered([first, second]):
        pass
    assert (first.notes, second.notes) == (["enter", "exit"], [])


@pytest.mark.parametrize(
    "run", [by_estimator, functools.partial(by_estimator, solver="lbfgs"), by_fit]
)
def test_a_context_manager_is_entered_before_and_left_after(run):
    manager = Manager()
    run([manager, lambda *_: None])
    assert manager.notes == ["enter", "1", "2", "3", "exit"]


@pytest.mark.parametrize(
    "run", [by_estimator, functools.partial(by_estimator, solver="lbfgs"), by_fit]
)
def test_it_is_left_when_a_callback_fails(run):
    manager = Manager(2, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        run([manager])
    assert manager.notes == ["enter", "1", "2", "exit"]


@pytest.mark.filterwarnings("ignore:Training interrupted")
@pytest.mark.parametrize("run", [by_estimator, by_fit])
def test_it_is_left_at_ctrl_c(run):
    manager = Manager(2, KeyboardInterrupt)
    run([manager])
    assert manager.notes == ["enter", "1", "2", "exit"]

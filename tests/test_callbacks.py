"""Callbacks are asked in each epoch and left at the end; the bar shows what is to be seen."""

from __future__ import annotations

import functools
import io
import pickle
import sys
import types

import numpy as np
import pytest
import rich.console
from sklearn.base import clone
from sklearn.datasets import load_iris

from backhand import InputError, MLPClassifier, Network, ProgressBar, Rows, Settings, fit
from backhand.callbacks import entered, told

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def screen(monkeypatch):
    """What a terminal is sent."""
    out = io.StringIO()
    terminal = functools.partial(
        rich.console.Console, file=out, force_terminal=True, width=120, _environ={"TERM": "xterm"}
    )
    monkeypatch.setattr(rich.console, "Console", terminal)
    return out


class Manager:
    """A callback that notes how it is called; in the epoch `at` it raises `error`."""

    def __init__(self, at: int = 0, error: type[BaseException] | None = None) -> None:
        self.notes: list[str] = []
        self.at, self.error = at, error

    def __enter__(self):
        self.notes.append("enter")

    def __exit__(self, kind, *_):
        self.notes.append("exit")

    def __call__(self, now, training=None):
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
        network, network.init("kaiming_normal", 0), rows, Settings(epochs=3), callbacks=callbacks
    )


def test_all_are_asked_and_true_alone_ends():
    asked = []
    functions = [lambda n: asked.append(n) or True, lambda n: asked.append(-n) or 1]
    assert told(functions, 5) is True
    assert asked == [5, -5]
    assert told(functions[1:], 5) is False


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


@pytest.mark.parametrize("run", [by_estimator, by_fit])
def test_the_bar_shows_epochs_and_loss(screen, run):
    bar = ProgressBar()
    losses = []
    run([bar, lambda now, *_: losses.append(now.loss)])
    assert f"3/3  loss {losses[-1]:.4g}" in screen.getvalue()
    assert screen.getvalue().count(HIDE_CURSOR) == screen.getvalue().count(SHOW_CURSOR) == 1


def test_the_bar_shows_the_validation_score_and_ends_early(screen):
    model = by_estimator(
        ProgressBar(), max_iter=50, early_stopping=True, n_iter_no_change=2, tol=1.0
    )
    assert 1 < model.n_iter_ < 50
    last = f"{model.n_iter_}/50  loss {model.loss_:.4g}  validation score "
    assert last + f"{model.validation_scores_[-1]:.4f}" in screen.getvalue()
    assert screen.getvalue().count(SHOW_CURSOR) == 1


def test_a_fit_that_fails_frees_the_cursor(screen):
    with pytest.raises(InputError):
        by_estimator(ProgressBar(), solver="sgd", learning_rate_init=1e38, dtype="float32")
    assert screen.getvalue().count(HIDE_CURSOR) == screen.getvalue().count(SHOW_CURSOR) == 1


def test_partial_fit_is_one_epoch_of_one(screen):
    X, y = load_iris(return_X_y=True)
    MLPClassifier((4,), callbacks=ProgressBar()).partial_fit(X, y, classes=[0, 1, 2])
    assert "1/1  loss" in screen.getvalue()


def test_a_bar_that_does_not_stay_is_wiped_out(screen):
    by_estimator(ProgressBar(leave=False))
    erase_line = "\x1b[2K"
    assert screen.getvalue().endswith(erase_line)


def test_nothing_is_shown_where_there_is_no_terminal(capfd):
    by_estimator(ProgressBar())
    assert capfd.readouterr() == ("", "")


def test_copies_have_bars_of_their_own(screen):
    bar = ProgressBar(leave=False)
    with bar:
        for copied in (clone([bar], safe=False)[0], pickle.loads(pickle.dumps(bar))):
            assert copied.leave is False
            assert copied._bar is None


@pytest.mark.parametrize("leave", [True, False])
def test_a_notebook_shows_one_line_that_changes(monkeypatch, leave):
    shown = []

    def display(data, raw, display_id):
        assert raw
        assert display_id
        return types.SimpleNamespace(update=lambda data, raw: shown.append(data["text/plain"]))

    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    notebook = functools.partial(rich.console.Console, force_jupyter=True)
    monkeypatch.setattr(rich.console, "Console", notebook)
    monkeypatch.setattr("backhand.callbacks.SECONDS_BETWEEN", -1.0)
    model = by_estimator(ProgressBar(leave=leave))
    assert [line.split()[1] for line in shown[:3]] == ["1/3", "2/3", "3/3"]
    assert f"3/3  loss {model.loss_:.4g}" in shown[2]
    assert shown[2].startswith("━" * 24)
    assert shown[3:] == [shown[2] if leave else ""]

from __future__ import annotations

import functools
import io
import pickle
import sys
import types

import numpy as np
import pytest
from rich.console import Console
from sklearn.base import clone
from sklearn.datasets import load_iris

from backhand import InputError, MLPClassifier, Network, ProgressBar, Rows, TrainConfig, fit
from backhand.report import progress
from backhand.report.progress import Live
from backhand.train.state import Epoch

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def console(terminal=False, width=80):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, highlight=False)


def shown(out, epochs, losses, score=0.9):
    """Follow a training of ``epochs`` that ends with the last of ``losses``."""
    with Live(out, epochs, "accuracy") as live:
        for number, loss in enumerate(losses, 1):
            live(Epoch(number, 0.5, loss, score, 0.01, 1.0))
    return out.file.getvalue()


def rows(text):
    return [line.split() for line in text.splitlines()[1:]]


@pytest.mark.parametrize("terminal", [False, True])
def test_rows_stay_and_mark_the_lowest_validation_loss_so_far(terminal):
    text = shown(console(terminal), 4, [0.4, 0.3, 0.35, 0.2])
    for epoch, loss in (("1/4", "0.4000 *"), ("2/4", "0.3000 *"), ("4/4", "0.2000 *")):
        assert f"{epoch}  0.5000         {loss}    0.9000           0.01" in text
    assert "3/4  0.5000         0.3500      0.9000" in text


def test_a_long_training_has_about_twenty_rows():
    text = shown(console(), 1000, [1 / n for n in range(1, 1001)])
    assert [row[0] for row in rows(text)] == [
        "1/1000",
        *(f"{n}/1000" for n in range(50, 1001, 50)),
    ]


def test_the_last_row_is_there_wherever_a_training_ends():
    text = shown(console(), 100, [0.4] * 17)
    assert [row[0] for row in rows(text)] == ["1/100", "5/100", "10/100", "15/100", "17/100"]


def test_without_validation_there_is_only_the_loss():
    text = shown(console(), 1, [None], score=None)
    assert rows(text)[0][:3] == ["1/1", "0.5000", "0.01"]


@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit_the_terminal(width):
    text = shown(console(True, width), 100_000, [12345.678])
    visible = [line for line in text.replace("\r", "\n").split("\n") if "\x1b" not in line]
    assert max(map(len, visible)) <= width
    assert ("0:00:0" in text) == (width == 120)


# the bar ------------------------------------------------------------------------------------------


@pytest.fixture
def screen(monkeypatch):
    """What a terminal is sent."""
    out = io.StringIO()
    terminal = functools.partial(
        Console, file=out, force_terminal=True, width=120, _environ={"TERM": "xterm"}
    )
    monkeypatch.setattr(progress, "Console", terminal)
    return out


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


@pytest.mark.parametrize("run", [by_estimator, by_fit])
def test_the_bar_shows_epochs_and_loss(screen, run):
    bar = ProgressBar()
    losses = []
    run([bar, lambda now: losses.append(now.loss)])
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
    notebook = functools.partial(Console, force_jupyter=True)
    monkeypatch.setattr(progress, "Console", notebook)
    monkeypatch.setattr("backhand.report.progress.SECONDS_BETWEEN", -1.0)
    model = by_estimator(ProgressBar(leave=leave))
    assert [line.split()[1] for line in shown[:3]] == ["1/3", "2/3", "3/3"]
    assert f"3/3  loss {model.loss_:.4g}" in shown[2]
    assert shown[2].startswith("━" * 24)
    assert shown[3:] == [shown[2] if leave else ""]

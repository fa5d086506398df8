from __future__ import annotations

import io

import pytest
from rich.console import Console

from backhand.report.progress import Live
from backhand.training import Epoch


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

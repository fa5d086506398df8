"""A training as it goes: rows that stay on the screen, and a line that moves in a terminal."""

from __future__ import annotations

import math
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from ..training import Epoch

ROWS = 20  # about so many rows for a training, however long it is
WIDE = 90  # columns, from which a bar and the time fit beside the numbers


class Live:
    """A table of a training, a row for each epoch or for some of them.

    Each row has the loss, the validation loss (with a star where it is the lowest so far), the
    validation score, the learning rate and the seconds since the start. In a terminal a last line
    follows every epoch, and goes when the training ends.

    Parameters
    ----------
    out : rich.console.Console
        Where to.
    epochs : int
        How many there are at most.
    score : str
        What the validation score is called.
    """

    def __init__(self, out: Console, epochs: int, score: str) -> None:
        self._out, self._epochs, self._score = out, epochs, score
        self._every = math.ceil(epochs / ROWS)
        self._lowest = math.inf
        self._start = time.perf_counter()
        self._last, self._unprinted = "", False
        columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
        if out.width >= WIDE:
            columns = [BarColumn(24), *columns, TimeElapsedColumn()]
        self._progress = Progress(
            *columns, console=out, disable=not out.is_terminal, transient=True
        )
        self._task = self._progress.add_task(f"epoch 1/{epochs}: compiling", total=epochs)

    def __enter__(self) -> Live:
        self._start = time.perf_counter()
        self._out.print(
            f"{'epoch':>{self._width}}    loss  validation loss  {self._score:>8}  "
            f"{'learning rate':>13}  seconds"
        )
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        if self._unprinted:
            self._out.print(self._last)

    @property
    def _width(self) -> int:
        return max(5, 2 * len(str(self._epochs)) + 1)

    def __call__(self, line: Epoch, training: Any = None) -> None:
        """Show an epoch; this is a callback of `backhand.training.fit`."""
        self._last = self._row(line)
        self._unprinted = not (line.epoch in (1, self._epochs) or line.epoch % self._every == 0)
        if not self._unprinted:
            self._out.print(self._last)
        text = f"epoch {line.epoch}/{self._epochs}  loss {line.loss:.4f}"
        if line.validation_loss is not None:
            text += f"  validation loss {line.validation_loss:.4f}"
        self._progress.update(self._task, advance=1, description=text)

    def _row(self, line: Epoch) -> str:
        mark = " "
        if line.validation_loss is not None and line.validation_loss < self._lowest:
            self._lowest, mark = line.validation_loss, "*"
        epoch = f"{line.epoch}/{self._epochs}"
        seconds = time.perf_counter() - self._start
        loss, validation, score = map(
            _number, (line.loss, line.validation_loss, line.validation_score)
        )
        return (
            f"{epoch:>{self._width}}  {loss:>6}  {validation:>13} {mark}  {score:>8}  "
            f"{line.rate:>13.3g}  {seconds:>7.1f}"
        )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if abs(value) < 1e7 else f"{value:.4g}"

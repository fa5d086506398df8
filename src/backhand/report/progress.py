"""A training as it goes: a bar for anybody's fit, and the rows that the command line shows."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeElapsedColumn

from ..train.callbacks import Progress
from ..train.state import Epoch

SECONDS_BETWEEN = 0.1
"""At least, between two lines in a notebook."""

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
    history : sequence of Epoch
        What came before, if the training is resumed.
    """

    def __init__(
        self, out: Console, epochs: int, score: str, history: Sequence[Epoch] = ()
    ) -> None:
        self._out, self._epochs, self._score = out, epochs, score
        self._every = math.ceil(epochs / ROWS)
        losses = [line.validation_loss for line in history]
        self._lowest = min((loss for loss in losses if loss is not None), default=math.inf)
        self._start = time.perf_counter()
        self._last, self._unprinted = "", False
        columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
        if out.width >= WIDE:
            columns = [BarColumn(24), *columns, TimeElapsedColumn()]
        self._progress = rich.progress.Progress(
            *columns, console=out, disable=not out.is_terminal, transient=True
        )
        text = f"epoch {len(history) + 1}/{epochs}: compiling"
        self._task = self._progress.add_task(text, total=epochs, completed=len(history))

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

    def __call__(self, line: Epoch) -> None:
        """Show an epoch; this is a callback of `backhand.fit`."""
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
        rate = "" if line.learning_rate is None else f"{line.learning_rate:.3g}"
        return (
            f"{epoch:>{self._width}}  {loss:>6}  {validation:>13} {mark}  {score:>8}  "
            f"{rate:>13}  {seconds:>7.1f}"
        )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if abs(value) < 1e7 else f"{value:.4g}"


class ProgressBar:
    """A bar in a terminal or a notebook that follows a fit: epochs, loss and validation.

    It goes into ``callbacks`` of the estimators and of `backhand.fit`, and is finished however
    training ends. Nothing is shown where the output is neither.

    Parameters
    ----------
    leave : bool, default=True
        Whether the bar stays when training has ended.
    """

    _bar: Any = None

    def __init__(self, leave: bool = True) -> None:
        self.leave = leave

    def __getstate__(self) -> dict[str, Any]:
        return {"leave": self.leave}  # a copy has a bar of its own

    def __enter__(self) -> ProgressBar:
        screen = Console()
        if screen.is_jupyter:
            self._bar = _InNotebook(self.leave)
        elif screen.is_terminal:
            self._bar = _InTerminal(screen, self.leave)
        return self

    def __exit__(self, *_: object) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()

    def __call__(self, now: Progress) -> None:
        """Show an epoch."""
        if self._bar is None:
            return
        text = f"{now.epoch}/{now.epochs}  loss {now.loss:.4g}"
        if now.validation_score is not None:
            text += f"  validation score {now.validation_score:.4f}"
        elif now.validation_loss is not None:
            text += f"  validation loss {now.validation_loss:.4g}"
        self._bar.show(now.epoch, now.epochs, text)


class _InTerminal:
    """A bar of rich's."""

    def __init__(self, screen: Any, leave: bool) -> None:
        self._progress = rich.progress.Progress(
            BarColumn(24),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=screen,
            transient=not leave,
        )
        self._task = self._progress.add_task("", total=None)
        self._progress.start()

    def show(self, epoch: int, epochs: int, text: str) -> None:
        self._progress.update(self._task, total=epochs, completed=epoch, description=text)

    def stop(self) -> None:
        self._progress.stop()


class _InNotebook:
    """A line that is displayed again and again: rich's own would need ipywidgets."""

    def __init__(self, leave: bool) -> None:
        from IPython.display import display

        self._leave, self._text = leave, ""
        self._began = self._shown = time.monotonic()
        show: Any = display  # it has no types
        self._handle = show({"text/plain": ""}, raw=True, display_id=True)

    def show(self, epoch: int, epochs: int, text: str) -> None:
        now = time.monotonic()
        done = "━" * round(24 * epoch / epochs)
        self._text = f"{done:╌<24} {text}  {now - self._began:.0f} s"
        if now - self._shown > SECONDS_BETWEEN:
            self._update(self._text)
            self._shown = now

    def stop(self) -> None:
        self._update(self._text if self._leave else "")

    def _update(self, text: str) -> None:
        self._handle.update({"text/plain": text}, raw=True)

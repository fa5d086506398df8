"""What is called while a training runs: asking it whether to end, and a progress bar."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

SECONDS_BETWEEN = 0.1
"""At least, between two lines in a notebook."""


@contextlib.contextmanager
def entered(callbacks: Iterable[Any]) -> Iterator[None]:
    """Enter those callbacks that are context managers; they are left however training ends."""
    with contextlib.ExitStack() as stack:
        for callback in callbacks:
            if isinstance(callback, contextlib.AbstractContextManager):
                stack.enter_context(callback)
        yield


def told(callbacks: Iterable[Any], *now: Any) -> bool:
    """Whether any of the callbacks wants training to stop; all of them are called."""
    answers = [callback(*now) for callback in callbacks]
    return any(answer is True for answer in answers)


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
        from rich.console import Console

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

    def __call__(self, now: Any, training: Any = None) -> None:
        """Show an epoch.

        Parameters
        ----------
        now : Progress or Epoch
            What the estimators or `backhand.fit` tell of it.
        training : Training, optional
            What `backhand.fit` tells besides.
        """
        if self._bar is None:
            return
        epochs = now.epochs if training is None else training.settings.epochs
        text = f"{now.epoch}/{epochs}  loss {now.loss:.4g}"
        if now.validation_score is not None:
            text += f"  validation score {now.validation_score:.4f}"
        elif now.validation_loss is not None:
            text += f"  validation loss {now.validation_loss:.4g}"
        self._bar.show(now.epoch, epochs, text)


class _InTerminal:
    """A bar of rich's."""

    def __init__(self, screen: Any, leave: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
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

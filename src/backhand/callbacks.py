"""What is called while a training runs: asking it whether to end, and a progress bar."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any


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
    training ends. Nothing is shown where the output is neither. In Jupyter rich draws it by
    ipywidgets, and warns if that is not installed.

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
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        screen = Console()
        if not (screen.is_terminal or screen.is_jupyter):
            return self
        self._bar = Progress(
            BarColumn(24),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=screen,
            transient=not self.leave,
        )
        self._bar.add_task("", total=None)
        self._bar.start()
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
        task = self._bar.task_ids[0]
        self._bar.update(task, total=epochs, completed=now.epoch, description=text)

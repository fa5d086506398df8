"""scikit-learn's own callbacks, from 1.9, told of a fit and of each of its epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Watch", "Watchable", "watch_of"]

Array = Any

try:
    from sklearn.callback import CallbackSupportMixin as Watchable
except ImportError:  # before scikit-learn 1.9

    class Watchable:  # type: ignore[no-redef]
        """An estimator without `set_callbacks`."""


class Watch:
    """Tells an estimator's callbacks of the tasks of one fit, as `sklearn.callback` asks for it.

    Parameters
    ----------
    estimator : BaseMLP
        Its callbacks are torn down by scikit-learn's `_fit_context`, however the fit ends.
    x, y, sample_weight : array-like
        What is learnt, for the callbacks.
    tasks : int
        How many tasks there may be in the fit, at most.
    """

    def __init__(self, estimator: Any, x: Array, y: Array, sample_weight: Array | None, tasks: int):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._told = {"estimator": estimator, "X": x, "y": y, "metadata": metadata}
        self._fit = estimator._init_callback_context(max_subtasks=tasks)
        self._fit.call_on_fit_task_begin(**self._told)
        self._task: Any = None

    def begin(self, name: str) -> None:
        """A task begins."""
        self._task = self._fit.subcontext(task_name=name)
        self._task.call_on_fit_task_begin(**self._told)

    def end(self, fitted: Callable[[], dict[str, Any]]) -> bool:
        """Whether a callback wants training to stop after the task that has just ended.

        ``fitted`` gives the attributes that the estimator would have if the fit ended here.
        """
        task, self._task = self._task, None
        return bool(task.call_on_fit_task_end(**self._told, reconstruction_attributes=fitted))

    def close(self, fitted: Callable[[], dict[str, Any]]) -> None:
        """The fit has ended, with a task that was begun in vain maybe."""
        if self._task is not None:
            self._task.call_on_fit_task_end(**self._told)
        self._fit.call_on_fit_task_end(**self._told, reconstruction_attributes=fitted)


def watch_of(
    estimator: Any, x: Array, y: Array, sample_weight: Array | None, tasks: int
) -> Watch | None:
    """The watch of a fit; None if nobody watches."""
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return Watch(estimator, x, y, sample_weight, tasks)

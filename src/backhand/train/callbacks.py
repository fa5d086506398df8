"""What is called after each epoch of a training, and what it is told."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..network import Params
from .state import Epoch, TrainState


@dataclasses.dataclass(frozen=True)
class Progress(Epoch):
    """What a callback is told of an epoch: its line, and besides:

    Attributes
    ----------
    epochs : int
        How many there may be in this training.
    params : dict of str to array
        The parameters of this epoch, if they are asked for while the callback runs: a copy.
    state : TrainState
        All that is needed to continue from here, likewise.
    """

    epochs: int
    _params: Callable[[], Params] = dataclasses.field(repr=False)
    _state: Callable[[], TrainState] = dataclasses.field(repr=False)

    @functools.cached_property
    def params(self) -> Params:
        return self._params()

    @functools.cached_property
    def state(self) -> TrainState:
        return self._state()


Callback = Callable[[Progress], Any]
"""Called after every epoch; if it returns True, that was the last."""


@contextlib.contextmanager
def entered(callbacks: Iterable[Any]) -> Iterator[None]:
    """Enter those callbacks that are context managers; they are left however training ends."""
    with contextlib.ExitStack() as stack:
        for callback in callbacks:
            if isinstance(callback, contextlib.AbstractContextManager):
                stack.enter_context(callback)
        yield


def notify(callbacks: Iterable[Callback], now: Progress) -> bool:
    """Whether any of the callbacks wants training to stop; all of them are called."""
    answers = [callback(now) for callback in callbacks]
    return any(answer is True for answer in answers)

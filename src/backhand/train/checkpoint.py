"""The state of a training in one file, written from time to time, to continue from."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..files import as_path
from ..sealed import read_sealed, usable, write_sealed
from .blocks import UNINTERRUPTED
from .state import TrainState

HOLDS = "checkpoint"
"""What the description of a file says of it."""

EVERY = "60s"
"""How often a checkpoint is written if nothing else is said: what a kill may cost."""


class Checkpoint:
    """Writes the state of a training to a file, again and again.

    The file is written beside and then renamed, so that there is a whole one at any moment. If one
    cannot be written, the training goes on: a warning says so once, and the next is tried in time.

    Parameters
    ----------
    path : path-like
    every : int or str
        After how many epochs, or seconds such as ``"30s"``.

    Raises
    ------
    InputError
        If ``every`` is neither.
    """

    def __init__(self, path: str | os.PathLike[str], every: int | str = EVERY) -> None:
        self.path, self.every = as_path(path), every
        self._epochs, self._seconds = cadence(every)
        self._epoch, self._time = 0, 0.0
        self._warned = False

    def begin(self, epoch: int) -> None:
        """Training begins after this epoch."""
        self._epoch, self._time = epoch, time.monotonic()

    def offer(self, state: TrainState) -> None:
        """Write the state if it is time."""
        if self._epochs is not None:
            due = state.epoch - self._epoch >= self._epochs
        else:
            due = time.monotonic() - self._time >= self._seconds
        if due:
            self.write(state)

    def write(self, state: TrainState) -> None:
        """Write the state now."""
        try:
            with UNINTERRUPTED:
                self.save(state)
        except (OSError, InputError, MemoryError) as error:
            self.fault(error)
        self.begin(state.epoch)

    def end(self, state: TrainState, stopped: str) -> None:
        """Training has ended, see `FitResult.stopped`: write the state if it is to go on."""
        if stopped == "interrupted":
            self.write(state)

    def fault(self, error: Exception) -> None:
        """Warn once that the file cannot be written."""
        if not self._warned:
            self._warned = True
            warnings.warn(f"no checkpoint: {error}; training goes on", stacklevel=3)

    def save(self, state: TrainState) -> None:
        """Write the file, or raise what prevents it."""
        save_checkpoint(self.path, state)


def cadence(every: Any) -> tuple[int | None, float]:
    """A number of epochs, or None and seconds. Raises InputError if it is neither."""
    if isinstance(every, int) and not isinstance(every, bool) and every > 0:
        return every, 0.0
    if isinstance(every, str):
        if re.fullmatch("[0-9]{1,9}", every) and int(every) > 0:
            return int(every), 0.0
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?s", every):
            return None, float(every[:-1])
    raise InputError(
        f"a checkpoint is written every so many epochs, such as 10, or seconds, such as '30s', "
        f"got {every!r:.40}"
    )


def save_checkpoint(
    path: str | os.PathLike[str], state: TrainState, about: Mapping[str, Any] | None = None
) -> None:
    """Write a state, which is there whole or not at all.

    Parameters
    ----------
    path : path-like
    state : TrainState
    about : mapping, optional
        What else a reader wants to know, for JSON.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    described = {"holds": HOLDS, "state": state.described(), "about": dict(about or {})}
    write_sealed(path, state.tensors(), described)


def load_checkpoint(path: str | os.PathLike[str]) -> TrainState:
    """The state in a file, for ``backhand.fit(..., state=...)``.

    Raises
    ------
    InputError
        If there is no such file, or it is truncated, foreign, edited or of another kind.
    """
    return read_checkpoint(path)[0]


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[TrainState, dict[str, Any]]:
    """The state in a file, and what `save_checkpoint` was told about it; errors as above."""
    tensors, kept = read_sealed(path)
    with usable(path, HOLDS):
        if kept["holds"] != HOLDS:
            raise InputError(f"it holds {kept['holds']!r:.60}; backhand.load reads models")
        return TrainState.restored(tensors, kept["state"]), dict(kept["about"])

"""The checkpoint of a run: its options, what its data were, and how to go on with it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .. import datasets
from ..datasets import Data
from ..errors import BackhandError, InputError
from ..train.checkpoint import Checkpoint, cadence, read_checkpoint, save_checkpoint
from ..train.result import DivergedError
from ..train.state import TrainState
from .options import Options
from .runs import CHECKPOINT, MODEL, RunFolder

NEVER = "never"
"""Instead of how often a checkpoint is written."""


def check_every(every: str) -> None:
    """Raise InputError if it does not say how often a checkpoint is written."""
    if every == NEVER:
        return
    try:
        cadence(every)
    except InputError as error:
        raise InputError(f"--checkpoint-every: {error}; or {NEVER!r}") from None


class RunCheckpoint(Checkpoint):
    """The checkpoint in a run's folder.

    Parameters
    ----------
    folder : RunFolder
    every : str
        See `Checkpoint`.
    about : callable
        Gives what else a resumed run needs to know; called when a checkpoint is first written.
    """

    def __init__(self, folder: RunFolder, every: str, about: Callable[[], dict[str, Any]]) -> None:
        super().__init__(folder.place / CHECKPOINT, every)
        self._folder, self._ask = folder, about
        self._about: dict[str, Any] | None = None

    def save(self, state: TrainState) -> None:
        """Write it; the first one makes the folder."""
        about = self._about = self._about or self._ask()
        self._folder.write_checkpoint(lambda path: save_checkpoint(path, state, about))


@contextlib.contextmanager
def dropped_if_diverged(folder: RunFolder) -> Iterator[None]:
    """Leave no checkpoint of a training that diverges: it would lead there again."""
    try:
        yield
    except DivergedError as error:
        folder.drop_checkpoint()
        raise BackhandError(f"{error} (nothing was written)") from None


def from_there(about: dict[str, Any], name: str) -> str:
    """A file that was named from where a run began, as named from here."""
    there = Path(about["folder"]) / name
    return str(there) if there.exists() else name


def about(options: Options, engine: str, data: Data) -> dict[str, Any]:
    """What a resumed run needs to know besides the state."""
    return {
        "options": dataclasses.asdict(options),
        "engine": engine,
        "folder": os.getcwd(),
        "data": fingerprint(data),
    }


@dataclasses.dataclass(frozen=True)
class Resumed:
    """A run to go on with: its options, executor and state."""

    options: Options
    engine: str
    state: TrainState
    _about: dict[str, Any]

    def load(self) -> Data:
        """The data. Raises InputError if they are not those that the run was trained on."""
        options, name = self.options, self.options.name
        if name not in datasets.NAMES:  # a file, named from where the run began
            name = from_there(self._about, name)
        data = load(dataclasses.replace(options, name=name))
        if fingerprint(data) != self._about["data"]:
            raise InputError(
                f"{name} has changed since the run began: its rows are not those of the "
                "checkpoint; bring the old file back, or train anew"
            )
        return data


def resumed(place: Path) -> Resumed:
    """The run in a folder. Raises InputError if there is nothing to go on with."""
    path = place / CHECKPOINT
    if place.is_dir() and not path.exists():
        what = "has ended" if (place / MODEL).exists() else "has no checkpoint of a run"
        raise InputError(f"{place} {what}: there is nothing to resume")
    state, known = read_checkpoint(path)
    try:
        options = Options(**known["options"])
        return Resumed(options, str(known["engine"]), state, known)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not the checkpoint of a run: {error!r}") from None


def load(options: Options) -> Data:
    """The data that the options name."""
    return datasets.load(
        options.name,
        data_dir=options.data_dir,
        target=options.target,
        task=options.task,
        seed=options.seed,
        **options.form,
    )


def fingerprint(data: Data) -> str:
    """A digest of all rows as the network sees them, and of what the targets stand for."""
    names = [data.classes, data.feature_names, data.target_mean, data.target_std]
    digest = hashlib.sha256(json.dumps(names).encode())
    for split in (data.train, data.validation, data.test):
        for a in (split.x, split.t):
            digest.update(f"{a.dtype.str}{a.shape}".encode())
            digest.update(a.tobytes())
    return digest.hexdigest()

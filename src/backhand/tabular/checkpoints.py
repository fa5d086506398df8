"""The checkpoint of a fit: a folder with the state of each network, and of what fit they are.

Passes over the data are repeated when a fit goes on, since they end as they did; networks are not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from .. import __version__
from ..errors import InputError
from ..files import is_there, reading, write_whole
from ..train.checkpoint import Checkpoint, cadence, read_checkpoint, save_checkpoint
from ..train.result import DivergedError
from ..train.state import TrainState

RECORD = "fit.json"
HOLDS = "checkpoint of a fit"
NAMED = {"data": "data", "recipe": "recipe", "seed": "random_state"}
"""What a message only names: values would fill it, or say nothing, as a seed that was drawn."""
MEMBER = re.compile(r"member-(\d{1,6})\.try-(\d)\.safetensors")


class FitCheckpoint:
    """The folder of a fit, which is there once something has been written to it.

    It is entered while networks are trained and weighed, and removed when it is left, but if they
    are to be gone on with.

    Parameters
    ----------
    given : Checkpoint
        Its folder, and how often a network is written.
    known : mapping, optional
        What `recorded` says of the folder; without it there is nothing to go on with.
    about : mapping, optional
        What else a reader wants to know, for JSON.

    Attributes
    ----------
    path : str
        The folder.
    checkpoint : Checkpoint
        As given.
    recorded : dict
        What is known of the fit that it is of; empty if there is none.
    complete : bool
        Whether all networks have been trained to their end.

    Raises
    ------
    InputError
        If it is that of another version.
    """

    def __init__(
        self,
        given: Checkpoint,
        known: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.path, self.checkpoint, self.recorded = given.path, given, dict(known or {})
        self.complete = False
        self._known: dict[str, Any] = {"holds": HOLDS, "about": dict(about or {})}
        self._ask: Callable[[], Mapping[str, Any]] = dict
        self._written, self._lock = bool(self.recorded), threading.Lock()
        self._begun = 0.0
        self.check(backhand=__version__)

    @classmethod
    def of(cls, given: Any) -> FitCheckpoint:
        """What somebody gives as a checkpoint: one of these, a `Checkpoint`, or a folder."""
        if isinstance(given, FitCheckpoint):
            return given
        checkpoint = given if isinstance(given, Checkpoint) else Checkpoint(given)
        return cls(checkpoint, recorded(checkpoint.path))

    def __enter__(self) -> FitCheckpoint:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        diverged = kind is not None and issubclass(kind, DivergedError)  # it would again
        if diverged or (kind is None and self.complete):
            self.remove()

    def check(self, **known: Any) -> None:
        """Note something of the fit. Raises InputError if that in the folder has it otherwise."""
        known = json.loads(json.dumps(known, default=repr))
        self._known |= known
        for name, now in known.items() if self.recorded else ():
            was = self.recorded.get(name)
            if was != now:
                what = f"{name}: {was!r:.60} then, {now!r:.60} now"
                if name in NAMED:
                    what = f"{NAMED[name]}: not the same"
                raise InputError(
                    f"checkpoint {self.path} is of another fit ({what}): go on as it was "
                    "begun, name another folder, or remove this one"
                )

    def begin(self, ask: Callable[[], Mapping[str, Any]]) -> None:
        """Training begins; ``ask`` gives what else is to be checked, or noted when one writes."""
        self._ask, self._begun = ask, time.monotonic()
        if self.recorded:
            self.check(**ask())

    @property
    def is_long(self) -> bool:
        """Whether training has lasted so long that what is finished is worth a file."""
        return time.monotonic() - self._begun >= cadence(self.checkpoint.every)[1]

    @property
    def attempt(self) -> int:
        """The last try that networks were trained in."""
        found = [MEMBER.fullmatch(name) for name in self._names()]
        return max((int(one[2]) for one in found if one), default=0)

    def member(self, number: int, attempt: int) -> MemberCheckpoint:
        """The checkpoint of a network in one of its tries."""
        return MemberCheckpoint(self, f"member-{number}.try-{attempt}.safetensors")

    def state(self, name: str) -> TrainState | None:
        """The state in one of the files; None if there is no such file."""
        if name not in self._names():
            return None
        path = os.path.join(self.path, name)
        state, about = read_checkpoint(path)
        if about.get("fit") != self._digest():
            raise InputError(
                f"{path} is of another fit, which used the folder at the same time: remove it, and "
                "give each fit a folder of its own"
            )
        return state

    def _names(self) -> list[str]:
        """The files of networks that belong to the record; none without one."""
        return _members(self.path) if self.recorded else []

    def save(self, name: str, state: TrainState) -> None:
        """Write the state of a network. Raises OSError or InputError if it cannot be written."""
        with self._lock:
            if not self._written:
                self.check(**self._ask())
                self.make(lambda folder: _record(folder, self._known))
                self._written = True
        save_checkpoint(os.path.join(self.path, name), state, {"fit": self._digest()})

    def _digest(self) -> str:
        """What tells this fit from others that may write to the same folder at the same time."""
        known = {name: self._known[name] for name in sorted(self._known.keys() - {"about"})}
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def make(self, write: Callable[[str], None]) -> None:
        """Make the folder, and have ``write`` write to it first."""
        os.makedirs(self.path, exist_ok=True)
        write(self.path)

    def remove(self) -> None:
        """Remove what was written, and the folder if there is nothing else in it."""
        if self._written:
            drop(self.path)
            self.recorded, self._written = {}, False

    def fault(self, error: Exception) -> None:
        """Warn once that nothing can be written."""
        self.checkpoint.fault(error)


class MemberCheckpoint(Checkpoint):
    """The checkpoint of one network of a fit.

    Attributes
    ----------
    state : TrainState or None
        Where its training goes on.
    """

    def __init__(self, of: FitCheckpoint, name: str) -> None:
        super().__init__(os.path.join(of.path, name), of.checkpoint.every)
        self._of, self._name = of, name
        self.state = of.state(name)

    def save(self, state: TrainState) -> None:
        self._of.save(self._name, state)

    def end(self, state: TrainState, stopped: str) -> None:
        """Write the state of a training that goes on, or would take long to do again."""
        begun = state.epoch or state.part.blocks
        if begun and (stopped == "interrupted" or self._of.is_long):
            self.write(state)

    def fault(self, error: Exception) -> None:
        self._of.fault(error)


def recorded(folder: str) -> dict[str, Any]:
    """What a folder's record says of its fit; nothing if it has none.

    Raises
    ------
    InputError
        If it is no folder, the record is damaged, or networks are there without one.
    """
    path = os.path.join(folder, RECORD)
    if is_there(folder) and not os.path.isdir(folder):
        raise InputError(f"checkpoint {folder} is a file: that of a fit is a folder, name one")
    if not is_there(path):
        for name in _members(folder):
            raise InputError(
                f"checkpoint {folder} has {name} and no {RECORD}, so it is of no fit that can go "
                "on: remove it, or name another folder"
            )
        return {}
    with reading(path), open(path, encoding="utf-8") as file:
        found = dict(json.load(file))
        if found["holds"] != HOLDS or type(found["seed"]) is not int or found["seed"] < 0:
            raise ValueError("not the record of a fit")
    return found


def drop(folder: str) -> None:
    """Remove a checkpoint, its record last: until then it is that of a fit that can go on."""
    for name in (*_members(folder), RECORD):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, name))
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _members(folder: str) -> list[str]:
    with contextlib.suppress(OSError):
        return [name for name in os.listdir(folder) if MEMBER.fullmatch(name)]
    return []


def _record(folder: str, about: Mapping[str, Any]) -> None:
    """Write the record of a fit that begins."""
    write_whole(os.path.join(folder, RECORD), json.dumps(about, default=repr).encode())

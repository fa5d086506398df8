"""Run folders, each under a name of its own: a checkpoint while training goes, then the run.

A folder is written beside its name and then renamed. The rename takes the name, so that of two runs
that end together each gets one. A short training writes nothing before it is over. A longer one has
a folder with its checkpoint, from which it can be resumed whenever it is killed; the run's files
join it when they are all written, and then the checkpoint goes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import os
import platform
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import BackhandError, InputError
from ..files import ABANDONED, TEMPORARY, sweep, temporary_name, user, write_whole
from ..train.monitor import Look
from ..train.state import Epoch
from .options import Options, TableOptions

MODEL = "model.safetensors"
CHECKPOINT = "checkpoint.safetensors"
FIT = "checkpoint"  # a folder, of the run of a table
HISTORY = "history.jsonl"
RECORD = "run.json"
REPORT = "report.html"
LOOKS = "layers.json"
MOST_TRIED = 10_000  # names, before the folder counts as one that cannot be written to


def checked_place(out: Path | None, name: str) -> Path:
    """Return where a run is to go, asked before the training that it would keep.

    Raises
    ------
    InputError
        If something is there already, or a folder cannot be made there.
    """
    place = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}" if out is None else out
    try:
        if place.exists() and (not place.is_dir() or any(place.iterdir())) and out is not None:
            raise InputError(f"{place} is already there: name another folder with --out")
        if place.resolve() == Path.cwd():
            raise InputError(f"--out {place} is the folder that you are in: name a new one")
        there = next(folder for folder in place.absolute().parents if folder.exists())
        trial = there / temporary_name()
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise InputError(f"cannot write to {place}: {error.strerror or error}") from None
    return place


def model_file(path: Path) -> Path:
    """Return the file of a model, which may be given as the folder of its run."""
    inside = path / MODEL
    return inside if path.is_dir() and inside.exists() else path


def origin(options: Options | TableOptions) -> dict[str, Any]:
    """What a model's file says of where it comes from: the same for the same command."""
    return {"command": options.command, "seed": options.seed, "backhand": __version__}


def circumstances(options: Options | TableOptions) -> dict[str, Any]:
    """What the record of a run says besides: when and where it was, and every option."""
    return {
        "options": dataclasses.asdict(options),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.platform(),
        "processor": platform.processor() or platform.machine(),
    }


def write_records(
    folder: Path, history: Iterable[Mapping[str, Any]], record: Mapping[str, Any]
) -> None:
    """Write a run's history, a line for each epoch, and its record. JSON has no infinity or NaN."""
    lines = "".join(json.dumps(_finite(line)) + "\n" for line in history)
    write_whole(folder / HISTORY, lines.encode())
    write_whole(folder / RECORD, json.dumps(_finite(record), indent=2).encode())


def write_looks(folder: Path, looks: Mapping[int, Sequence[Look]]) -> None:
    """Write what was seen of the layers of networks, by the networks' numbers."""
    found = {str(n): [one.to_dict() for one in of] for n, of in looks.items()}
    write_whole(folder / LOOKS, json.dumps(_finite(found)).encode())


def read_looks(folder: Path) -> dict[int, list[Look]]:
    """What `write_looks` wrote; nothing if it is not there, or somebody has edited it."""
    try:
        found = json.loads((folder / LOOKS).read_text("utf-8"))
        return {int(n): [Look.from_dict(one) for one in of] for n, of in found.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def read_history(folder: Path) -> dict[int, list[Epoch]]:
    """The epochs of each network of a run; nothing if they are not there, or were edited."""
    names = [field.name for field in dataclasses.fields(Epoch)]
    found: dict[int, list[Epoch]] = {}
    try:
        for text in (folder / HISTORY).read_text("utf-8").splitlines():
            line = json.loads(text)
            epoch = Epoch(*(line[name] for name in names))
            found.setdefault(int(line.get("network", 1)), []).append(epoch)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    return found


def _finite(value: Any) -> Any:
    """A value with None in place of what JSON has no number for."""
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class RunFolder:
    """The folder of one run: first its checkpoint, if the training is long, and then its files.

    Parameters
    ----------
    place : Path
        Where it is to go. If that has been taken by then, "-2" is added to the name, and so on.
    ours : bool
        Whether it is there already, with a checkpoint to go on from.
    checkpoint : str
        `CHECKPOINT`, or `FIT`.
    """

    def __init__(self, place: Path, ours: bool = False, checkpoint: str = CHECKPOINT) -> None:
        self.place, self._ours, self._start = place, ours, time.time()
        self._checkpoint = checkpoint

    @property
    def resumable(self) -> bool:
        """Whether there is a checkpoint in it."""
        return self._ours and (self.place / self._checkpoint).exists()

    @property
    def how_to_go_on(self) -> str:
        """What to type for that."""
        return f"to go on: backhand train --resume {self.place}"

    def write_checkpoint(self, write: Callable[[Path], None]) -> None:
        """Have ``write`` write it: the first one takes the folder's name.

        Raises
        ------
        OSError, InputError
            If it cannot be written.
        """
        if self._ours:
            write(self.place / self._checkpoint)
        else:
            self.place = _written(self.place, lambda folder: write(folder / self._checkpoint))
            self._ours = True

    def drop_checkpoint(self) -> None:
        """Remove the checkpoint, and the folder if there is nothing else in it."""
        if not self._ours:
            return
        with contextlib.suppress(OSError):
            path = self.place / self._checkpoint
            if path.is_dir():
                from ..tabular.checkpoints import drop

                drop(str(path))
            else:
                path.unlink()
            self.place.rmdir()

    def keep(self, write: Callable[[Path], None], done: bool) -> tuple[Path, str]:
        """Write a run, if need be under another name or in the system's temporary folder.

        Parameters
        ----------
        write : callable
            Fills the folder that it is given.
        done : bool
            Whether the training is over, so that the checkpoint goes.

        Returns
        -------
        kept : Path
            Where the run is.
        fault : str
            Why it is not beside ``place``; empty if it is.

        Raises
        ------
        BackhandError
            If it cannot be kept anywhere.
        """
        try:
            if self._ours:
                _filled(self.place, write)
                _sweep(self.place, time.time() - self._start)
            else:
                self.place, self._ours = _written(self.place, write), True
        except (OSError, InputError) as error:
            fault = (
                str(error) if isinstance(error, InputError) else f"{self.place}: {error.strerror}"
            )
        else:
            if done:
                self.drop_checkpoint()
            return self.place, ""
        try:
            kept = _written(Path(tempfile.gettempdir()) / self.place.name, write)
        except (OSError, InputError) as error:
            raise BackhandError(f"{fault}; nor can the run be kept elsewhere: {error}") from None
        return kept, f"{fault}; the run is kept in {kept}"


def _written(place: Path, write: Callable[[Path], None]) -> Path:
    """A folder that is written beside and then renamed; where it is."""
    made = [folder for folder in place.parents if not folder.exists()]  # the innermost first
    beside = place.parent / temporary_name()
    try:
        _written_beside(beside, place, write)
        return _renamed(beside, place)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):  # somebody else's run is in it
                folder.rmdir()
        raise
    finally:
        _sweep(place.parent)


def _filled(place: Path, write: Callable[[Path], None]) -> None:
    """Put files into a folder that is there: all are written before the first takes its place."""
    beside = place / temporary_name()
    try:
        _written_beside(beside, place, write)
        for file in sorted(beside.iterdir()):
            file.replace(place / file.name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _written_beside(beside: Path, place: Path, write: Callable[[Path], None]) -> None:
    beside.mkdir(parents=True)
    try:
        write(beside)
    except InputError as error:  # the temporary name would tell nobody anything
        raise InputError(str(error).replace(str(beside), str(place))) from None


def _renamed(beside: Path, place: Path) -> Path:
    """Give a folder its name, or the first of ``name-2``, ``name-3``... that nobody has."""
    for number in itertools.count(1):
        name = place if number == 1 else place.with_name(f"{place.name}-{number}")
        try:
            os.rename(beside, name)  # which fails where a file or a folder with something in it is
            return name
        except OSError:
            if not os.path.lexists(name) or number == MOST_TRIED:
                raise
    raise AssertionError("unreachable")


def _sweep(folder: Path, age: float = ABANDONED) -> None:
    """Remove what killed processes of this user left half-written in a folder, and long ago."""
    sweep(str(folder), age=age)
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if TEMPORARY.fullmatch(path.name):
                status = path.stat(follow_symlinks=False)
                old = time.time() - status.st_mtime > age
                if old and stat.S_ISDIR(status.st_mode) and status.st_uid == user():
                    shutil.rmtree(path, ignore_errors=True)

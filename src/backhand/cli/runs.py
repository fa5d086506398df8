"""Run folders: there whole or not at all, each under a name of its own.

A run is written beside its name when the training is over, and then renamed. The rename takes the
name, so that of two runs that end together each gets one. While a training goes, nothing of it is
on the disk, and so nothing is left over if it is killed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import BackhandError, InputError
from ..files import ABANDONED, TEMPORARY, temporary_name, user

MODEL = "model.safetensors"
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


def keep(place: Path, write: Callable[[Path], None]) -> tuple[Path, str]:
    """Write a run, if need be under another name or in the system's folder for temporary files.

    Parameters
    ----------
    place : Path
        Where it is to go. If that has been taken since, "-2" is added to the name, and so on.
    write : callable
        Fills the folder that it is given.

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
        return _written(place, write), ""
    except (OSError, InputError) as error:
        fault = str(error) if isinstance(error, InputError) else f"{place}: {error.strerror}"
    try:
        kept = _written(Path(tempfile.gettempdir()) / place.name, write)
    except (OSError, InputError) as error:
        raise BackhandError(f"{fault}; nor can the run be kept elsewhere: {error}") from None
    return kept, f"{fault}; the run is kept in {kept}"


def _written(place: Path, write: Callable[[Path], None]) -> Path:
    made = [folder for folder in place.parents if not folder.exists()]  # the innermost first
    beside = place.parent / temporary_name()
    try:
        beside.mkdir(parents=True)
        write(beside)
        return _renamed(beside, place)
    except BaseException as error:
        shutil.rmtree(beside, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):  # somebody else's run is in it
                folder.rmdir()
        if isinstance(error, InputError):  # the temporary name would tell nobody anything
            raise InputError(str(error).replace(str(beside), str(place))) from None
        raise
    finally:
        _sweep(place.parent)


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


def _sweep(folder: Path) -> None:
    """Remove the folders that killed processes of this user left half-written in a folder."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if TEMPORARY.fullmatch(path.name):
                status = path.stat(follow_symlinks=False)
                old = time.time() - status.st_mtime > ABANDONED
                if old and stat.S_ISDIR(status.st_mode) and status.st_uid == user():
                    shutil.rmtree(path, ignore_errors=True)

"""Rows that were written to the disk once, and are read a few at a time, in any order."""

from __future__ import annotations

import math
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..errors import InputError
from ..memory import as_bytes
from .blocks import WINDOW, Blocks, RereadRows
from .rows import Rows

Array = Any

PIECE, PIECES = 1 << 17, 256
"""Bytes of rows that are read from the disk at once, at most; and how many times a block holds such
a piece, at least. Smaller pieces mix rows better and take more time."""

SHARE_OF_DISK = 0.5
"""Of the room that is free in a folder, what prepared rows may take if nobody says how much."""


class StoredRows(Blocks):
    """Blocks of rows that were written to the disk once, and are read in any order.

    The files have no names where the system permits, so nothing is left of them when the process
    ends, however it ends.

    Parameters
    ----------
    folder : str, optional
        Where; by default the system's folder for temporary files.
    window : int
        Bytes of a block.
    """

    def __init__(self, folder: str | None = None, window: int = WINDOW) -> None:
        super().__init__(0, 0, window)
        self._folder, self._lock = folder, threading.Lock()
        self._files: list[Any] = [None, None, None]
        self._closing = weakref.finalize(self, _close, self._files)
        self._like: list[Array | None] = []
        self._kind: type[Rows] = Rows
        self.piece_bytes = min(PIECE, window // PIECES)

    kept = True

    def add(self, rows: Rows) -> None:
        """Write rows behind the others; all of one shape and dtype.

        Raises
        ------
        InputError
            If the disk is full, or the folder cannot be written to.
        """
        given = [None if a is None else np.ascontiguousarray(a) for a in rows]
        if not self._like:
            self._begin(type(rows), given)
        try:
            for file, a in zip(self._files, given, strict=True):
                if file is not None and a is not None:
                    file.seek(0, 2)
                    file.write(a.data.cast("B") if a.size else b"")
        except OSError as error:
            raise InputError(
                f"prepared rows cannot be kept in {self._where}: {error.strerror or error}; name "
                "another folder, or keep none with disk=0"
            ) from None
        self.rows += len(rows)

    def _begin(self, kind: type[Rows], given: list[Array | None]) -> None:
        self._kind, self._like = kind, [None if a is None else a[:0] for a in given]
        self.row_bytes = sum(bytes_of_row(a) for a in given if a is not None)
        try:
            for place, a in enumerate(given):
                if a is not None:
                    self._files[place] = tempfile.TemporaryFile(  # noqa: SIM115  # closed with self
                        dir=self._folder, buffering=0
                    )
        except OSError as error:
            raise InputError(
                f"prepared rows cannot be kept in {self._where}: {error.strerror or error}"
            ) from None

    @property
    def _where(self) -> str:
        return self._folder or tempfile.gettempdir()

    def read(self, first: int, count: int) -> Rows:
        """Some rows, from the disk."""
        found: list[Array | None] = []
        for file, like in zip(self._files, self._like, strict=True):
            a: Array | None = None
            if like is not None:
                a = np.empty((count, *like.shape[1:]), like.dtype)
                if a.size:
                    self._fill(file, first * bytes_of_row(a), a.data.cast("B"))
            found.append(a)
        return self._kind(*found)

    def _fill(self, file: Any, place: int, room: memoryview) -> None:
        with self._lock:  # threads share the file's position
            file.seek(place)
            while room:
                got = file.readinto(room)
                if not got:
                    raise InputError(f"prepared rows in {self._where} were cut off")
                room = room[got:]

    def pieces(self, rng: np.random.Generator | None) -> Iterator[Rows]:
        size = max(1, self.piece_bytes // max(self.row_bytes, 1))
        firsts = np.arange(0, self.rows, size)
        for first in (firsts if rng is None else rng.permutation(firsts)).tolist():
            yield self.read(first, min(size, self.rows - first))

    def close(self) -> None:
        """Remove the files."""
        with self._lock:
            self._closing()

    def __enter__(self) -> StoredRows:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close(files: list[Any]) -> None:
    for file in files:
        if file is not None:
            file.close()


def bytes_of_row(a: Array) -> int:
    """What one row of an array takes."""
    return int(a.itemsize * math.prod(a.shape[1:]))


def disk_allowed(disk: int | None, folder: str | None) -> int:
    """Bytes that prepared rows may take on the disk. None is half of what is free there."""
    if disk is not None:
        return disk
    try:
        return int(SHARE_OF_DISK * shutil.disk_usage(folder or tempfile.gettempdir()).free)
    except OSError as error:
        raise InputError(
            f"scratch folder {folder}: {error.strerror or error}; name one that is there"
        ) from None


def stored(rows: Iterable[Rows], folder: str | None = None, window: int = WINDOW) -> StoredRows:
    """Rows as `StoredRows`, which are closed if anything is wrong with them."""
    made = StoredRows(folder, window)
    try:
        for some in rows:
            made.add(some)
    except BaseException:
        made.close()
        raise
    return made


def stream_rows(
    make: Callable[[], Iterable[Any]],
    *,
    window: int | str = WINDOW,
    disk: int | str | None = None,
    scratch: str | None = None,
) -> Blocks:
    """Rows that a function gives a few at a time, for `backhand.fit`: more than memory holds.

    They are read once now, to count them, and kept on the disk if there is room; else the function
    is called again in each epoch, and rows are shuffled within the window only.

    Parameters
    ----------
    make : callable
        Returns an iterable of `Rows`, or of pairs (x, t) or triples (x, t, weight): the same ones
        whenever it is called.
    window, disk, scratch
        As of `backhand.Stream`.

    Returns
    -------
    Blocks

    Raises
    ------
    InputError
        If there are no rows, or parts of them differ in shape or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from backhand import Network, TrainConfig, fit, stream_rows
    >>> def parts():
    ...     for seed in range(10):
    ...         x = np.random.default_rng(seed).normal(size=(100, 3))
    ...         yield x, (x.sum(axis=1) > 0).astype(int)
    >>> net = Network((3, 8, 2), loss="softmax_cross_entropy")
    >>> result = fit(net, net.init("lecun_normal", 0), stream_rows(parts), TrainConfig(epochs=2))
    >>> len(result.history)
    2
    """
    if not callable(make):
        raise InputError(f"a function that gives rows is needed, got {type(make).__name__}")
    size, room = as_bytes(window, "window"), None if disk is None else as_bytes(disk, "disk")
    return kept_or_reread(lambda rng: _alike(make()), size, disk_allowed(room, scratch), scratch)


def kept_or_reread(
    make: Callable[[np.random.Generator | None], Iterator[Rows]],
    window: int,
    disk: int,
    scratch: str | None,
) -> Blocks:
    """Rows kept on the disk if they take no more than ``disk`` bytes, else as `RereadRows`.

    Raises InputError if there are none.
    """
    kept: StoredRows | None = StoredRows(scratch, window)
    count = row_bytes = 0
    try:
        for rows in make(None):
            count += len(rows)
            row_bytes = sum(bytes_of_row(a) for a in rows if a is not None)
            if kept is not None and count * row_bytes > disk:
                kept.close()
                kept = None
            if kept is not None:
                kept.add(rows)
    except BaseException:
        if kept is not None:
            kept.close()
        raise
    if not count:
        raise InputError("there are no rows to learn from")
    return kept or RereadRows(make, count, row_bytes, window)


def _alike(parts: Iterable[Any]) -> Iterator[Rows]:
    """Parts as rows. Raises InputError if one is none, or differs from the first."""
    first: list[Any] = []
    for number, part in enumerate(parts, start=1):
        try:
            given = [None if a is None else np.asarray(a) for a in Rows(*part)]
            lengths = {len(a) for a in given if a is not None}
        except (TypeError, ValueError):  # too few or many, ragged ones, and single numbers
            raise InputError(
                f"part {number} of the rows must be Rows(x, t), (x, t) or (x, t, weight), got "
                f"{type(part).__name__}"
            ) from None
        kinds = [None if a is None else (a.dtype.str, *a.shape[1:]) for a in given]
        first = first or kinds
        if len(lengths) > 1:
            raise InputError(f"part {number} of the rows has x and t of {sorted(lengths)} rows")
        if kinds != first:
            raise InputError(f"part {number} of the rows has {kinds}, and the first has {first}")
        rows = Rows(*given)
        if len(rows):
            yield rows

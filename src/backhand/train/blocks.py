"""Rows that memory does not hold: an epoch as a sequence of blocks, each read while one trains.

An epoch takes pieces of rows in random order, joins them to blocks of equal size, and trains on the
rows of each block in random order. So a row meets all others in time, and memory holds two blocks:
the one that is trained on, and the one that is being read.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from ..errors import InputError
from ..network import Params
from .rows import Rows

Array = Any
T = TypeVar("T")

WINDOW = 128 << 20
"""Bytes of rows that are shuffled together. More mix rows better, and two as many are in memory."""


class Blocks:
    """Rows of an epoch, block by block; `fit` takes them in the place of `Rows`.

    To be implemented: `pieces`.

    Parameters
    ----------
    rows : int
        In an epoch.
    row_bytes : int
        What one row takes in memory.
    window : int
        Bytes of a block.
    """

    def __init__(self, rows: int, row_bytes: int, window: int) -> None:
        self.rows, self.row_bytes, self.window = rows, row_bytes, window

    def __len__(self) -> int:
        return self.rows

    def pieces(self, rng: np.random.Generator | None) -> Iterator[Rows]:
        """All rows once, a few at a time, in an order that ``rng`` decides; None for their own."""
        raise NotImplementedError

    kept = False
    """Whether rows were written to the disk once."""

    def described(self) -> dict[str, Any]:
        """What decides the order of rows together with the seed, for JSON."""
        return {"rows": self.rows, "window": self.window, "kept": self.kept}

    elsewhere = False
    """Whether an epoch is `train`, on rows that are not here."""

    def trainer(self, params: Params, arrays: Mapping[str, Array]) -> Any:
        """What keeps parameters and the optimiser's arrays where rows are elsewhere, else None."""
        return None

    def train(self, loop: Any, trainer: Any) -> float:
        """An epoch of a `TrainLoop` on rows that are elsewhere; its mean loss."""
        raise NotImplementedError

    def first(self, rows: int) -> Blocks:
        """As these, with epochs of so many rows at most: other ones in each epoch."""
        return _Shorter(self, min(rows, self.rows))

    def block_rows(self, batch_size: int) -> int:
        """Rows of each block but the last: a multiple of ``batch_size``, as alike as possible."""
        most = max(batch_size, self.window // self.row_bytes)
        even = math.ceil(self.rows / math.ceil(self.rows / most))
        return math.ceil(even / batch_size) * batch_size

    @contextlib.contextmanager
    def epoch(
        self, number: int, seed: int, batch_size: int, *, shuffle: bool = True, done: int = 0
    ) -> Iterator[Iterator[Rows]]:
        """The blocks of an epoch, each of which is read while the one before is in use.

        Parameters
        ----------
        number : int
            Of the epoch, which decides the order of pieces together with the seed.
        seed, batch_size : int
        shuffle : bool
        done : int
            Blocks that are left out, since they have been trained on.
        """
        rng = np.random.default_rng((seed, number)) if shuffle else None
        size, ended = self.block_rows(batch_size), threading.Event()
        made = _joined(self.pieces(rng), size, self.rows, done * size, ended)
        with ahead(made) as blocks:
            try:
                yield blocks
            finally:
                ended.set()


class _Shorter(Blocks):
    """The first rows of each epoch of other blocks."""

    def __init__(self, blocks: Blocks, rows: int) -> None:
        super().__init__(rows, blocks.row_bytes, blocks.window)
        self._blocks = blocks

    def pieces(self, rng: np.random.Generator | None) -> Iterator[Rows]:
        return self._blocks.pieces(rng)


UNINTERRUPTED = threading.Lock()
"""Held while an exception that is raised in a thread from outside would do harm: while it writes a
checkpoint, of which a part would be left, and while it starts another thread. Until that runs,
Python takes the one for the other, so the exception could end the new one, for which it waits."""


@contextlib.contextmanager
def ahead(made: Iterator[T]) -> Iterator[Iterator[T]]:
    """What an iterator makes; the next one is made on another thread while one is in use."""
    from ..run.llvm.host.team import helping  # what trains in memory need not import it

    def another() -> T | None:
        with helping():
            return next(made, None)

    def each() -> Iterator[T]:
        with UNINTERRUPTED:
            waiting = pool.submit(another)
        while (one := waiting.result()) is not None:
            waiting = pool.submit(another)
            yield one

    with ThreadPoolExecutor(1, "backhand-read") as pool:
        yield each()


def _joined(
    pieces: Iterator[Rows], size: int, rows: int, skipped: int, ended: threading.Event
) -> Iterator[Rows]:
    """Pieces as blocks of ``size`` rows, until there were ``rows``; ``skipped`` of them left out.

    Raises
    ------
    InputError
        If there are fewer rows than there were.
    """
    left, waiting = rows, skipped
    block: _Block | None = None
    for piece in pieces:
        if ended.is_set():
            return
        while len(piece) and left:
            if waiting:
                some = min(waiting, len(piece), left)
                piece, waiting, left = _after(piece, some), waiting - some, left - some
                continue
            if block is None:
                block = _Block(piece, min(size, left))
            some = block.add(piece)
            piece, left = _after(piece, some), left - some
            if block.full:
                yield block.take()
                block = None
        if not left:
            return
    raise InputError(
        f"there are {rows - left:,} rows where there were {rows:,} before: what is read again and "
        "again must stay as it is while it is learned from"
    )


def _after(piece: Rows, count: int) -> Rows:
    """The rows of a piece but the first, in the same memory."""
    return piece.take(slice(count, None))


class _Block:
    """A block that is being filled."""

    def __init__(self, like: Rows, rows: int) -> None:
        def room(a: Array) -> Array:
            return np.empty((rows, *a.shape[1:]), a.dtype)

        weight = None if like.weight is None else room(like.weight)
        self._rows, self._filled = type(like)(room(like.x), room(like.t), weight), 0

    def add(self, piece: Rows) -> int:
        """Take over as many rows as there is room for; how many."""
        some = min(len(piece), len(self._rows) - self._filled)
        here = slice(self._filled, self._filled + some)
        for mine, theirs in zip(self._rows, piece, strict=True):
            if mine is not None:
                mine[here] = theirs[:some]
        self._filled += some
        return some

    @property
    def full(self) -> bool:
        return self._filled == len(self._rows)

    def take(self) -> Rows:
        return self._rows


class RereadRows(Blocks):
    """Blocks of rows that are made anew in each epoch.

    Parameters
    ----------
    make : callable
        From a generator of random numbers, or None, to an iterator of `Rows`: all of them once. It
        may be called on several threads.
    rows, row_bytes, window : int
        As of `Blocks`.
    """

    def __init__(
        self,
        make: Callable[[np.random.Generator | None], Iterator[Rows]],
        rows: int,
        row_bytes: int,
        window: int = WINDOW,
    ) -> None:
        super().__init__(rows, row_bytes, window)
        self._make = make

    def pieces(self, rng: np.random.Generator | None) -> Iterator[Rows]:
        return self._make(rng)

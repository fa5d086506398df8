"""A compiled program with its buffers, ready to be called without the GIL."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ....plan.description import Description
from .. import tuning
from ..host.team import Team, available_threads, checked_threads
from ..ir.padding import padded
from ..kernels.cancellation import MISSING, ROWS, SUMS
from ..kernels.gather import READABLE
from ..program.buffers import LINE_WORDS, Slot, inputs_of_a_thread
from ..program.compiled import Compiled, PartitionMode
from .binding import Table, check_sources, with_padding

Array = Any

NOTHING = 0, (), 0, ""  # the arguments of `Instance.reserve` before its first call


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """Zeros that begin on a cache line."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + tuning.CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % tuning.CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def allocate_arena(wanted: Mapping[str, tuple[tuple[int, ...], Any]]) -> dict[str, Array]:
    """Allocate one arena for several arrays of zeros, each at another offset within its page.

    First-level caches map lines by a part of their addresses, so arrays in unrelated places may
    evict each other by chance; `benchmarks/placement.py` measures it.
    """
    at, places = 0, {}
    for number, (name, (shape, dtype)) in enumerate(wanted.items()):
        first = at + (number * tuning.STAGGER - at) % tuning.PAGE
        at = first + int(np.prod(shape)) * np.dtype(dtype).itemsize
        places[name] = slice(first, at)
    room = aligned((at,), np.uint8)
    return {
        name: room[places[name]].view(dtype).reshape(shape)
        for name, (shape, dtype) in wanted.items()
    }


def readable(a: Array) -> Array:
    """``a`` itself if its rows can be gathered in place, else a copy that can.

    In place: native numbers (half precision and the like excepted) whose row is contiguous. The
    distance between rows may be anything, so slices, memory maps and read-only arrays stay.
    """
    a = np.asarray(a)
    if a.ndim == 1:
        a = a[:, None]
    contiguous = a.shape[1] <= 1 or a.strides[1] == a.itemsize
    if a.dtype in READABLE and a.flags.aligned and contiguous:
        return a
    native = a.dtype.newbyteorder("=")
    return np.require(a, native if native in READABLE else np.float64, ["C", "A"])


def aligned_copy(a: Array) -> Array:
    """A padded and aligned copy of a parameter, (d, k) or (k,), that programs can read in place.

    It may be written to at any time; the next pass sees it.
    """
    stride = padded(a.shape[-1], a.dtype.itemsize)
    room = aligned((*a.shape[:-1], stride), a.dtype)
    home = room[..., : a.shape[-1]]
    home[...] = a
    return home


def aligned_buffers(params: Sequence[tuple[Array, Array]]) -> dict[str, Array]:
    """The parameters of `aligned_copy` by the names that programs know, with their padding."""
    named: dict[str, Array] = {}
    for layer, (w, b) in enumerate(params, 1):
        for name, a in ((f"w{layer}", w), (f"b{layer}", b[None])):
            named[name] = with_padding(a, padded(a.shape[1], a.itemsize))
    return named


def transpose(w: Array, copy: Array) -> None:
    """Write ``w.T`` some columns at a time, which stay in a cache, and Ctrl-C may come between."""
    for first in range(0, len(w), tuning.COPIED_AT_ONCE):
        copy[:, first : first + tuning.COPIED_AT_ONCE] = w[first : first + tuning.COPIED_AT_ONCE].T


_idle: list[Instance] = []


def _taken(code: Compiled) -> Instance | None:
    """An idle instance of a program, which serves one call at a time."""
    for instance in [instance for instance in _idle if instance.code is code]:
        with contextlib.suppress(ValueError):  # another thread was quicker
            _idle.remove(instance)
            return instance
    return None


@contextlib.contextmanager
def pooled(code: Compiled, description: Description, threads: int | None) -> Iterator[Instance]:
    """An instance of a program for one call, from a pool or new; it then goes back to the pool.

    Its parameters are those of an earlier call: load others.
    """
    instance = (_taken(code) if threads is None else None) or Instance(code, description, threads)
    yield instance
    if threads is None:
        _idle.append(instance)
        with contextlib.suppress(IndexError):
            while len(_idle) > tuning.IDLE_INSTANCES:
                _idle.pop(0)


class Instance:
    """One program with its buffers, ready to be called.

    Parameters
    ----------
    code : Compiled
    description : Description
    threads : int or None
        None: as many as the work is worth.
    """

    def __init__(self, code: Compiled, description: Description, threads: int | None) -> None:
        self.code, self.description = code, description
        self.dtype = np.dtype(description.dtype)
        self.team = Team(threads or 1)
        self._teams = {self.team.threads: self.team}
        self._fixed = checked_threads(threads)
        self.table = Table(code.slots)
        self._reserved: tuple[int, tuple[str, ...], int, str] = NOTHING
        widest = max(description.widths) + 64
        words = {"split_k.done": (0, LINE_WORDS), "barrier": (LINE_WORDS,), "stop": (LINE_WORDS,)}
        found = allocate_arena(
            {name: (shape, np.int64) for name, shape in words.items()}
            | {"results": ((8,), np.float64), "zeros": ((widest,), self.dtype)}
            | {name: (shape, self.dtype) for name, shape in code.static.items()}
        )
        for name, a in found.items():
            self.table.bind(name, a)
        self.blocks_done, self.barrier = found["split_k.done"], found["barrier"]
        self.stop, self.results = found["stop"], found["results"]

    def reserve(
        self,
        rows: int,
        without: tuple[str, ...] = (),
        threads: int = 1,
        partition_mode: PartitionMode = "rows",
    ) -> None:
        """Allocate the buffers of a batch of ``rows`` rows, but those of ``without``.

        x is that of all threads, or one for each of them; see `Compiled.partition_mode`.
        """
        if (rows, without, threads, partition_mode) == self._reserved:
            return
        self._reserved = NOTHING
        wanted: dict[str, tuple[tuple[int, ...], Any]] = {
            name: ((rows, stride), dtype) for name, (stride, dtype) in self.code.batched.items()
        }
        (_, stride), dtype = wanted["x"]
        if partition_mode == "inputs":
            stride = padded(inputs_of_a_thread(self.description.inputs, threads), dtype.itemsize)
            wanted["split_k.done"] = (threads, LINE_WORDS), np.int64
        own = rows * stride if partition_mode != "rows" else 0
        wanted["x"] = (rows * (threads if own else 1), stride), dtype
        for name in without:
            del wanted[name]
        for name, a in allocate_arena(wanted).items():
            self.table.bind(name, a)
        self.blocks_done = self.table["split_k.done"]
        numbers = {
            "x.ld": stride,
            "x.advance": 0,
            "x.per_thread": own,
            "x.split_k": partition_mode == "inputs",
        }
        self.table.set(**numbers)
        self._reserved = rows, without, threads, partition_mode

    def attach(
        self,
        sources: Mapping[str, Array],
        order: Array | None = None,
        outputs: Mapping[str, Array] | None = None,
        in_place: Array | None = None,
    ) -> Iterable[str]:
        """Let the program read and write the caller's arrays until they are released.

        Parameters
        ----------
        sources : mapping of str to array
            What it gathers from; of sparse rows, their arrays.
        order : (rows,) int64, optional
            Which rows, in which order.
        outputs : mapping of str to array, optional
        in_place : (rows, inputs) array, optional
            An x of the network's dtype that products read themselves; it is not gathered.

        Returns
        -------
        iterable of str
            What is to be released from the table.

        Raises
        ------
        InputError
            If an array is not what the program was compiled for, or rows lie outside of it.
        """
        held = {**sources, **(outputs or {})}
        if order is not None:
            held["order"] = order
        try:
            for name, a in held.items():
                self.table.bind(name, a)
            if in_place is not None:
                held["x"] = self._read_in_place(in_place)
                sources = {**sources, "x": in_place}
            rows = check_sources({**sources, **(outputs or {})}, self.description.inputs, order)
            self.table.set(rows=rows)
        except BaseException:
            self.table.release(held)
            raise
        return held

    def load(self, params: Sequence[tuple[Array, Array]]) -> None:
        """Copy parameters in, with their transposed copies."""
        for layer, (w, b) in enumerate(params, 1):
            self.put(f"w{layer}", w)
            self.put(f"b{layer}", b)
        self._refresh()
        if "dw1" in self.code.static:  # sums in memory, of which some may be half done
            self.table["dw1"][...] = 0

    def read_parameters(self, params: Sequence[tuple[Array, Array]]) -> None:
        """Read parameters of `aligned_copy` in place; the program has no transposed copies."""
        for name, a in aligned_buffers(params).items():
            self.table.bind(name, a)

    def stored(self) -> tuple[tuple[Array, Array], ...]:
        """Copies of the parameters."""
        return tuple(
            (self.get(f"w{layer}", (d, k)), self.get(f"b{layer}", (k,)))
            for layer, (d, k) in enumerate(self.description.shapes, 1)
        )

    def get(self, name: str, shape: tuple[int, ...]) -> Array:
        """A copy of a buffer without its padding: (d, k) of weights, (k,) of biases."""
        buffer = self.table[name]
        panels = self.code.packed.get(name)
        if panels:
            buffer = np.hstack(np.split(buffer, panels))
        part = buffer[: shape[0], : shape[1]] if len(shape) == 2 else buffer[0, : shape[0]]
        return part.copy()

    def put(self, name: str, a: Array) -> None:
        """Copy an array into a buffer."""
        buffer, k = self.table[name], a.shape[-1]
        panels = self.code.packed.get(name)
        if panels:
            width = buffer.shape[1]
            for first, panel in zip(range(0, k, width), np.split(buffer, panels), strict=True):
                part = a[:, first : first + width]
                panel[:, : part.shape[1]] = part
        else:
            buffer[: a.shape[0] if a.ndim == 2 else 1, :k] = a

    def clear(self, sums: Iterable[str]) -> None:
        """Set the loss, and sums that go on from block to block, to zero."""
        self.results[:] = 0
        for name in sums:
            self.table[name][...] = 0

    def _read_in_place(self, x: Array) -> Array:
        """Let products read x itself."""
        self.table.bind("x", x, Slot(self.dtype, (None, self.description.inputs), True))
        stride = x.strides[0] // x.itemsize
        self.table.set(**{"x.ld": stride, "x.advance": stride, "x.per_thread": 0, "x.split_k": 0})
        return x

    def run(
        self, first: int, last: int, threads: int, seconds: float, may_tear: bool = False
    ) -> None:
        """Run batches ``first`` to ``last - 1``, which take about this many seconds.

        Ctrl-C leaves the parameters and their state as a whole number of steps has made them.

        Parameters
        ----------
        may_tear : bool
            Whether a step may be left before all of its updates, so that `torn` is true; the caller
            then restores a copy.
        """
        self.team.wait_until_idle()  # threads of an interrupted run may read the table
        if threads != self.team.threads:
            self.team = self._teams.setdefault(threads, Team(threads))
        self.table.set(first=first, last=last, threads=threads)
        barrier, stop = self.barrier, self.stop
        barrier[:2] = stop[:] = self.blocks_done[...] = 0

        def leave(missing: bool) -> None:
            stop[ROWS], stop[SUMS], stop[MISSING] = 1, may_tear, missing

        def abandon(missing: bool) -> None:
            stop[MISSING] = missing or not barrier[1]

        others = (
            threads > 1 or seconds > tuning.LONG_SECONDS
        )  # which may outlive an interrupted call
        work = functools.partial(self._work, self.table.arrays() if others else ())
        if seconds > tuning.LONG_SECONDS:
            self.team.run(work, leave, in_workers=True)
        else:
            self.team.run(work, abandon)

    def _work(self, arrays: tuple[Array, ...], thread: int) -> None:
        """What one thread does of a run; it keeps the arrays alive until it has ended."""
        self.code.call(self.table.address, thread)

    @property
    def torn(self) -> bool:
        """Whether the last run has left some parameters a step ahead of others."""
        return bool(self.stop[SUMS + 1])

    def _refresh(self) -> None:
        """Transposed copies of the parameters that there are now."""
        for layer, (d, k) in enumerate(self.description.shapes, 1):
            if f"w{layer}.T" in self.table:
                transpose(self.table[f"w{layer}"][:, :k], self.table[f"w{layer}.T"][:k, :d])

    def run_pass(self, given: Mapping[str, Array], rows: int, outputs: Mapping[str, Array]) -> int:
        """Run all rows once, in blocks that a cache holds; how many blocks.

        ``x`` of the network's dtype is read where it is; everything else is gathered.
        """
        threads = self._fixed or self.code.pass_threads(rows, available_threads)
        seconds = self.code.flops * rows / (tuning.SLOWEST_OPERATIONS * threads)
        block = min(rows, tuning.PASS_ROWS * threads)
        blocks = -(-rows // block)
        x = given["x"]
        in_place = x.dtype == self.dtype and x.strides[0] % x.itemsize == 0 <= x.strides[0]
        sources = {f"all_{n}": a for n, a in given.items() if not (in_place and n == "x")}
        results = {f"out.{name}": a for name, a in outputs.items()}
        self.reserve(block, without=("x",) if in_place else ())
        held = self.attach(sources, outputs=results, in_place=x if in_place else None)
        try:
            self.table.set(batch=block)
            self.run(0, blocks, threads, seconds)
        finally:
            self.table.release(held)
        return blocks

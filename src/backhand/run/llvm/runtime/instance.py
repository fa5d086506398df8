"""A compiled program with its buffers, ready to be called without the GIL."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .. import tuning
from ..host.team import Team, available_threads, checked_threads
from ..ir.padding import padded
from ..kernels.cancellation import MISSING, ROWS, SUMS
from ..kernels.gather import READABLE
from ..program.buffers import DTYPES, LINE_WORDS, Slot, inputs_of_a_thread, transposed
from ..program.compiled import Compiled, PartitionMode
from .binding import Table, check_sources, with_padding
from .memory import aligned

Array = Any

NOTHING = 0, (), 0, ""  # the arguments of `Instance.reserve` before its first call


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
    """A padded and aligned copy of a parameter, (..., k), that programs can read in place.

    It may be written to at any time; the next pass sees it.
    """
    stride = padded(a.shape[-1], a.dtype.itemsize)
    room = aligned((*a.shape[:-1], stride), a.dtype)
    home = room[..., : a.shape[-1]]
    home[...] = a
    return home


def aligned_buffers(params: Mapping[str, Array]) -> dict[str, Array]:
    """The parameters of `aligned_copy` as programs know them, with their padding."""
    return {name: with_padding(a, padded(a.shape[-1], a.itemsize)) for name, a in params.items()}


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
def pooled(code: Compiled, threads: int | None) -> Iterator[Instance]:
    """An instance of a program for one call, from a pool or new; it then goes back to the pool.

    Its parameters are those of an earlier call: load others.
    """
    instance = (_taken(code) if threads is None else None) or Instance(code, threads)
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
    threads : int or None
        None: as many as the work is worth.
    """

    def __init__(self, code: Compiled, threads: int | None) -> None:
        self.code, self.layout = code, code.layout
        self.dtype = self.layout.real
        self.plan = self.layout.kernel_plan.plan
        self.team = Team(threads or 1)
        self._teams = {self.team.threads: self.team}
        self._fixed = checked_threads(threads)
        self.table = Table(code.slots)
        self._reserved: tuple[int, tuple[str, ...], int, str] = NOTHING
        widest = max(buffer.width for buffer in self.plan.buffers.values()) + 64
        words = {"split_k.done": (0, LINE_WORDS), "barrier": (LINE_WORDS,), "stop": (LINE_WORDS,)}
        found = allocate_arena(
            {name: (shape, np.int64) for name, shape in words.items()}
            | {"results": ((8,), np.float64), "zeros": ((widest,), self.dtype)}
            | {name: (shape, self.dtype) for name, shape in self.layout.static.items()}
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
            name: ((rows + (name in self.layout.read_beyond), stride), dtype)
            for name, (stride, dtype) in self.layout.batched.items()
        }
        x = self.plan.x.name
        (_, stride), dtype = wanted.get(x, ((0, 0), self.dtype))
        if partition_mode == "inputs":
            stride = padded(inputs_of_a_thread(self.layout.inputs, threads), dtype.itemsize)
            wanted["split_k.done"] = (threads, LINE_WORDS), np.int64
        own = rows * stride if partition_mode != "rows" else 0
        if own:
            wanted[x] = (rows * threads, stride), dtype
        for name in without:
            wanted.pop(name, None)
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
                held[self.plan.x.name] = self._read_in_place(in_place)
                sources = {**sources, "x": in_place}
            rows = check_sources({**sources, **(outputs or {})}, self.layout.inputs, order)
            self.table.set(rows=rows)
        except BaseException:
            self.table.release(held)
            raise
        return held

    def load(self, params: Mapping[str, Array]) -> None:
        """Copy parameters in, with their transposed copies. Sums begin anew."""
        for name, a in params.items():
            self.put(name, a)
        self._refresh()
        self.results[:] = 0
        for each in self.layout.kernel_plan.sums:  # of some in memory half may be done
            if each.node.out.name in self.layout.static:
                self.table[each.node.out.name][...] = 0

    def read_parameters(self, params: Mapping[str, Array]) -> None:
        """Read parameters of `aligned_copy` in place; the program has no transposed copies."""
        for name, a in aligned_buffers(params).items():
            self.table.bind(name, a)

    def stored(self) -> dict[str, Array]:
        """Copies of the parameters by name."""
        return {p.buffer.name: self.get(p.buffer.name) for p in self.plan.parameters}

    def get(self, name: str) -> Array:
        """A copy of a parameter, a gradient or state, without its padding."""
        shape, buffer = self.layout.exact[name], self.table[name]
        panels = self.code.packed.get(name)
        if panels:
            buffer = np.hstack(np.split(buffer, panels))
        return buffer[:, : shape[-1]].reshape(shape).copy()

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
            buffer[:, :k] = a.reshape(-1, k)

    def _read_in_place(self, x: Array) -> Array:
        """Let products read x itself."""
        slot = Slot(self.dtype, (None, self.layout.inputs), True)
        self.table.bind(self.plan.x.name, x, slot)
        stride = x.strides[0] // x.itemsize
        self.table.set(**{"x.ld": stride, "x.advance": stride, "x.per_thread": 0, "x.split_k": 0})
        return x

    def run(
        self,
        first: int,
        last: int,
        threads: int,
        seconds: float,
        allow_partial_update: bool = False,
    ) -> None:
        """Run batches ``first`` to ``last - 1``, which take about this many seconds.

        Ctrl-C leaves the parameters and their state as a whole number of steps has made them.

        Parameters
        ----------
        allow_partial_update : bool
            Whether a step may be left before all of its updates, so that `partially_updated` is
            true; the caller then restores a copy.
        """
        self.team.wait_until_idle()  # threads of an interrupted run may read the table
        if threads != self.team.threads:
            self.team = self._teams.setdefault(threads, Team(threads))
        self.table.set(first=first, last=last, threads=threads)
        barrier, stop = self.barrier, self.stop
        barrier[:2] = stop[:] = self.blocks_done[...] = 0

        def leave(missing: bool) -> None:
            stop[ROWS], stop[SUMS], stop[MISSING] = 1, allow_partial_update, missing

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
    def partially_updated(self) -> bool:
        """Whether the last run has left some parameters a step ahead of others."""
        return bool(self.stop[SUMS + 1])

    def _refresh(self) -> None:
        """Transposed copies of the parameters that there are now."""
        for buffer in self.layout.kernel_plan.transposed:
            *others, d, k = self.layout.exact[buffer.name]
            members = math.prod(others)
            matrices = self.table[buffer.name].reshape(members, d, -1)
            copies = self.table[transposed(buffer)].reshape(members, k, -1)
            for matrix, copy in zip(matrices, copies, strict=True):
                transpose(matrix[:, :k], copy[:, :d])

    def run_pass(self, given: Mapping[str, Array], rows: int, outputs: Mapping[str, Array]) -> int:
        """Run all rows once, in blocks that a cache holds; how many blocks.

        ``x`` of the network's dtype is read where it is, if nothing but products reads it;
        everything else is gathered.
        """
        kernel_plan, x = self.layout.kernel_plan, given.get(self.plan.x.name)
        threads = self._fixed or self.code.pass_threads(rows, available_threads)
        seconds = self.code.flops * rows / (tuning.SLOWEST_OPERATIONS * threads)
        block = min(rows, tuning.PASS_ROWS * threads)
        blocks = -(-rows // block)
        if x is not None and (
            x.dtype != self.dtype
            or not x.strides[0] % x.itemsize == 0 <= x.strides[0]
            or not kernel_plan.reads_x_in_products_only
        ):
            x = None
        x_name = self.plan.x.name
        sources = {f"all_{n}": a for n, a in given.items() if x is None or n != x_name}
        results = {f"out.{name}": a for name, a in outputs.items()}
        self.reserve(block, without=() if x is None else (x_name,))
        self._bind_settings(blocks)
        held = self.attach(sources, outputs=results, in_place=x)
        try:
            self.table.set(batch=block)
            self.run(0, blocks, threads, seconds)
        finally:
            self.table.release(held)
        return blocks

    def _bind_settings(self, blocks: int) -> None:
        """Per-step scalars as they are without a schedule, for each block."""
        scalars = self.plan.scalars
        if scalars:
            self.bind_scalars({s.buffer.name: s.of(s.setting) for s in scalars}, blocks)

    def bind_scalars(self, given: Mapping[str, Any], batches: int) -> dict[str, Array]:
        """Make and bind the tables of per-step scalars; those of each batch are given by name."""
        kernel_plan, found = self.layout.kernel_plan, {}
        for table, names in (("scalars", kernel_plan.reals), ("words", kernel_plan.words)):
            if not names:
                continue
            dtype = self.dtype if table == "scalars" else DTYPES["word"]
            values = found[table] = np.zeros((batches, len(names)), dtype)
            for column, name in enumerate(names):
                one = np.asarray(given[name])
                values[:, column] = one[:batches] if one.ndim else one
            self.table.bind(table, values)
        return found

"""The compiled executor, as Python sees it: programs, their buffers, and calls without the GIL."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...formulas.optimisers import Optimiser
from ...plan.description import Description
from ...plan.nodes import Gather
from ...plan.step import Plan, forward_plan, logits, training_plan
from .compiled import Compiled, compiled
from .gather import READABLE
from .schedule import schedule
from .single import SingleRow
from .team import Team, available_threads, checked_threads

Array = Any

ALIGNMENT = 64  # bytes: a cache line, and the widest vector
LONGEST_CALL = 0.05  # seconds in native code before Python may look at signals
SLOW = 1e10  # operations a second that any machine manages
ROWS_AT_ONCE = 256  # of a pass that learns nothing: enough to fill tiles, few enough for a cache


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """Zeros that begin on a cache line."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def readable(a: Array) -> Array:
    """``a`` itself if its rows can be gathered in place, else a copy that can.

    In place: native numbers (half precision and the like excepted) whose row is contiguous. The
    distance between rows may be anything, so slices, memory maps and read-only arrays stay.
    """
    a = np.asarray(a)
    if a.ndim == 1:
        a = a[:, None]
    known = a.dtype in READABLE and a.dtype.isnative
    contiguous = a.shape[1] <= 1 or a.strides[1] == a.itemsize
    if known and contiguous:
        return a
    dtype = a.dtype.newbyteorder("=") if a.dtype in READABLE else np.dtype(np.float64)
    return np.ascontiguousarray(a, dtype)


class Runner:
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
        self._fixed = checked_threads(threads)
        slots = code.slots
        self._place = {name: i for i, name in enumerate(slots)}
        self._table = aligned((len(slots),), np.int64)
        self._address = self._table.ctypes.data
        self._held: dict[str, Array] = {}
        self._reserved: tuple[int, tuple[str, ...]] = (0, ())
        self.meeting = self.hold("meeting", aligned((8,), np.int64))
        self.results = self.hold("results", aligned((8,), np.float64))
        widest = max(description.widths) + 64
        self.hold("zeros", aligned((widest,), self.dtype))
        for name, (rows, stride) in code.static.items():
            self.hold(name, aligned((rows, stride), self.dtype))

    def set(self, **numbers: int) -> None:
        """Write numbers into the table."""
        for name, value in numbers.items():
            self._table[self._place[name]] = value

    def hold(self, name: str, a: Array) -> Array:
        """Write the address of an array into the table, and keep the array alive."""
        self._held[name] = a
        self._table[self._place[name]] = a.ctypes.data
        return a

    def drop(self, name: str) -> None:
        """Write a null address."""
        self._held.pop(name, None)
        self._table[self._place[name]] = 0

    def buffer(self, name: str) -> Array:
        """The array that the program knows by this name, without padding."""
        return self._held[name]

    def reserve(self, rows: int, without: tuple[str, ...] = ()) -> None:
        """Make the buffers of a batch of this many rows, but for some."""
        if (rows, without) == self._reserved:
            return
        self._reserved = rows, without
        for name, (stride, dtype) in self.code.batched.items():
            if name not in without:
                self.hold(name, aligned((rows, stride), dtype))
        self.set(**{"x.ld": self.code.batched["x"][0], "x.advance": 0})

    def source(self, name: str, a: Array) -> None:
        """Let the program gather from an array."""
        self.hold(name, a)
        self.set(**{f"{name}.stride": a.strides[0] if len(a) > 1 else 0})

    def load(self, params: Sequence[tuple[Array, Array]]) -> None:
        """Copy parameters in, with their transposed copies."""
        for layer, (w, b) in enumerate(params, 1):
            d, k = w.shape
            self._held[f"w{layer}"][:d, :k] = w
            self._held[f"b{layer}"][0, :k] = b
            copy = self._held.get(f"w{layer}.T")
            if copy is not None:
                copy[:k, :d] = w.T

    def stored(self, prefix: str = "") -> tuple[tuple[Array, Array], ...]:
        """Copies of the parameters, or of arrays of their shapes such as gradients (``"d"``)."""
        return tuple(
            (
                self.part(f"{prefix}w{layer}", (d, k)).copy(),
                self.part(f"{prefix}b{layer}", (k,)).copy(),
            )
            for layer, (d, k) in enumerate(self.description.shapes, 1)
        )

    def part(self, name: str, shape: tuple[int, ...]) -> Array:
        """The view of a buffer without its padding: (d, k) of weights, (k,) of biases."""
        buffer = self._held[name]
        return buffer[: shape[0], : shape[1]] if len(shape) == 2 else buffer[0, : shape[0]]

    def read_in_place(self, x: Array) -> None:
        """Let products read x itself, which has the network's dtype."""
        self.drop("all_x")
        self.hold("x", x)
        stride = x.strides[0] // x.itemsize
        self.set(**{"x.ld": stride, "x.advance": stride})

    def run(self, first: int, last: int, threads: int) -> None:
        """Run batches ``first`` to ``last - 1``."""
        if threads != self.team.threads:
            self.team = Team(threads)
        self.set(first=first, last=last, threads=threads)
        meeting = self.meeting
        meeting[:2] = 0
        call, address = self.code.call, self._address
        self.team.run(lambda thread: call(address, thread), lambda: bool(meeting[1]))

    def pass_over(self, given: Mapping[str, Array], rows: int, outputs: Mapping[str, Array]) -> int:
        """Run all rows once, in blocks that a cache holds; how many blocks.

        ``x`` of the network's dtype is read where it is; everything else is gathered.
        """
        threads = self.threads_for(min(rows, ROWS_AT_ONCE))
        block = min(rows, ROWS_AT_ONCE * threads)
        x = given["x"]
        in_place = x.dtype == self.dtype and x.strides[0] % x.itemsize == 0 <= x.strides[0]
        self.reserve(block, without=("x",) if in_place else ())
        for name, a in given.items():
            self.source(f"all_{name}", a)
        if in_place:
            self.read_in_place(x)
        for name, a in outputs.items():
            self.hold(f"out.{name}", a)
        self.set(rows=rows, batch=block)
        blocks = -(-rows // block)
        some = max(1, int(LONGEST_CALL * SLOW / (self.code.flops * block)))
        for first in range(0, blocks, some):
            self.run(first, min(blocks, first + some), threads)
        return blocks

    def threads_for(self, rows: int) -> int:
        """How many threads a batch of this many rows is worth."""
        return self._fixed or self.code.threads_for(rows, available_threads())


class CompiledTrainer:
    """Trains in machine code; the same interface as `backhand.run.arrays.ArrayTrainer`.

    Parameters
    ----------
    description : Description
    params : sequence of (w, b)
        Where training starts; they are copied.
    optimiser : Optimiser
    seed : int
        Of the dropout noise, 0 to 2**32 - 1.
    threads : int, optional
        How many; by default as many as a step is worth. It never changes a bit of the result.
    """

    def __init__(
        self,
        description: Description,
        params: Sequence[tuple[Array, Array]],
        optimiser: Optimiser,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        self.description, self.optimiser = description, optimiser
        self._seed, self._threads = seed, checked_threads(threads)
        self._plan = training_plan(description, optimiser)
        self._start = params
        self._state: dict[str, Array] = {}
        self._runner: Runner | None = None
        self._kinds: tuple[np.dtype, ...] = ()
        self._pace = 0.0  # seconds a batch, as last measured

    @property
    def params(self) -> tuple[tuple[Array, Array], ...]:
        """The parameters now: a copy, (w, b) for each layer."""
        if self._runner is None:
            return tuple((np.array(w), np.array(b)) for w, b in self._start)
        return self._runner.stored()

    @property
    def state(self) -> dict[str, Array]:
        """The optimiser's arrays by name, such as ``m_w1``, copies; assign them to go on there."""
        shapes = self._state_shapes()
        if self._runner is None:
            return {
                name: np.array(self._state.get(name, np.zeros(shape, self.description.dtype)))
                for name, shape in shapes.items()
            }
        return {name: self._runner.part(name, shape).copy() for name, shape in shapes.items()}

    @state.setter
    def state(self, state: Mapping[str, Array]) -> None:
        if {name: a.shape for name, a in state.items()} != self._state_shapes():
            raise ValueError("the state is that of another network or optimiser")
        self._state = {name: np.array(a) for name, a in state.items()}
        if self._runner is not None:
            self._load_state(self._runner)

    def _load_state(self, runner: Runner) -> None:
        for name, a in self._state.items():
            runner.part(name, a.shape)[...] = a

    def _state_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (d, k) in enumerate(self.description.shapes, 1):
            for kept in self.optimiser.state:
                shapes |= {f"{kept}_w{layer}": (d, k), f"{kept}_b{layer}": (k,)}
        return shapes

    def epoch(
        self,
        x: Array,
        t: Array,
        weight: Array | None,
        order: Array,
        batch: int,
        scalars: Mapping[str, Array],
        l2: Array,
        first_step: int,
    ) -> float:
        """Run the batches of one epoch; see `ArrayTrainer.epoch`."""
        x, t = readable(x), readable(t)
        weight = None if weight is None else readable(weight)
        runner = self._ready(x, t, weight, scalars)
        rows = len(order)
        batch = min(batch, rows)
        batches = -(-rows // batch)
        runner.reserve(batch)
        runner.source("all_x", x)
        runner.source("all_t", t)
        if weight is None:
            runner.drop("all_weight")
            runner.buffer("weight")[:] = 1
        else:
            runner.source("all_weight", weight)
        runner.hold("order", np.ascontiguousarray(order, np.int64))
        given = {**scalars, "l2": l2}
        table = np.empty((batches, len(given)), runner.dtype)
        for column, name in enumerate(runner.code.scalars):
            table[:, column] = given[name]
        runner.set(rows=rows, batch=batch, seed=self._seed)
        runner.results[:2] = 0
        threads = self._threads or runner.code.learners_for(batch, batches, available_threads())
        done = 0
        while done < batches:
            some = max(1, int(LONGEST_CALL / self._pace)) if self._pace else 1
            until = min(batches, done + some)
            runner.hold("scalars", table[done:])
            runner.set(step=(first_step + done) % 2**32)
            start = time.perf_counter()
            runner.run(done, until, threads)
            self._pace = max((time.perf_counter() - start) / (until - done), 1e-9)
            done = until
        return float(runner.results[0] / runner.results[1])

    def _ready(
        self, x: Array, t: Array, weight: Array | None, scalars: Mapping[str, Array]
    ) -> Runner:
        """The runner for data of these dtypes, with the parameters and state of the last one."""
        kinds = (x.dtype, t.dtype, np.dtype(np.float32) if weight is None else weight.dtype)
        if self._runner is None or kinds != self._kinds:
            sources = dict(zip(("all_x", "all_t", "all_weight"), kinds, strict=True))
            arranged = schedule(self._plan, outputs=("value",))
            code = compiled(arranged, sources, (*scalars, "l2"))
            runner = Runner(code, self.description, self._threads)
            if self._runner is None:
                runner.load(self._start)
                self._load_state(runner)
            else:
                for name in code.static:
                    runner.buffer(name)[:] = self._runner.buffer(name)
            self._runner, self._kinds = runner, kinds
        return self._runner


class Forward:
    """Logits of many rows, or of one, by machine code; safe from several threads at once.

    Parameters
    ----------
    description : Description
    params : sequence of (w, b)
        They are copied.
    threads : int, optional
        How many; by default as many as the rows are worth.
    """

    def __init__(
        self,
        description: Description,
        params: Sequence[tuple[Array, Array]],
        threads: int | None = None,
    ) -> None:
        self.description = description
        self._params = tuple((np.array(w), np.array(b)) for w, b in params)
        self._threads = checked_threads(threads)
        self._dtype = np.dtype(description.dtype)
        self._idle: dict[np.dtype, list[Runner]] = {}
        self._one_shape = (1, description.inputs)
        self._one: SingleRow | None = None

    def __call__(self, x: Array) -> Array:
        """The logits (N, outputs) of x (N, inputs)."""
        if type(x) is np.ndarray and x.shape == self._one_shape and x.dtype is self._dtype:
            one = self._one or self._single()
            if one.usable and x.flags.c_contiguous:
                return one(x)
        return self._many(x)

    def _single(self) -> SingleRow:
        self._one = SingleRow(self.description, self._params)
        return self._one

    def _many(self, x: Array) -> Array:
        x = readable(x)
        self.description.check_x(x)
        result = np.empty((len(x), self.description.outputs), self._dtype)
        if len(x) == 0:
            return result
        idle = self._idle.setdefault(x.dtype, [])
        try:  # a runner serves one call at a time; list.pop is atomic
            runner = idle.pop()
        except IndexError:
            runner = self._runner(x.dtype)
        try:
            runner.pass_over({"x": x}, len(x), {logits(self.description): result})
        finally:
            idle.append(runner)
        return result

    def _runner(self, dtype: np.dtype) -> Runner:
        description, out = self.description, logits(self.description)
        gather = Gather("all_x", "x", description.dtype)
        plan = Plan(description, (gather, *forward_plan(description).nodes))
        arranged = schedule(plan, delivered=(out,), continued=True)
        runner = Runner(compiled(arranged, {"all_x": dtype}), description, self._threads)
        runner.load(self._params)
        return runner


def execute(
    plan: Plan,
    params: Sequence[tuple[Array, Array]],
    given: Mapping[str, Array],
    outputs: tuple[str, ...] = (),
    threads: int | None = None,
) -> dict[str, Array]:
    """Run a plan once, with all rows as one batch, in blocks.

    Parameters
    ----------
    plan : Plan
        Without updates.
    params : sequence of (w, b)
    given : dict of str to array
        What the plan reads besides parameters: ``x``, ``t``, ``weight``, or ``dz`` of the logits.
        ``x`` of the network's dtype is read where it is.
    outputs : tuple of str
        Buffers that the caller wants, besides the gradients of parameters.
    threads : int, optional
        How many; by default as many as the rows are worth.

    Returns
    -------
    dict of str to array
        ``outputs``, every ``dw`` and ``db`` of the plan, and ``loss`` if the plan has one.
    """
    description = plan.description
    given = {name: readable(a) for name, a in given.items()}
    indices = ("t",) if description.loss.by_row else ()
    gathers = [
        Gather(f"all_{name}", name, None if name in indices else description.dtype)
        for name in given
    ]
    has_loss = any(getattr(node, "out", "") == "loss" for node in plan.nodes)
    whole = Plan(description, (*gathers, *plan.nodes))
    arranged = schedule(whole, ("value",) if has_loss else (), outputs, continued=True)
    sources = {f"all_{name}": a.dtype for name, a in given.items()}
    runner = Runner(compiled(arranged, sources), description, threads)
    runner.load(params)
    rows = len(given["x"])
    found = {name: np.empty((rows, arranged.shapes[name][1]), runner.dtype) for name in outputs}
    blocks = runner.pass_over(given, rows, found)
    for reduced in arranged.across:
        name = reduced.node.out
        d, k = description.shapes[int(name[2:]) - 1]
        found[name] = runner.part(name, (d, k) if name[1] == "w" else (k,)).copy()
    if has_loss:  # every block has added the weights of all rows
        found["loss"] = runner.results[0] / runner.results[1] * blocks
    return found

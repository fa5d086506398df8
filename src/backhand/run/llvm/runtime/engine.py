"""The compiled executor, as Python sees it: programs, their buffers, and calls without the GIL."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import InputError
from ....formulas.optimisers import Optimiser
from ....plan.description import Description
from ....plan.nodes import Gather
from ....plan.ranges import as_numbers, check_range
from ....plan.step import PLANS_KEPT, Plan, forward_plan, logits, training_plan
from ...namespaces import is_sparse
from .. import tuning
from ..host.team import available_threads, checked_threads
from ..host.thread_tuner import ThreadTuner
from ..host.workers import run_to_end
from ..kernels.cancellation import NONFINITE
from ..program.compiled import compiled
from ..program.kernel_plan import Schedule, schedule
from .instance import Instance, aligned_copy, pooled, readable

if TYPE_CHECKING:
    from .single_row import SingleRow

Array = Any


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
        self._start = description.checked_parameters(params)
        self._state: dict[str, Array] = {}
        self._instance: Instance | None = None
        self._kinds: dict[str, np.dtype] = {}
        self._tuner: ThreadTuner | None = None
        self.lost: tuple[Array, int] | None = None

    @property
    def params(self) -> tuple[tuple[Array, Array], ...]:
        """The parameters now: a copy, (w, b) for each layer."""
        if self._instance is None:
            return tuple((np.array(w), np.array(b)) for w, b in self._start)
        return self._instance.stored()

    @property
    def state(self) -> dict[str, Array]:
        """The optimiser's arrays by name, such as ``m_w1``, copies; assign them to go on there."""
        shapes = self._state_shapes()
        if self._instance is None:
            return {
                name: np.array(self._state.get(name, np.zeros(shape, self.description.dtype)))
                for name, shape in shapes.items()
            }
        return {name: self._instance.get(name, shape) for name, shape in shapes.items()}

    @state.setter
    def state(self, state: Mapping[str, Array]) -> None:
        if {name: a.shape for name, a in state.items()} != self._state_shapes():
            raise InputError("the state is that of another network or optimiser")
        self._state = {name: np.array(a, self.description.dtype) for name, a in state.items()}
        if self._instance is not None:
            self._load(self._instance, self._instance.stored(), self._state)

    @staticmethod
    def _load(
        instance: Instance, params: Sequence[tuple[Array, Array]], state: Mapping[str, Array]
    ) -> None:
        instance.load(params)
        for name, a in state.items():
            instance.put(name, a)

    def _state_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (d, k) in enumerate(self.description.shapes, 1):
            for kept in self.optimiser.state:
                shapes |= {f"{kept}_w{layer}": (d, k), f"{kept}_b{layer}": (k,)}
        return shapes

    def shuffled(self, rows: int, first_step: int) -> Array:
        """The order of an epoch's rows; see `ArrayTrainer.shuffled`."""
        from ..program.shuffle import shuffled  # it also emits code: slow to import

        return shuffled(rows, self._seed, first_step % 2**32)

    def epoch(
        self,
        x: Array,
        t: Array,
        weight: Array | None,
        order: Array,
        batch: int,
        scalars: Mapping[str, Any],
        l2: Array,
        first_step: int,
    ) -> float:
        """Run the batches of one epoch; see `ArrayTrainer.epoch`."""
        sparse = is_sparse(x)
        more = 0
        if sparse:
            from ..kernels.sparse_rows import (  # it also emits code: slow to import
                step_flops,
                stored_entries,
            )

            more = step_flops(x, min(batch, len(order)), self.description.widths[1])
            sources = stored_entries(x)
        else:
            sources = {"all_x": readable(x)}
        sources["all_t"] = readable(t)
        if weight is not None:
            sources["all_weight"] = readable(weight)
        order = np.ascontiguousarray(order)
        instance = self._ready(sources, sparse, scalars)
        rows = len(order)
        batch = min(batch, rows)
        batches = -(-rows // batch)
        work = instance.code.step_work(batch, more)
        if self._threads is None:
            limits = instance.code.training_threads(batch, batches, available_threads, more)
        else:
            limits = self._threads, self._threads
        if self._tuner is None or self._tuner.limits != limits:
            self._tuner = ThreadTuner(*limits, fixed=self._threads is not None)
        seconds = self._tuner.seconds or work / (tuning.SLOWEST_OPERATIONS * limits[0])
        before = (instance.stored(), self.state) if seconds > tuning.LONG_SECONDS else None
        held = instance.attach(sources, order)
        try:
            given = {**scalars, "l2": l2, "clip_norm": self.optimiser.clip_norm, "clip": 1.0}
            table = np.empty((batches, len(instance.code.scalars)), instance.dtype)
            for column, name in enumerate(instance.code.scalars):
                values = np.asarray(given[name])
                table[:, column] = values[:batches] if values.ndim else values
            instance.table.set(batch=batch, seed=self._seed)
            instance.results[:2] = 0
            self.lost = None
            done = 0
            while done < batches:
                threads, some = self._tuner.next()
                until = min(batches, done + some)
                partition_mode = instance.code.partition_mode(batch, threads)
                instance.reserve(batch, ("x",) if sparse else (), threads, partition_mode)
                if weight is None:
                    instance.table["weight"][:] = 1
                instance.table.bind("scalars", table[done:])
                instance.table.set(step=(first_step + done) % 2**32)
                start = time.perf_counter()
                seconds = self._tuner.seconds or work / (tuning.SLOWEST_OPERATIONS * threads)
                try:
                    instance.run(done, until, threads, (until - done) * seconds, bool(before))
                finally:
                    if before and instance.torn:  # back to where the epoch began
                        run_to_end(functools.partial(self._load, instance, *before))
                self._tuner.record(threads, until - done, time.perf_counter() - start)
                done = until
                if instance.stop[NONFINITE]:
                    first = int(instance.stop[NONFINITE + 1])
                    step = (first_step + first // batch) % 2**32
                    self.lost = order[first : first + batch], step
                    return math.nan
        finally:
            instance.table.release(held)
        return float(instance.results[0] / instance.results[1])

    def _ready(
        self, sources: Mapping[str, Array], sparse: bool, scalars: Mapping[str, Any]
    ) -> Instance:
        """The instance for data of these dtypes, with the parameters and state of the last one."""
        kinds = {"all_weight": np.dtype(np.float32)}  # by default: what is not there has no dtype
        kinds |= {name: a.dtype for name, a in sources.items()}
        if self._instance is None or kinds != self._kinds:
            plan = training_plan(self.description, self.optimiser, sparse=sparse)
            names = (*scalars, "l2", *(("clip_norm", "clip") if self.optimiser.clips else ()))
            code = compiled(schedule(plan, outputs=("value",)), kinds, names)
            instance = Instance(code, self.description, self._threads)
            if self._instance is None:
                self._load(instance, self._start, self._state)
            else:
                self._load(instance, self._instance.stored(), self.state)
            self._instance, self._kinds = instance, kinds
        return self._instance


class Forward:
    """Logits of many rows, or of one, by machine code; safe from several threads at once.

    Parameters
    ----------
    description : Description
    params : sequence of (w, b)
        They are copied.
    threads : int, optional
        How many; by default as many as the rows are worth.
    in_place : bool
        Whether the parameters are those of `aligned_copy`, which are not copied again.
    """

    def __init__(
        self,
        description: Description,
        params: Sequence[tuple[Array, Array]],
        threads: int | None = None,
        in_place: bool = False,
    ) -> None:
        self.description = description
        if not in_place:
            params = [
                (aligned_copy(w), aligned_copy(b))
                for w, b in description.checked_parameters(params)
            ]
        description.check_parameters(params)
        self._params = tuple(params)
        self._threads = checked_threads(threads)
        self._dtype = np.dtype(description.dtype)
        self._idle: dict[np.dtype, list[Instance]] = {}
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
        from .single_row import SingleRow  # it also emits code: slow to import

        self._one = SingleRow(self.description, self._params)
        return self._one

    def _many(self, x: Array) -> Array:
        x = as_numbers(x, "x")
        self.description.check_x(x)
        check_range(x, self.description.dtype, "x")
        if len(x) == 1:
            one = self._one or self._single()
            if one.usable:
                return one(np.ascontiguousarray(x, self._dtype))
        x = readable(x)
        result = np.empty((len(x), self.description.outputs), self._dtype)
        if len(x) == 0:
            return result
        idle = self._idle.setdefault(x.dtype, [])
        try:  # an instance serves one call at a time; list.pop is atomic
            instance = idle.pop()
        except IndexError:
            instance = self._instance(x.dtype)
        try:
            instance.run_pass({"x": x}, len(x), {logits(self.description): result})
        finally:
            idle.append(instance)
        return result

    def _instance(self, dtype: np.dtype) -> Instance:
        description, out = self.description, logits(self.description)
        gather = Gather("all_x", "x", description.dtype)
        arranged = _arranged(forward_plan(description), (gather,), (), (out,))
        instance = Instance(compiled(arranged, {"all_x": dtype}), description, self._threads)
        instance.read_parameters(self._params)
        return instance


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
    x = as_numbers(given["x"], "x")
    description.check_x(x)
    check_range(x, description.dtype, "x")
    given = {name: readable(a) for name, a in {**given, "x": x}.items()}
    indices = ("t",) if description.loss.by_row else ()
    gathers = [
        Gather(f"all_{name}", name, None if name in indices else description.dtype)
        for name in given
    ]
    has_loss = any(getattr(node, "out", "") == "loss" for node in plan.nodes)
    arranged = _arranged(plan, tuple(gathers), ("value",) if has_loss else (), outputs)
    sources = {f"all_{name}": a.dtype for name, a in given.items()}
    rows, dtype = len(given["x"]), np.dtype(description.dtype)
    found = {name: np.empty((rows, arranged.shapes[name][1]), dtype) for name in outputs}
    if rows == 0:
        return found
    code = compiled(arranged, sources)
    with pooled(code, description, threads) as instance:
        instance.load(params)
        instance.clear(batch_sum.node.out for batch_sum in arranged.batch_sums)
        blocks = instance.run_pass(given, rows, found)
        for batch_sum in arranged.batch_sums:
            name = batch_sum.node.out
            d, k = description.shapes[int(name[2:]) - 1]
            found[name] = instance.get(name, (d, k) if name[1] == "w" else (k,))
        if has_loss:  # every block has added the weights of all rows
            found["loss"] = instance.results[0] / instance.results[1] * blocks
    return found


@functools.lru_cache(maxsize=PLANS_KEPT)
def _arranged(
    plan: Plan, gathers: tuple[Gather, ...], outputs: tuple[str, ...], copied_out: tuple[str, ...]
) -> Schedule:
    """The schedule of a plan that is run in blocks."""
    whole = Plan(plan.description, (*gathers, *plan.nodes))
    return schedule(whole, outputs, copied_out, accumulates=True)

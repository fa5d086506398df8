"""The compiled executor, as Python sees it: programs, their buffers, and calls without the GIL."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import InputError
from ....formulas.optimisers import Optimiser
from ....plan.description import Description
from ....plan.nodes import Gather, Update
from ....plan.ranges import as_numbers, check_range
from ....plan.step import PLANS_KEPT, Plan, forward_plan, training_plan
from ...namespaces import is_sparse
from .. import tuning
from ..host.team import available_threads, checked_threads, helpers
from ..host.thread_tuner import ThreadTuner
from ..host.workers import run_to_end
from ..kernels.cancellation import NONFINITE
from ..program.compiled import compiled
from ..program.kernel_plan import CLIP_NORM, KernelPlan, plan_kernels
from .instance import Instance, aligned_copy, pooled, readable

if TYPE_CHECKING:
    from .single_row import SingleRow

Array = Any


class CompiledTrainer:
    """Trains in machine code; the same interface as `backhand.run.array_executor.ArrayTrainer`.

    Parameters
    ----------
    description : Description
    params : mapping of str to array
        Where training starts; they are copied.
    optimiser : Optimiser
    seed : int
        Of the dropout noise, 0 to 2**32 - 1.
    threads : int, optional
        How many; by default as many as a step is worth. It never changes a bit of the result.
    scheduled : tuple of str
        Parameters of the loss that are among the per-step scalars, such as "label_smoothing".
    """

    def __init__(
        self,
        description: Description,
        params: Mapping[str, Array],
        optimiser: Optimiser,
        seed: int = 0,
        threads: int | None = None,
        scheduled: tuple[str, ...] = (),
    ) -> None:
        self.description, self.optimiser, self._scheduled = description, optimiser, scheduled
        self._seed, self._threads = seed, checked_threads(threads)
        self._start = description.checked_parameters(params)
        self._state: dict[str, Array] = {}
        self._instance: Instance | None = None
        self._kinds: dict[str, np.dtype] = {}
        self._tuner: ThreadTuner | None = None
        self.nonfinite: tuple[Array, int] | None = None

    @property
    def params(self) -> dict[str, Array]:
        """The parameters now by name: copies."""
        if self._instance is None:
            return {name: np.array(a) for name, a in self._start.items()}
        return self._instance.stored()

    @property
    def state(self) -> dict[str, Array]:
        """The optimiser's arrays by name, such as ``m_w1``, copies; assign them to go on there."""
        if self._instance is not None:
            return {name: self._instance.get(name) for name in self._state_shapes}
        dtype = self.description.dtype
        return {
            name: np.array(self._state.get(name, np.zeros(shape, dtype)))
            for name, shape in self._state_shapes.items()
        }

    @state.setter
    def state(self, state: Mapping[str, Array]) -> None:
        if {name: a.shape for name, a in state.items()} != self._state_shapes:
            raise InputError("the state is that of another network or optimiser")
        self._state = {name: np.array(a, self.description.dtype) for name, a in state.items()}
        if self._instance is not None:
            self._load(self._instance, self._instance.stored(), self._state)

    @staticmethod
    def _load(instance: Instance, params: Mapping[str, Array], state: Mapping[str, Array]) -> None:
        instance.load(params)
        for name, a in state.items():
            instance.put(name, a)

    @functools.cached_property
    def _state_shapes(self) -> dict[str, tuple[int, ...]]:
        nodes = training_plan(self.description, self.optimiser).nodes
        state = [buffer for node in nodes if isinstance(node, Update) for buffer in node.state]
        return {buffer.name: tuple(int(n) for n in buffer.axes) for buffer in state}

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
        first_step: int,
    ) -> float:
        """Run the batches of one epoch; see `ArrayTrainer.epoch`."""
        sparse = is_sparse(x)
        self.description.check_x(x)
        self.description.check_categories(x)
        if sparse:
            from ..kernels.sparse_rows import (  # it also emits code: slow to import
                step_flops,
                stored_entries,
            )

            sources = stored_entries(x)
        else:
            sources = {"all_x": readable(x)}
        sources["all_t"] = readable(t)
        if weight is not None:
            sources["all_weight"] = readable(weight)
        order = np.ascontiguousarray(order)
        instance = self._ready(sources, sparse)
        rows = len(order)
        batch = min(batch, rows)
        more = step_flops(x, batch, instance.code.sparse_columns) if sparse else 0
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
            clip = instance.layout.kernel_plan.clip
            limit = {CLIP_NORM: self.optimiser.clip_norm, clip.out.name: 1.0} if clip else {}
            tables = instance.bind_scalars({**scalars, **limit}, batches)
            instance.table.set(batch=batch, seed=self._seed)
            instance.results[:2] = 0
            self.nonfinite = None
            done = 0
            while done < batches:
                threads, some = self._tuner.next(self._threads or available_threads(helpers()))
                until = min(batches, done + some)
                partition_mode = instance.code.partition_mode(batch, threads)
                absent = (instance.plan.x.name,) if sparse else ()
                instance.reserve(batch, absent, threads, partition_mode)
                if weight is None:
                    instance.table[instance.plan.weight.name][:] = 1
                for name, values in tables.items():
                    instance.table.bind(name, values[done:])
                instance.table.set(step=(first_step + done) % 2**32)
                start = time.perf_counter()
                seconds = self._tuner.seconds or work / (tuning.SLOWEST_OPERATIONS * threads)
                try:
                    instance.run(done, until, threads, (until - done) * seconds, bool(before))
                finally:
                    if before and instance.partially_updated:  # back to where the epoch began
                        run_to_end(functools.partial(self._load, instance, *before))
                self._tuner.record(threads, until - done, time.perf_counter() - start)
                done = until
                if instance.stop[NONFINITE]:
                    first = int(instance.stop[NONFINITE + 1])
                    step = (first_step + first // batch) % 2**32
                    self.nonfinite = order[first : first + batch], step
                    return math.nan
        finally:
            instance.table.release(held)
        return float(instance.results[0] / instance.results[1])

    def _ready(self, sources: Mapping[str, Array], sparse: bool) -> Instance:
        """The instance for data of these dtypes, with the parameters and state of the last one."""
        kinds = {"all_weight": np.dtype(np.float32)}  # by default: what is not there has no dtype
        kinds |= {name: a.dtype for name, a in sources.items()}
        if self._instance is None or kinds != self._kinds:
            kernels = _training_kernels(self.description, self.optimiser, sparse, self._scheduled)
            instance = Instance(compiled(kernels, kinds), self._threads)
            if self._instance is None:
                self._load(instance, self._start, self._state)
            else:
                self._load(instance, self._instance.stored(), self.state)
            self._instance, self._kinds = instance, kinds
        return self._instance


@functools.lru_cache(maxsize=PLANS_KEPT)
def _training_kernels(
    description: Description, optimiser: Optimiser, sparse: bool, scheduled: tuple[str, ...]
) -> KernelPlan:
    plan = training_plan(description, optimiser, sparse=sparse, scheduled=scheduled)
    return plan_kernels(plan)


class Forward:
    """Logits of many rows, or of one, by machine code; safe from several threads at once.

    Parameters
    ----------
    description : Description
    params : mapping of str to array
        They are copied.
    threads : int, optional
        How many; by default as many as the rows are worth.
    in_place : bool
        Whether the parameters are those of `aligned_copy`, which are not copied again.
    """

    def __init__(
        self,
        description: Description,
        params: Mapping[str, Array],
        threads: int | None = None,
        in_place: bool = False,
    ) -> None:
        self.description = description
        if not in_place:
            params = {
                name: aligned_copy(a) for name, a in description.checked_parameters(params).items()
            }
        description.check_parameters(params)
        self._params = dict(params)
        self._threads = checked_threads(threads)
        self._dtype = np.dtype(description.dtype)
        self._idle: dict[np.dtype, list[Instance]] = {}
        self._one_shape = (1, description.inputs)
        if description.categories:  # which are looked at first
            self._one_shape = (0, 0)
        self._one: SingleRow | None = None
        self._plan = forward_plan(description)
        self._row_shape = tuple(int(n) for n in self._plan.logits.axes[1:])

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
        self.description.check_categories(x)
        if len(x) == 1:
            one = self._one or self._single()
            if one.usable:
                return one(np.ascontiguousarray(x, self._dtype))
        x = readable(x)
        plan, top = self._plan, self._plan.logits
        result = np.empty((len(x), top.members * top.width), self._dtype)
        shape = (len(x), *self._row_shape)
        if len(x) == 0:
            return result.reshape(shape)
        idle = self._idle.setdefault(x.dtype, [])
        try:  # an instance serves one call at a time; list.pop is atomic
            instance = idle.pop()
        except IndexError:
            instance = self._instance(x.dtype)
        try:
            instance.run_pass({plan.x.name: x}, len(x), {top.name: result})
        finally:
            idle.append(instance)
        return result.reshape(shape)

    def _instance(self, dtype: np.dtype) -> Instance:
        plan = self._plan
        kernel_plan = _plan_in_blocks(plan, (plan.x.name,), (plan.logits.name,))
        instance = Instance(compiled(kernel_plan, {f"all_{plan.x.name}": dtype}), self._threads)
        instance.read_parameters(self._params)
        return instance


def execute(
    plan: Plan,
    params: Mapping[str, Array],
    given: Mapping[str, Array],
    outputs: tuple[str, ...] = (),
    threads: int | None = None,
) -> dict[str, Array]:
    """Run a plan once, with all rows as one batch, in blocks.

    Parameters
    ----------
    plan : Plan
        Without updates. Per-step scalars have the values of their settings.
    params : mapping of str to array
    given : dict of str to array
        What the plan reads besides parameters: ``x``, ``t``, ``weight``, or the gradient of the
        logits. ``x`` of the network's dtype is read where it is, if only products read it.
    outputs : tuple of str
        Labels of buffers that the caller wants, besides the gradients of parameters.
    threads : int, optional
        How many; by default as many as the rows are worth.

    Returns
    -------
    dict of str to array
        ``outputs``, the gradient of every parameter by its label, and the loss if there is one.
    """
    description = plan.description
    x = as_numbers(given["x"], "x")
    description.check_x(x)
    check_range(x, description.dtype, "x")
    description.check_categories(x)
    buffers = plan.buffers
    rows, dtype = len(x), np.dtype(description.dtype)
    given = {**given, "x": x}
    shapes = {name: (rows, *map(int, buffers[name].axes[1:])) for name in outputs}
    if rows == 0:
        return {name: np.empty(shape, dtype) for name, shape in shapes.items()}
    read = {name: a for name, a in given.items() if name in buffers}
    flat = {n: readable(a if a.ndim < 3 else a.reshape(len(a), -1)) for n, a in read.items()}
    kernel_plan = _plan_in_blocks(plan, tuple(flat), outputs)
    found = {name: np.empty((rows, math.prod(shape[1:])), dtype) for name, shape in shapes.items()}
    sources = {f"all_{name}": a.dtype for name, a in flat.items()}
    with pooled(compiled(kernel_plan, sources), threads) as instance:
        instance.load(params)
        blocks = instance.run_pass(flat, rows, found)
        found = {name: a.reshape(shapes[name]) for name, a in found.items()}
        for _, gradient in plan.gradients:
            found[gradient.name] = instance.get(gradient.name)
        if plan.loss:  # every block has added the weights of all rows
            found[plan.loss.name] = instance.results[0] / instance.results[1] * blocks
    return found


@functools.lru_cache(maxsize=PLANS_KEPT)
def _plan_in_blocks(plan: Plan, given: tuple[str, ...], copied_out: tuple[str, ...]) -> KernelPlan:
    """The kernel plan of a plan that is run in blocks."""
    buffers = plan.buffers
    gathers = (Gather(f"all_{name}", buffers[name]) for name in given)
    whole = dataclasses.replace(plan, nodes=(*gathers, *plan.nodes))
    out = [buffers[name] for name in copied_out]
    return plan_kernels(whole, copied_out=out, accumulates=True)

"""The array executor as one of the executors: it trains and predicts by walking plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import InputError
from ..formulas import noise
from ..formulas.optimisers import Optimiser
from ..plan.description import Description
from ..plan.nodes import Update
from ..plan.ranges import as_numbers, check_range
from ..plan.scalars import at_step
from ..plan.step import Plan, training_plan
from .arrays import all_values, walk
from .executor import Executor, Params, Trainer
from .namespaces import NUMPY, check_rows, is_sparse, is_tensor, namespace_of, stored_rows

Array = Any
Buffers = dict[str, Any]


class ArrayTrainer:
    """Trains with NumPy: parameters and optimiser state, and a method that runs an epoch.

    Parameters
    ----------
    description : Description
        The network.
    params : mapping of str to array
        Where training starts; they are copied.
    optimiser : Optimiser
        The update rule.
    seed : int
        Of the dropout noise, 0 to 2**32 - 1.
    threads : int, optional
        Has no effect: how many threads a product of NumPy uses is settled by its BLAS library.
    scheduled : tuple of str
        Parameters of the loss that are among the per-step scalars, such as "label_smoothing".
    """

    def __init__(
        self,
        description: Description,
        params: Params,
        optimiser: Optimiser,
        seed: int = 0,
        threads: int | None = None,
        scheduled: tuple[str, ...] = (),
    ) -> None:
        self.description = description
        self.plan = training_plan(description, optimiser, scheduled=scheduled)
        updates = [node for node in self.plan.nodes if isinstance(node, Update)]
        self._state = [buffer.name for node in updates for buffer in node.state]
        self._params = list(description.shapes)
        self._at: Buffers = {
            name: np.array(a, description.dtype)
            for name, a in description.checked_parameters(params).items()
        }
        for node in updates:
            for buffer in node.state:
                self._at[buffer.name] = np.zeros_like(self._at[node.parameter.name])
        self._at["seed"], self._at["clip_norm"] = seed, optimiser.clip_norm
        self._at["dtype"] = description.dtype
        self._keep = [*self._at]
        self.nonfinite: tuple[Array, int] | None = None

    @property
    def params(self) -> Buffers:
        """The parameters now by name: copies."""
        return {name: self._at[name].copy() for name in self._params}

    @property
    def state(self) -> Buffers:
        """The optimiser's arrays by name, such as ``m_w1``, copies; assign them to go on there."""
        return {name: self._at[name].copy() for name in self._state}

    @state.setter
    def state(self, state: Mapping[str, Array]) -> None:
        mine = {name: self._at[name].shape for name in self._state}
        if mine != {name: a.shape for name, a in state.items()}:
            raise InputError("the state is that of another network or optimiser")
        for name, value in state.items():
            self._at[name] = np.array(value, self.description.dtype)

    def shuffled(self, rows: int, first_step: int) -> Array:
        """The numbers 0 .. rows - 1 in an order that depends on the seed and the epoch.

        Parameters
        ----------
        rows : int
            At most 2**32.
        first_step : int
            How many steps came before.
        """
        seed, step = self._at["seed"], first_step % 2**32
        key = noise.layer_key(NUMPY, *(NUMPY.words(value) for value in (seed, step, 0)))
        places = np.arange(rows - 1, 0, -1)
        picked = noise.pick(NUMPY, key, NUMPY.words(places), NUMPY.words(places + 1))
        order = list(range(rows))
        for here, there in zip(places.tolist(), picked.tolist(), strict=True):
            order[here], order[there] = order[there], order[here]
        return np.array(order, np.int64)

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
        """Run the batches of one epoch; return the mean loss over its rows, by weight.

        A batch whose loss is not finite ends it before the update: ``nonfinite`` are then its rows
        and the number of its step, else None, and what is returned is not finite.

        Parameters
        ----------
        x, t, weight : array
            All rows, (rows, D), (rows, K) or (rows, 1), and (rows, 1) or None; x may be in CSR
            format, in order and without duplicates. A batch whose weights are all zero is passed
            over.
        order : (rows used,) int64
            Which rows, in which order.
        batch : int
            Rows of a batch; the last one may be smaller.
        scalars : mapping of str to array, one element a step, or number
            What `backhand.plan.scalars.step_scalars` gives.
        first_step : int
            How many steps came before, for the noise.
        """
        description, self.nonfinite = self.description, None
        if is_sparse(x):
            x = stored_rows(x)  # a look at its indices, which SciPy follows wherever they point
        description.check_x(x)
        description.check_categories(x)
        counts = {"x": x.shape[0], "t": len(t)}
        check_rows(counts if weight is None else {**counts, "weight": len(weight)}, order)
        if weight is None:
            weight = np.broadcast_to(np.ones((), description.dtype), (x.shape[0], 1))
        loss_sum = weight_sum = 0.0
        for number, first in enumerate(range(0, len(order), batch)):
            rows = order[first : first + batch]
            if not weight[rows].any():  # no row counts: there is no mean to take, and no step
                continue
            at = {name: self._at[name] for name in self._keep}
            at.update(all_x=x, all_t=t, all_weight=weight, order=rows)
            at["step"] = (first_step + number) % 2**32
            at |= at_step(scalars, number)
            at = walk(self.plan, at)
            if not np.isfinite(at["loss"]):
                self.nonfinite = rows, at["step"]
                return float(at["loss"])
            self._at = {name: at[name] for name in self._keep}  # at once, for Ctrl-C
            counted = float(at["weight"].sum())
            loss_sum += float(at["loss"]) * counted
            weight_sum += counted
        return loss_sum / weight_sum


def as_real(a: Array, dtype: str, name: str) -> Array:
    """Numbers in a network's dtype. Raises InputError for what is none, or beyond it."""
    if is_tensor(a):
        check_range(a.detach().cpu().numpy(), dtype, name)
        return namespace_of(a).cast(a, dtype)
    a = stored_rows(a) if is_sparse(a) else as_numbers(a, name)
    check_range(a, dtype, name)
    return a.astype(dtype, copy=False)


class ArrayExecutor:
    """Runs plans with NumPy, or with PyTorch where x is a tensor; see `Executor`."""

    native = False

    def check_available(self) -> None:
        """It always is."""

    def reads(self, x: Array) -> bool:
        return True

    def run(
        self,
        plan: Plan,
        params: Params,
        given: Mapping[str, Array],
        outputs: tuple[str, ...] = (),
    ) -> dict[str, Array]:
        x = as_real(given["x"], plan.description.dtype, "x")
        plan.description.check_x(x)
        plan.description.check_categories(x)
        values = all_values(plan, {**given, "x": x, **params}, namespace_of(x))
        columns = {name: values[plan.buffers[name]] for name in outputs if name not in values.at}
        return values.at | columns

    def trainer(
        self,
        description: Description,
        params: Params,
        optimiser: Optimiser,
        seed: int = 0,
        threads: int | None = None,
        scheduled: tuple[str, ...] = (),
    ) -> Trainer:
        return ArrayTrainer(description, params, optimiser, seed, threads, scheduled)

    def parameter_copy(self, a: Array) -> Array:
        return np.array(a)

    def predictor(
        self,
        description: Description,
        params: Params,
        threads: int | None = None,
        in_place: bool = False,
    ) -> Callable[[Array], Array] | None:
        return None


EXECUTOR: Executor = ArrayExecutor()

"""Stochastic descent that can be taken up again, with scikit-learn's update rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engines import executor
from ..errors import InputError
from ..formulas.optimisers import OPTIMISERS, Optimiser, choose_optimiser, clipping
from ..formulas.schedules import Schedule
from ..network import Layer, Network
from ..rows import EVALUATED_AT_ONCE
from ..run.executor import Trainer
from ..training import step_scalars
from .parameters import SKLEARN_SOLVERS

Array = Any
Params = Sequence[tuple[Array, Array]]

SMALLEST_RATE = 1e-6
"""Where ``learning_rate="adaptive"`` gives up."""


def optimiser_of(estimator: Any) -> Optimiser:
    """The update rule that an estimator's parameters ask for."""
    rule = _rule_of(estimator)
    return rule if estimator.clip_norm is None else clipping(rule, estimator.clip_norm)


def _rule_of(estimator: Any) -> Optimiser:
    solver = estimator.solver
    if solver not in SKLEARN_SOLVERS:
        return choose_optimiser(solver)
    if solver == "sgd":
        return _sgd_of(estimator)
    adam = OPTIMISERS["adam_epsilon_hat" if solver == "adam" else solver].with_(
        beta1=float(estimator.beta_1),
        beta2=float(estimator.beta_2),
        epsilon=float(estimator.epsilon),
    )
    return adam if solver == "adam" else adam.with_(weight_decay=float(estimator.weight_decay))


def _sgd_of(estimator: Any) -> Optimiser:
    if estimator.momentum == 0:
        return OPTIMISERS["sgd"]
    rule = "nesterov" if estimator.nesterovs_momentum else "momentum"
    return OPTIMISERS[f"{rule}_rate_inside"].with_(momentum=float(estimator.momentum))


class Data(NamedTuple):
    """Rows to learn from: X dense or CSR, t (N, K) or (N, 1), weight (N, 1) or None."""

    x: Array
    t: Array
    weight: Array | None

    def take(self, rows: Array) -> Data:
        """Some rows, copied."""
        weight = None if self.weight is None else self.weight[rows]
        return Data(self.x[rows], self.t[rows], weight)


@dataclasses.dataclass
class Descent:
    """Stochastic descent, epoch by epoch; a copy or a pickle goes on where the original was.

    Parameters
    ----------
    optimiser : Optimiser
    schedule : Schedule
    rate : float
        The learning rate now, which the schedule scales.
    engine : str
        Which executor.
    seed : int
        Of the dropout noise.
    threads : int or None
        How many threads machine code may use; see `backhand.Settings`.
    step : int
        How many steps came before.
    state : dict of str to array
        The optimiser's arrays while there is no trainer to hold them.
    trainer : Trainer or None
        What trains, from `start_at` to `rest`; for ``network``.
    latest : parameters or None
        Where the trainer is, if that has been asked for since it last moved.
    penalised : float or None
        The sum of the squared weights there.
    """

    optimiser: Optimiser
    schedule: Schedule
    rate: float
    engine: str
    seed: int
    threads: int | None = None
    step: int = 0
    state: dict[str, Array] = dataclasses.field(default_factory=dict)
    trainer: Trainer | None = None
    network: Network | None = None
    latest: Params | None = None
    penalised: float | None = None

    def __getstate__(self) -> dict[str, Any]:
        nothing = dict.fromkeys(("trainer", "network", "latest", "penalised"))
        state = self.state if self.trainer is None else self.trainer.state
        return {**self.__dict__, **nothing, "state": state}  # executors cannot be copied

    def branch(self, engine: str, threads: int | None) -> Descent:
        """A descent that goes on from here and takes the trainer along.

        This one keeps a copy of the optimiser's arrays, and can be gone on from again.
        """
        other = dataclasses.replace(self, engine=engine, threads=threads)
        if self.trainer is not None:
            self.state = self.trainer.state
            if (engine, threads) != (self.engine, self.threads):
                other.trainer, other.state = None, self.state
            self.trainer = self.network = self.latest = self.penalised = None
        return other

    @property
    def params(self) -> tuple[Layer, ...]:
        """The parameters now, copies."""
        if self.trainer is not None:
            return tuple(Layer(w, b) for w, b in self.trainer.params)
        return tuple(Layer(np.array(w), np.array(b)) for w, b in self.latest or ())

    @property
    def lost(self) -> tuple[Array, int] | None:
        """The batch at whose loss, which was not finite, the last epoch ended, and its step."""
        return None if self.trainer is None else self.trainer.lost

    def start_at(self, network: Network, params: Params) -> None:
        """Go on from these parameters with the optimiser's state as it is."""
        if self.trainer is not None:
            if network == self.network and _same(self.final(), params):
                return
            self.state = self.trainer.state
        network.check_parameters(params)
        self.trainer = executor(self.engine).trainer(
            network, params, self.optimiser, self.seed, self.threads
        )
        self.network = network
        self.latest = self.penalised = None
        if self.state:
            self.trainer.state = {
                name: a.astype(network.dtype, copy=False) for name, a in self.state.items()
            }

    def final(self) -> Params:
        """The parameters now, for reading: not to be written to."""
        if self.latest is None:
            self.latest = self.params
        return self.latest

    def rest(self) -> None:
        """Let go of the trainer and all that it holds; parameters and state stay."""
        if self.trainer is not None:
            self.latest, self.state = self.final(), self.trainer.state
            self.trainer = self.network = self.penalised = None

    def epoch(
        self, data: Data, order: Array, batch: int, alpha: float, total: int
    ) -> tuple[float, float]:
        """Train on the rows of ``order`` once.

        Parameters
        ----------
        data : Data
        order : (rows,) int64
            Which rows, in which order.
        batch : int
            Rows a step.
        alpha : float
            L2 penalty, divided by the weight of each batch.
        total : int
            Steps of the whole training, for schedules.

        Returns
        -------
        loss, penalty : float
            Means over the epoch's batches by weight.
        """
        firsts = np.arange(0, len(order), batch)
        if data.weight is None:
            sizes = np.minimum(batch, len(order) - firsts).astype(float)
        else:
            sizes = np.add.reduceat(data.weight[order, 0].astype(float), firsts)
        steps = np.arange(self.step, self.step + len(firsts), dtype=float)
        scalars, _ = step_scalars(self.optimiser, self.schedule, self.rate, steps, total)
        assert self.trainer is not None
        assert self.network is not None
        strength = strengths(alpha, sizes, self.network.dtype)
        if alpha > 0 and self.penalised is None:
            self.penalised = squares(self.final())
        self.latest = None
        loss = self.trainer.epoch(*data, order, batch, scalars, strength, self.step)
        self.step += len(firsts)
        if alpha == 0:
            return loss, 0.0
        # The penalty is wanted before each step, and the squares are known at both ends of the
        # epoch: a straight line between them. For a single step that is exact.
        before, self.penalised = self.penalised or 0.0, squares(self.final())
        progress = (len(firsts) - 1) / (2 * len(firsts))
        mean = before + (self.penalised - before) * progress
        return loss, 0.5 * alpha * mean * len(firsts) / float(sizes.sum())


def strengths(alpha: float, sizes: Array, dtype: str) -> Array:
    """The L2 penalty divided by the weight of each batch. Raises InputError beyond the dtype."""
    with np.errstate(over="ignore"):
        found = alpha / sizes
    if not found.max() <= np.finfo(dtype).max:
        raise InputError(
            f"alpha divided by the weight of a batch, {alpha:.3g} / {sizes.min():.3g}, is "
            "beyond what the network's dtype holds: set alpha=0, or scale sample_weight up"
        )
    return found


def _same(a: Params, b: Params) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(w1, w2) and np.array_equal(b1, b2)
        for (w1, b1), (w2, b2) in zip(a, b, strict=True)
    )


def squares(params: Params) -> float:
    """The sum of all squared weights; biases are not penalised."""
    # not np.vdot: the order of the BLAS depends on its threads
    return float(sum(np.einsum("ij,ij->", w, w) for w, _ in params))


def parts(x: Array) -> Iterator[tuple[slice, Array]]:
    """Parts of the rows of x, dense or CSR, small enough to bound what is computed from them."""
    for first in range(0, x.shape[0], EVALUATED_AT_ONCE):
        some = slice(first, first + EVALUATED_AT_ONCE)
        yield some, x[some]

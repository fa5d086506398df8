"""Stochastic descent that can be taken up again, with scikit-learn's update rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..formulas.optimisers import OPTIMISERS, Optimiser, clipping
from ..formulas.schedules import Schedule
from ..network import Layer, Network
from ..training import ENGINES, EVALUATED_AT_ONCE, Trainer, step_scalars

Array = Any
Params = Sequence[tuple[Array, Array]]

SMALLEST_RATE = 1e-6
"""Where ``learning_rate="adaptive"`` gives up."""


def optimiser_of(estimator: Any) -> Optimiser:
    """The update rule that an estimator's parameters ask for."""
    rule = _rule_of(estimator)
    return rule if estimator.clip_norm is None else clipping(rule, estimator.clip_norm)


def _rule_of(estimator: Any) -> Optimiser:
    if estimator.solver == "adam":
        return OPTIMISERS["adam_epsilon_hat"].with_(
            beta1=float(estimator.beta_1),
            beta2=float(estimator.beta_2),
            epsilon=float(estimator.epsilon),
        )
    if estimator.solver == "adamw":
        return OPTIMISERS["adamw"].with_(
            beta1=float(estimator.beta_1),
            beta2=float(estimator.beta_2),
            epsilon=float(estimator.epsilon),
            weight_decay=float(estimator.weight_decay),
        )
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
    penalised: float | None = None

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self.trainer is not None:  # executors hold what cannot be copied
            state.update(trainer=None, state=self.trainer.state, penalised=None)
        return state

    @property
    def params(self) -> tuple[Layer, ...]:
        """The parameters now, copies."""
        assert self.trainer is not None
        return tuple(Layer(w, b) for w, b in self.trainer.params)

    @property
    def lost(self) -> bool:
        """Whether the last epoch ended at a loss that is not finite."""
        return self.trainer is not None and self.trainer.lost is not None

    def start_at(self, network: Network, params: Params) -> None:
        """Go on from these parameters with the optimiser's state as it is."""
        if self.trainer is not None:
            if _same(self.trainer.params, params):
                return
            self.state = self.trainer.state
        network.check_parameters(params)
        self.trainer = ENGINES[self.engine](
            network, params, self.optimiser, self.seed, self.threads
        )
        self.penalised = None
        if self.state:
            self.trainer.state = self.state

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
        if alpha > 0 and self.penalised is None:
            self.penalised = squares(self.params)
        assert self.trainer is not None
        loss = self.trainer.epoch(*data, order, batch, scalars, alpha / sizes, self.step)
        self.step += len(firsts)
        if alpha == 0:
            return loss, 0.0
        # The penalty is wanted before each step, and the squares are known at both ends of the
        # epoch: a straight line between them. For a single step that is exact.
        before, self.penalised = self.penalised or 0.0, squares(self.params)
        progress = (len(firsts) - 1) / (2 * len(firsts))
        mean = before + (self.penalised - before) * progress
        return loss, 0.5 * alpha * mean * len(firsts) / float(sizes.sum())


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

"""The one loop of epochs, and what follows each of them."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..engines import executor
from ..errors import InputError
from ..formulas.schedules import Schedule
from ..network import Network, Params
from ..plan.scalars import L2, at_step, step_scalars
from ..plan.step import Plan, training_plan
from ..run.arrays import first_nonfinite
from ..run.executor import Trainer
from .blocks import Blocks
from .callbacks import Callback, Progress, entered, notify
from .checkpoint import Checkpoint
from .config import TrainConfig
from .evaluate import Evaluation
from .lbfgs import Minimum, minimise, penalised_first, squares
from .penalty import Penalty, divided
from .result import check_finite
from .rows import CheckedRows, Rows, checked
from .state import Epoch, Part, TrainState
from .stopping import Patience

Array = Any

SAMPLED_STEPS = 1001
"""Steps of a training at which schedules are looked at before it begins."""


class TrainLoop:
    """A training that goes epoch by epoch, and can be taken up again.

    Parameters
    ----------
    network : Network
    params : mapping of str to array
        Where it starts; they are not changed.
    config : TrainConfig
    rows : int
        Training rows of an epoch, from which schedules know the number of steps.
    state : TrainState, optional
        Where an earlier training of the network stood, but for ``params``.
    trainer : Trainer, optional
        One that has just these parameters and this state.
    penalty : Penalty, optional

    Attributes
    ----------
    state : TrainState
        After the last epoch that left it whole, see `AfterEpoch`, or before the first.
    step, done : int
        Steps and epochs so far.
    best : Best
        The best epoch so far.
    learning_rate : float
        What the schedule scales; it may be changed between epochs.
    rate : float
        The learning rate of the last step.
    nonfinite : str or None
        Where the first value was that is not finite, if that ended the last epoch.
    after_block : callable
        Called after each block of rows, when ``state`` is that after the block.
    """

    def __init__(
        self,
        network: Network,
        params: Params,
        config: TrainConfig,
        rows: int,
        *,
        state: TrainState | None = None,
        trainer: Trainer | None = None,
        penalty: Penalty | None = None,
    ) -> None:
        self.network, self.config = network, config
        self.state = TrainState.at_start(params, config) if state is None else state
        self._optimiser = self.state.optimiser
        self._seed, self._penalty = self.state.seed, penalty
        self._steps = config.epochs * math.ceil(rows / config.batch_size)
        self._check_schedules()
        self._trainer = trainer
        if trainer is None and self._optimiser is not None:
            self._trainer = self._new_trainer(params)
        self.step, self.learning_rate = self.state.step, self.state.learning_rate
        self.done, self.best = self.state.epoch, self.state.best
        self.nonfinite: str | None = None
        self.after_block: Callable[[], None] = lambda: None
        self.minimum: Minimum | None = None
        self._begun = self.state
        self._latest: Params | None = None if self._trainer else self.state.params
        self._squares: float | None = None
        self.rate = self.learning_rate

    def _new_trainer(self, params: Params) -> Trainer:
        config, dtype = self.config, self.network.dtype
        assert self._optimiser is not None
        trainer = executor(config.engine).trainer(
            self.network,
            params,
            self._optimiser,
            self._seed,
            config.threads,
            scheduled=self._scheduled,
        )
        if self.state.arrays:
            arrays = self.state.arrays.items()
            trainer.state = {name: a.astype(dtype, copy=False) for name, a in arrays}
        return trainer

    @property
    def params(self) -> Params:
        """The parameters now, a copy."""
        if self._trainer is not None:
            return dict(self._trainer.params)
        return {name: np.array(a) for name, a in (self._latest or {}).items()}

    def latest(self) -> Params:
        """The parameters now, for reading: not to be written to."""
        if self._latest is None:
            self._latest = self.params
        return self._latest

    @property
    def resumable(self) -> TrainState:
        """The state to continue from. L-BFGS starts again: SciPy keeps what it knows to itself."""
        return self._begun if self._optimiser is None else self.state

    def snapshot(self, **changes: Any) -> TrainState:
        """All that is needed to continue from here."""
        now = {"step": self.step, "learning_rate": self.learning_rate, "part": Part()}
        changes = {**now, "epoch": self.done, "best": self.best, **changes}
        if self._trainer is not None:
            changes = {"params": self.latest(), "arrays": self._trainer.state, **changes}
        return dataclasses.replace(self.state, **changes)

    def close(self) -> Trainer | None:
        """Let go of the trainer and all that it holds; the parameters stay."""
        self.latest()
        trainer, self._trainer = self._trainer, None
        return trainer

    @np.errstate(over="ignore", invalid="ignore")  # DivergedError tells it, and where
    def epoch(self, rows: Rows | Blocks, order: Array | None = None) -> float:
        """Train on all rows once; return the mean loss.

        A loss that is not finite ends the epoch before the update; ``nonfinite`` then tells where
        it came from.

        Parameters
        ----------
        rows : Rows or Blocks
        order : (rows used,) int64, optional
            Which rows, in which order. By default all, in an order that follows from the seed.
        """
        if not isinstance(rows, Blocks):
            return self._train(checked(self.network, rows, "training"), order)
        if rows.elsewhere:
            return rows.train(self, self._trainer)
        config = self.config
        done = self.state.part.blocks
        begin = rows.epoch(
            self.done, self._seed, config.batch_size, shuffle=config.shuffle, done=done
        )
        with begin as blocks:
            for number, block in enumerate(blocks, start=done + 1):
                block = checked(self.network, block, "training")
                loss = self._train(block, None)
                if self.nonfinite:
                    return loss
                weight = len(block) if block.weight is None else float(block.weight.sum())
                self.after_part(number, loss, weight)
        return self.state.part.loss

    def after_part(self, number: int, loss: float, weight: float) -> None:
        """Keep the state after a part of an epoch with its mean loss and the weight of its rows."""
        self._latest = self._squares = None
        _, mean, total = self.state.part
        total += weight
        mean += (loss - mean) * (weight / total)
        self.state = self.snapshot(part=Part(number, mean, total))
        self.after_block()

    def _train(self, rows: CheckedRows, order: Array | None) -> float:
        """Train on rows once; as `epoch`."""
        assert self._trainer is not None
        assert self._optimiser is not None
        config, count = self.config, rows.x.shape[0]
        if order is None and config.shuffle:
            order = self._trainer.shuffled(count, self.step)
        elif order is None:
            order = np.arange(count)
        firsts = np.arange(0, len(order), config.batch_size)
        steps = np.arange(self.step, self.step + len(firsts), dtype=float)
        rates = self.learning_rate * self._factor(self.state.schedule, steps)
        weights = None if self._penalty is None else self._weights(rows, order, firsts)
        factors = self._factors(steps)
        scalars = step_scalars(
            self._plan, self._optimiser, steps, rates, l2=config.l2, factors=factors
        )
        if weights is not None:
            scalars[L2] = self._l2(weights)
        before = self._squared() if self._penalised else 0.0
        self._latest = self._squares = None
        given = rows.x, rows.t, rows.weight
        loss = self._trainer.epoch(*given, order, config.batch_size, scalars, self.step)
        self.nonfinite = self._where_nonfinite(rows, scalars)
        self.step += len(firsts)
        self.rate = float(rates[-1])
        if self._penalty is None or weights is None:
            return loss
        loss /= self._penalty.averaged
        if not self._penalised:
            return loss
        # The penalty is wanted before each step, and the squares are known at both ends of the
        # epoch: a straight line between them. For a single step that is exact.
        progress = (len(firsts) - 1) / (2 * len(firsts))
        mean = before + (self._squared() - before) * progress
        return loss + 0.5 * self._penalty.alpha * mean * len(firsts) / float(weights.sum())

    def _factor(self, schedule: Schedule, steps: Array) -> Array:
        """What a schedule makes of some steps."""
        return schedule.factor(np, steps, self._steps, **schedule.keywords)

    def _factors(self, steps: Array) -> dict[str, Array]:
        """What settings besides the learning rate are multiplied by. Raises InputError over 1."""
        found = {}
        for name, schedule in self.state.schedules.items():
            found[name] = factor = self._factor(schedule, steps)
            bad = ~((factor >= 0) & (factor <= 1))
            if bad.any():
                place = int(bad.argmax())
                raise InputError(
                    f"schedules[{name!r}]={schedule.spec!r} multiplies by {factor[place]:g} in "
                    f"step {steps[place]:,.0f}: factors of {name} must be 0 to 1"
                )
        return found

    def _check_schedules(self) -> None:
        """Raise InputError if the network has nothing to schedule, or for a factor over 1."""
        self._factors(np.linspace(0.0, max(self._steps - 1, 0), SAMPLED_STEPS).round())
        loss, name = self.network.loss, "label_smoothing"
        if name in self.state.schedules and name not in self._scheduled:
            raise InputError(
                f"schedules[{name!r}] needs a loss with {name}, such as 'smoothed_cross_entropy', "
                f"got {loss.name!r}"
            )

    @property
    def _scheduled(self) -> tuple[str, ...]:
        """The parameters of the loss that follow a schedule."""
        return tuple(name for name in self.network.loss.keywords if name in self.state.schedules)

    @property
    def _penalised(self) -> bool:
        return self._penalty is not None and self._penalty.alpha > 0

    def _squared(self) -> float:
        """The sum of all squared weights now."""
        if self._squares is None:
            self._squares = squares(self.latest(), penalised_first(self.network)[0])
        return self._squares

    def _weights(self, rows: Rows, order: Array, firsts: Array) -> Array:
        """The weight of each batch."""
        if rows.weight is None:
            return np.minimum(self.config.batch_size, len(order) - firsts).astype(float)
        return np.add.reduceat(rows.weight[order, 0].astype(float), firsts)

    def _l2(self, weights: Array) -> Array:
        assert self._penalty is not None
        return divided(self._penalty.alpha, weights, self.network.dtype)

    def _where_nonfinite(self, rows: Rows, scalars: Mapping[str, Any]) -> str | None:
        """Where the first value was that is not finite, if a loss was not: its batch once more."""
        if self._trainer is None or self._trainer.nonfinite is None or self._optimiser is None:
            return None
        order, step = self._trainer.nonfinite
        weight = np.ones((rows.x.shape[0], 1)) if rows.weight is None else rows.weight
        given = {"all_x": rows.x, "all_t": rows.t, "all_weight": weight, "order": order}
        given |= {"seed": self._seed, "step": step, **self._trainer.params}
        given |= at_step(scalars, (step - self.step) % 2**32)
        return first_nonfinite(self._plan, given)

    @functools.cached_property
    def _plan(self) -> Plan:
        assert self._optimiser is not None
        return training_plan(self.network, self._optimiser, scheduled=self._scheduled)

    # a whole training -----------------------------------------------------------------------------

    def run(
        self, rows: Rows | Blocks, after: AfterEpoch, order: Callable[[], Array] | None = None
    ) -> str:
        """Train by epochs until something ends it; what ends it, see `FitResult.stopped`.

        Parameters
        ----------
        rows : Rows or Blocks
        after : AfterEpoch
        order : callable, optional
            Called before each epoch: which rows, in which order.
        """
        checkpoint = after.checkpoint
        if checkpoint is not None:
            self.after_block = lambda: checkpoint.offer(self.resumable)
        try:
            with entered(after.callbacks):
                while self.done < after.epochs:
                    which = None if order is None else order()
                    start = time.perf_counter()
                    loss = self.epoch(rows, which)
                    count = len(rows) if which is None else len(which)
                    speed = count / max(time.perf_counter() - start, 1e-9)
                    ends = after(self, loss, self.rate, speed)
                    if ends:
                        return ends
        except KeyboardInterrupt:
            return "interrupted"
        return "epochs"

    def run_lbfgs(self, rows: Rows, after: AfterEpoch, **options: Any) -> str:
        """Train by L-BFGS; as `run`. ``options`` are further ones of `minimise`."""
        ends, start = "", time.perf_counter()

        def report(number: int, loss: float, penalty: float, now: Callable[[], Params]) -> bool:
            nonlocal ends, start
            speed = rows.x.shape[0] / max(time.perf_counter() - start, 1e-9)
            self._latest = now()
            if self._penalty is not None:
                loss = loss / self._penalty.averaged + penalty
            ends = after(self, loss, None, speed)
            start = time.perf_counter()
            return bool(ends)

        try:
            with entered(after.callbacks):
                self.minimum = minimise(
                    self.network,
                    self.latest(),
                    rows,
                    max_iter=after.epochs,
                    engine=self.config.engine,
                    report=report if after.follows else None,
                    **options,
                )
        except KeyboardInterrupt:
            return "interrupted"
        self._latest = self.minimum.params
        if ends:
            return ends
        if self.minimum.converged:
            return "converged"
        return "epochs" if self.minimum.iterations >= after.epochs else "no progress"


@dataclasses.dataclass
class AfterEpoch:
    """What follows each epoch, or iteration: evaluation, the best so far, a checkpoint, callbacks.

    Parameters
    ----------
    epochs : int
        How many there may be.
    callbacks : sequence of callable
    record : callable, optional
        Called with the line of each epoch, before them.
    evaluate : callable, optional
        From parameters to loss and score on the validation rows.
    merit : callable, optional
        From an epoch to what early stopping maximises; None for nothing.
    patience : Patience
    on_plateau : callable, optional
        Called when patience is over: whether training goes on nevertheless, with a lower learning
        rate perhaps.
    checkpoint : Checkpoint, optional
    whole : bool
        Whether the state after each epoch is kept whole, to continue from there whatever comes in
        the midst of the next one. Else it is whole only when training ends, which takes no time.
    """

    epochs: int
    callbacks: Sequence[Callback] = ()
    record: Callable[[Epoch], None] | None = None
    evaluate: Callable[[Params], Evaluation] | None = None
    merit: Callable[[Epoch], float | None] | None = None
    patience: Patience = dataclasses.field(default_factory=Patience)
    on_plateau: Callable[[], bool] | None = None
    checkpoint: Checkpoint | None = None
    whole: bool = True

    @property
    def follows(self) -> bool:
        """Whether anything follows."""
        return bool(self.whole or self.record or self.evaluate or self.callbacks)

    def __call__(self, loop: TrainLoop, loss: float, rate: float | None, speed: float) -> str:
        """What ends the training after this epoch, if anything does."""
        number, best = loop.done + 1, loop.best
        now = loop.latest() if self.whole or self.evaluate else None
        rate_given = None if loop.state.optimiser is None else loop.config.learning_rate
        check_finite(number, loss, now, loop.nonfinite, rate_given)
        held_out_loss, score = None, None
        if self.evaluate is not None:
            held_out_loss, score = self.evaluate(now or {})
        line = Epoch(number, loss, held_out_loss, score, rate, speed)
        merit = None if self.merit is None else self.merit(line)
        if merit is not None:
            best = self.patience.after(best, merit, number, now if self.evaluate else None)
        if self.whole:
            loop.state.history[loop.done :] = [line]
            # in one assignment: Ctrl-C comes before or after it
            loop.state = loop.snapshot(epoch=number, best=best)
        loop.done, loop.best = number, best
        if self.checkpoint is not None:
            self.checkpoint.offer(loop.resumable)
        if self.record is not None:
            self.record(line)
        if self.callbacks and notify(self.callbacks, self._told(loop, line)):
            return "callback"
        if self.patience.is_over(loop.best):
            if self.on_plateau is None or not self.on_plateau():
                return "patience"
            loop.best = dataclasses.replace(loop.best, waited=0)
        return ""

    def _told(self, loop: TrainLoop, line: Epoch) -> Progress:
        """What callbacks are told of an epoch."""
        return Progress(
            **vars(line),
            epochs=self.epochs,
            _params=lambda: loop.params,
            _state=(lambda: loop.resumable) if self.whole else loop.snapshot,
        )

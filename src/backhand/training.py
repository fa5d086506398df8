"""Training: epochs, shuffling, batches, validation, early stopping, schedules, history.

It sees an executor through a small interface, `backhand.run.executor.Trainer`.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .callbacks import entered, told
from .engines import checked_engine, executor
from .errors import BackhandError, InputError, unknown_name
from .formulas.entry import as_float
from .formulas.optimisers import Optimiser, choose_optimiser, clipping
from .formulas.schedules import Schedule, choose_schedule
from .network import Layer, Network, Params
from .plan.step import training_plan
from .rows import EVALUATED_AT_ONCE, Rows, checked
from .run.arrays import first_lost, parameter_buffers

Array = Any

MONITORS = ("score", "loss")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to train.

    Parameters
    ----------
    epochs : int
        Passes over the training rows, at most.
    batch : int
        Rows a step; the last batch of an epoch may be smaller.
    optimiser, schedule : str or entry
        See `backhand.formulas.optimisers` and `backhand.formulas.schedules`.
    rate : float
        Learning rate that the schedule scales.
    l2 : float
        Factor of half the squared weights (not biases) in the loss.
    clip_norm : float, optional
        The longest that the gradient of a step may be, all parameters and the L2 penalty
        together: a longer one is made that long. It takes memory for all gradients, and time.
    shuffle : bool
        Whether each epoch takes the rows in a new order.
    seed : int
        Of the order and of dropout.
    patience : int or None
        Stop after this many epochs without an improvement, by more than ``tolerance``, of what is
        monitored. None: never.
    monitor : {"score", "loss"}
        What makes an epoch the best one: the validation score, or the validation loss. Without a
        score it is the loss.
    tolerance : float
        What counts as an improvement.
    engine : {"llvm", "numpy"}, optional
        Which executor; see `backhand.engines.default_engine`.
    threads : int, optional
        How many threads machine code may use; by default as many as a step is worth. It never
        changes a bit of the result.

    Raises
    ------
    InputError
        If a value makes no sense; the message names it.
    """

    epochs: int = 50
    batch: int = 64
    optimiser: Any = "adam"
    rate: float = 1e-3
    schedule: Any = "constant"
    l2: float = 0.0
    shuffle: bool = True
    seed: int = 0
    patience: int | None = None
    monitor: str = "score"
    tolerance: float = 0.0
    engine: Any = None
    threads: int | None = None
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "optimiser", choose_optimiser(self.optimiser))
        object.__setattr__(self, "schedule", choose_schedule(self.schedule))
        object.__setattr__(self, "engine", checked_engine(self.engine))
        if not isinstance(self.monitor, str) or self.monitor not in MONITORS:
            raise unknown_name("monitor", self.monitor, MONITORS)
        whole = {"epochs": 0, "batch": 1, "seed": 0, "patience": 1, "threads": 1}
        for name, least in whole.items():
            value = getattr(self, name)
            if value is None and name in ("patience", "threads"):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise InputError(f"{name} must be a whole number, got {value!r}")
            if value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
            object.__setattr__(self, name, int(value))
        for name in ("rate", "l2", "tolerance"):
            value = getattr(self, name)
            number = as_float(value)
            if not 0 <= number < math.inf:
                raise InputError(f"{name} must be a finite number, at least 0, got {value!r:.40}")
            object.__setattr__(self, name, number)
        if self.clip_norm is not None:
            limited = clipping(self.optimiser, self.clip_norm)
            object.__setattr__(self, "optimiser", limited)
        if not isinstance(self.shuffle, (bool, np.bool_)):
            raise InputError(f"shuffle must be True or False, got {self.shuffle!r}")


class Epoch(NamedTuple):
    """One line of a training's history.

    Attributes
    ----------
    epoch : int
        Counts from 1.
    loss : float
        Mean over the epoch's batches by weight, while the parameters were changing; without L2.
    validation_loss, validation_score : float or None
        After the epoch; None without validation rows, or without a score.
    rate : float
        Learning rate of the epoch's last step.
    rows_per_second : float
        Only of training.
    """

    epoch: int
    loss: float
    validation_loss: float | None
    validation_score: float | None
    rate: float
    rows_per_second: float


@dataclasses.dataclass
class Trained:
    """What training gives.

    Attributes
    ----------
    params : tuple of Layer
        Of the best epoch where there is validation, else of the last.
    history : list of Epoch
    best_epoch : int
        Where ``params`` come from; 0 is before training.
    stopped : {"epochs", "patience", "callback", "interrupted"}
        Why it ended.
    """

    params: Params
    history: list[Epoch] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    stopped: str = "epochs"


class DivergedError(BackhandError):
    """The loss or a parameter is no longer finite; ``trained`` is the best before that."""

    def __init__(self, message: str, trained: Trained) -> None:
        super().__init__(message)
        self.trained = trained


class Training:
    """A training that goes epoch by epoch, and can be taken up again.

    Parameters
    ----------
    network : Network
    params : sequence of (w, b)
        Where it starts; they are not changed.
    settings : Settings
    rows : int
        Training rows of an epoch, from which schedules know the number of steps.
    """

    def __init__(
        self, network: Network, params: Sequence[tuple[Array, Array]], settings: Settings, rows: int
    ) -> None:
        self.network, self.settings = network, settings
        self._seed = int(np.random.SeedSequence(settings.seed).generate_state(1)[0])
        self._trainer = executor(settings.engine).trainer(
            network, params, settings.optimiser, self._seed, settings.threads
        )
        self._steps = settings.epochs * math.ceil(rows / settings.batch)
        self.step = 0
        self.rate = settings.rate
        self.lost: str | None = None

    @property
    def params(self) -> Params:
        """The parameters now."""
        return tuple(Layer(w, b) for w, b in self._trainer.params)

    @np.errstate(over="ignore", invalid="ignore")  # DivergedError tells it, and where
    def epoch(self, rows: Rows) -> float:
        """Train on all rows once; return the mean loss.

        A loss that is not finite ends the epoch before the update; ``lost`` then tells where it
        came from.
        """
        rows = checked(self.network, rows, "training")
        settings, count = self.settings, rows.x.shape[0]
        trainer = self._trainer
        order = trainer.shuffled(count, self.step) if settings.shuffle else np.arange(count)
        steps = np.arange(self.step, self.step + math.ceil(count / settings.batch), dtype=float)
        scalars, rates = step_scalars(
            settings.optimiser, settings.schedule, settings.rate, steps, self._steps
        )
        l2 = np.full(len(steps), settings.l2)
        loss = trainer.epoch(*rows, order, settings.batch, scalars, l2, self.step)
        self.step += len(steps)
        self.rate = float(rates[-1])
        self.lost = self._where_lost(rows)
        return loss

    def _where_lost(self, rows: Rows) -> str | None:
        """Where the first value was that is not finite, if a loss was not: its batch once more."""
        if self._trainer.lost is None:
            return None
        order, step = self._trainer.lost
        weight = np.ones((rows.x.shape[0], 1)) if rows.weight is None else rows.weight
        given = {"all_x": rows.x, "all_t": rows.t, "all_weight": weight, "order": order}
        given |= {"seed": self._seed, "step": step, **parameter_buffers(self._trainer.params)}
        return first_lost(training_plan(self.network, self.settings.optimiser), given)


def step_scalars(
    optimiser: Optimiser, schedule: Schedule, rate: float, steps: Array, total: int
) -> tuple[Mapping[str, Array | float], Array]:
    """The optimiser's scalars, arrays or numbers, and the rates, for each of the steps from 0."""
    rates = rate * schedule.factor(np, steps, total, **schedule.keywords)
    return optimiser.scalars(steps + 1, rates, **optimiser.keywords), rates


def fit(
    network: Network,
    params: Sequence[tuple[Array, Array]],
    rows: Rows,
    settings: Settings,
    *,
    validation: Rows | None = None,
    score: Callable[[Array, Array], float] | None = None,
    callbacks: Iterable[Callable[[Epoch, Training], Any]] = (),
) -> Trained:
    """Train a network.

    Parameters
    ----------
    network : Network
    params : sequence of (w, b)
        Where training starts; they are not changed.
    rows : Rows
        What to learn from.
    settings : Settings
    validation : Rows, optional
        What to judge each epoch by; the parameters of the best epoch are then returned.
    score : callable, optional
        ``score(logits, t) -> float``, greater is better. Without it the validation loss judges.
    callbacks : iterable of callable
        Each is called with the `Epoch` and the `Training` after every epoch; one that returns
        ``True`` ends the training. A context manager is entered before it, and left after it.

    Returns
    -------
    Trained
        Ctrl-C ends training and keeps the best parameters so far.

    Raises
    ------
    InputError
        If shapes do not fit or a value is not finite.
    DivergedError
        If the loss or a parameter stops being finite; it names epoch and layer.
    """
    rows = checked(network, rows, "training")
    if validation is not None:
        validation = checked(network, validation, "validation")
    callbacks = list(callbacks)
    training = Training(network, params, settings, rows.x.shape[0])
    trained = Trained(training.params)
    best = -math.inf
    try:
        with entered(callbacks):
            for number in range(1, settings.epochs + 1):
                start = time.perf_counter()
                loss = training.epoch(rows)
                speed = rows.x.shape[0] / max(time.perf_counter() - start, 1e-9)
                now = training.params
                _stop_if_diverged(loss, training.lost, now, number, settings, trained)
                judged: tuple[float | None, float | None] = (None, None)
                if validation:
                    judged = judge(network, now, validation, score, settings.engine)
                line = Epoch(number, loss, judged[0], judged[1], training.rate, speed)
                trained.history.append(line)
                merit = _merit(line, settings.monitor)
                if merit is None or merit > best + settings.tolerance:
                    best = -math.inf if merit is None else merit
                    trained.params, trained.best_epoch = now, number
                if told(callbacks, line, training):
                    trained.stopped = "callback"
                    break
                if settings.patience and number - trained.best_epoch >= settings.patience:
                    trained.stopped = "patience"
                    break
    except KeyboardInterrupt:
        trained.stopped = "interrupted"
        if trained.best_epoch == 0:
            trained.params = training.params
    return trained


def _merit(line: Epoch, monitor: str) -> float | None:
    """What early stopping maximises; None without validation."""
    if line.validation_score is not None and monitor == "score":
        return line.validation_score
    return None if line.validation_loss is None else -line.validation_loss


@np.errstate(over="ignore", invalid="ignore")
def judge(
    network: Network,
    params: Params,
    rows: Rows,
    score: Callable[[Array, Array], float] | None = None,
    engine: str | None = None,
) -> tuple[float, float | None]:
    """The loss over rows, and their score if there is one."""
    x = rows.x
    parts = [slice(i, i + EVALUATED_AT_ONCE) for i in range(0, x.shape[0], EVALUATED_AT_ONCE)]
    z = np.concatenate([network.forward(params, x[part], engine) for part in parts])
    loss = network.loss_at(z, rows.t, rows.weight)
    return loss, None if score is None else score(z, rows.t)


def _stop_if_diverged(
    loss: float,
    lost: str | None,
    params: Params,
    epoch: int,
    settings: Settings,
    trained: Trained,
) -> None:
    bad = [n for n, (w, b) in enumerate(params, 1) if not _finite(w) or not _finite(b)]
    if math.isfinite(loss) and not bad:
        return
    # gradients go from the last layer to the first
    where = lost or (f"layer {bad[-1]} (parameters)" if bad else "the loss")
    raise DivergedError(
        f"training diverged in epoch {epoch}: loss {loss:g}, values of {where} are not finite; "
        f"try a smaller learning rate than {settings.rate:g}",
        trained,
    )


def _finite(a: Array) -> bool:
    return bool(np.isfinite(a).all())

"""An estimator's parameters as a training of `backhand.train`, and the course that it took."""

from __future__ import annotations

import copy
import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..errors import InputError
from ..formulas.schedules import choose_schedule
from ..network import Params
from ..plan.ranges import place_of
from ..run.executor import Trainer
from ..run.namespaces import is_sparse
from ..train.callbacks import Callback, Progress
from ..train.config import LBFGS, TrainConfig
from ..train.evaluate import Evaluation
from ..train.loop import AfterEpoch, TrainLoop
from ..train.penalty import Penalty, divided
from ..train.result import DivergedError
from ..train.rows import Rows
from ..train.state import Epoch, TrainState
from ..train.stopping import Best, Patience
from . import parameters
from .fitted import Fitted, Live
from .task import Task
from .watching import Watch

Array = Any

SMALLEST_RATE = 1e-6
"""Where ``learning_rate="adaptive"`` gives up."""


class Trained(NamedTuple):
    """What a fit leaves behind: parameters, the state without them, and what may go on at once."""

    params: Params
    state: TrainState
    live: list[Live]


def train(task: Task, before: Fitted | None, watch: Watch | None) -> Trained:
    """Train from the task's parameters, and record the course.

    Parameters
    ----------
    task : Task
    before : Fitted or None
        What an earlier fit left behind, if this one goes on from it.
    watch : Watch or None
        What tells scikit-learn's callbacks; an epoch of `partial_fit` is no task of its own.

    Returns
    -------
    Trained
        With the last parameters, or the best by validation score; of one epoch, only if it is the
        end.

    Raises
    ------
    InputError
        If training diverges.
    """
    settings, course, lbfgs = task.settings, task.course, task.settings.solver == LBFGS
    last = None if before is None else before.state
    best = Best() if last is None else last.best
    if task.incremental and settings.early_stopping:
        course.begin_parts(best)
    rows, evaluate = task.rows, None
    if not lbfgs or _judges_lbfgs(task):
        best = course.begin(settings.early_stopping, best)
        rows, evaluate = _split(task)
    loop = _loop(task, before, rows, best)
    after = AfterEpoch(
        1 if task.incremental else int(settings.max_iter),
        evaluate=evaluate,
        merit=_merit if evaluate else lambda line: None if lbfgs else -line.loss,
        patience=Patience(settings.n_iter_no_change + 1, settings.tol, as_sklearn=True),
        on_plateau=None if lbfgs else lambda: _lowers_rate(task, loop),
        whole=False,
    )
    after.callbacks = list(functions_of(settings.callbacks))
    if watch is not None and not task.incremental:
        after.callbacks.append(_told(watch, task, loop))
    if not lbfgs:
        after.record = lambda line: _record(task, loop, line, len(rows))
    elif settings.verbose or evaluate or after.callbacks:
        after.record = lambda line: _record_lbfgs(task, loop, line)
    try:
        if lbfgs:
            ended = _run_lbfgs(task, loop, after, rows, watch)
        else:
            course.n_iter_ = 0
            ended = loop.run(task.data, after, _orders(task, rows, watch))
    except DivergedError:
        course.n_iter_ = loop.done + 1
        raise _diverged(task) from None
    if ended == "interrupted":
        warnings.warn("Training interrupted by user.", stacklevel=5)  # the caller of fit
    if ended == "epochs" and not (task.incremental or lbfgs):
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({settings.max_iter}) reached and "
            "the optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=5,
        )
    if lbfgs and ended in ("epochs", "no progress") and loop.minimum is not None:
        warnings.warn(
            f"lbfgs failed to converge after {loop.minimum.iterations} iteration(s): "
            f"{loop.minimum.message}. Increase max_iter or max_fun, or scale the data.",
            ConvergenceWarning,
            stacklevel=5,
        )
    stops = ended in ("callback", "patience")
    if task.incremental and settings.early_stopping:
        course.stopped_ = stops
    params: Params = loop.latest()
    if not all(np.isfinite(a).all() for a in params.values()):
        raise _diverged(task)
    state = dataclasses.replace(loop.snapshot(), params={}, history=[])
    trainer, live = loop.close(), []
    if task.incremental and trainer is not None:
        live = [Live(trainer, task.network, loop.config.engine, loop.config.threads)]
    if stops or not task.incremental:
        params = best_of(task, loop)
    return Trained(params, state, live)


def best_of(task: Task, loop: TrainLoop) -> Params:
    """The best parameters by validation score, or the last where nothing was judged by it."""
    best = loop.best.params if task.settings.early_stopping else None
    return loop.latest() if best is None else best


def functions_of(callbacks: Any) -> Sequence[Callback]:
    """The functions of an estimator's `callbacks`."""
    return [callbacks] if callable(callbacks) else callbacks or ()


# before training ----------------------------------------------------------------------------------


def _loop(task: Task, before: Fitted | None, rows: Array, best: Best) -> TrainLoop:
    """The loop from the task's parameters, with the optimiser of the last part if there is one."""
    settings, state = task.settings, None
    if task.incremental and before is not None and before.solver == settings.solver:
        state = before.state
    if state is None:
        before = None
        seed = int(task.rng.randint(2**32, dtype=np.uint32)) if task.network.drops else 0
        state = TrainState(
            dict(task.params),
            None if settings.solver == LBFGS else parameters.optimiser_of(settings),
            {},
            seed,
            float(settings.learning_rate_init),
            choose_schedule("constant" if settings.schedule is None else settings.schedule),
        )
    config = TrainConfig(
        epochs=int(settings.max_iter),
        batch_size=1 if state.optimiser is None else _batch(settings.batch_size, len(rows)),
        optimiser=state.optimiser or LBFGS,
        learning_rate=float(settings.learning_rate_init),
        schedule=state.schedule,
        engine=parameters.engine_name(settings.engine),
        threads=None if settings.threads is None else int(settings.threads),
    )
    return TrainLoop(
        task.network,
        task.params,
        config,
        len(rows),
        state=dataclasses.replace(state, best=best, epoch=0, history=[]),
        trainer=None if before is None else _live(task, before, config),
        penalty=Penalty(task.alpha, task.averaged),
    )


def _live(task: Task, before: Fitted, config: TrainConfig) -> Trainer | None:
    """The trainer of the last part, if it stands where this one begins."""
    try:
        trainer, *of = before.live.pop()
    except IndexError:
        return None
    if of != [task.network, config.engine, config.threads]:
        return None
    now = trainer.params
    same = all(np.array_equal(a, task.params[name]) for name, a in now.items())
    return trainer if same else None


def _batch(batch_size: Any, rows: int) -> int:
    if batch_size == "auto":
        return min(parameters.DEFAULT_BATCH, rows)
    if batch_size > rows:
        warnings.warn(
            f"Got `batch_size` {batch_size}, larger than the {rows} rows to train on. "
            "It is going to be clipped.",
            stacklevel=7,
        )
    return min(int(batch_size), rows)


def _orders(task: Task, rows: Array, watch: Watch | None) -> Callable[[], Array]:
    """What gives the rows of each epoch, in scikit-learn's order: each shuffles the last one's."""

    def order() -> Array:
        nonlocal rows
        if watch is not None and not task.incremental:
            watch.begin("epoch")
        if task.settings.shuffle:
            rows = rows[task.rng.permutation(len(rows))]
        return rows

    return order


def _judges_lbfgs(task: Task) -> bool:
    """Whether early stopping is meant for L-BFGS, for which scikit-learn has none."""
    settings = task.settings
    return settings.early_stopping and not (task.validation is None and settings.scoring is None)


def _split(task: Task) -> tuple[Array, Callable[[Params], Evaluation] | None]:
    """The rows to learn from, and what early stopping goes by."""
    rows, validation = task.rows, task.validation
    if task.settings.early_stopping and validation is None:
        from sklearn.model_selection import train_test_split  # slow to import

        rows, held_out = train_test_split(
            rows,
            random_state=task.rng,
            test_size=task.settings.validation_fraction,
            stratify=task.settings._strata(task.fitted, task.data.t[rows]),
        )
        if len(held_out) < 2:
            raise InputError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        validation = task.data.take(held_out)
    return rows, None if validation is None else _evaluation(task, validation)


def _evaluation(task: Task, validation: Rows) -> Callable[[Params], Evaluation]:
    """Loss and score of parameters on the validation rows, by an estimator's ``scoring``.

    Raises
    ------
    ValueError
        From scikit-learn, if there is no score of that name.
    """
    x, t, weight = validation
    weight = None if weight is None else weight[:, 0]
    estimator = task.settings
    given = estimator.scoring
    scorer = None
    if given is not None and given != "loss":
        from sklearn.metrics import check_scoring  # slow to import

        scorer = check_scoring(estimator, given)
        seen = copy.copy(estimator)
        y = task.fitted.targets.decode(t)
        extra = {} if weight is None else {"sample_weight": weight}

    def evaluate(params: Params) -> Evaluation:
        with np.errstate(over="ignore", invalid="ignore"):  # `fit` tells where it diverged
            z = task.fitted.forward(x, params)
            z = z if x.dtype == np.float32 else z.astype(np.float64, copy=False)
            loss = task.network.loss_at(z, t, weight) / task.averaged
        if scorer is not None:
            seen.__dict__.update(task.attributes(params))
            seen.__dict__.pop("feature_names_in_", None)  # x is an array by now
            return loss, float(scorer(seen, x, y, **extra))
        if given == "loss":
            return loss, -loss
        return loss, estimator._score_logits(task.fitted, z, t, weight)

    return evaluate


# while it trains ----------------------------------------------------------------------------------


def _merit(line: Epoch) -> float | None:
    return line.validation_score


def _record(task: Task, loop: TrainLoop, line: Epoch, count: int) -> None:
    """Note an epoch, under the names of scikit-learn's attributes."""
    settings, course = task.settings, task.course
    course.n_iter_ += 1
    course.t_ += count
    course.note(line, loop.best, settings.early_stopping)
    _say(task, line)
    if settings.solver == "sgd" and settings.learning_rate == "invscaling":
        rate = settings.learning_rate_init / (course.t_ + 1) ** settings.power_t
        loop.learning_rate = float(rate)


def _record_lbfgs(task: Task, loop: TrainLoop, line: Epoch) -> None:
    """Note an iteration."""
    course = task.course
    course.n_iter_, course.loss_ = line.epoch, line.loss
    if line.validation_loss is not None:
        course.note(line, loop.best, True)
    _say(task, line)


def _say(task: Task, line: Epoch) -> None:
    if task.settings.verbose:
        print(f"Iteration {line.epoch}, loss = {line.loss:.8f}")
        if line.validation_score is not None:
            print(f"Validation score: {line.validation_score:f}")


def _told(watch: Watch, task: Task, loop: TrainLoop) -> Callback:
    """What tells scikit-learn's callbacks of an epoch or an iteration, and begins the next one."""

    def tell(now: Progress) -> bool:
        ends = watch.end(lambda: task.attributes(best_of(task, loop)))
        if task.settings.solver == LBFGS and not ends:
            watch.begin("iteration")  # which never comes if SciPy ends here
        return ends

    return tell


def _lowers_rate(task: Task, loop: TrainLoop) -> bool:
    """Whether waiting in vain lowers the learning rate; if not, it ends training."""
    settings = task.settings
    what = "Validation score" if settings.early_stopping else "Training loss"
    lowers, then = False, "Stopping."
    if settings.solver == "sgd" and settings.learning_rate == "adaptive":
        lowers, then = loop.learning_rate > SMALLEST_RATE, "Learning rate too small. Stopping."
        if lowers:
            loop.learning_rate /= 5.0
            then = f"Setting learning rate to {loop.learning_rate:f}"
    if settings.verbose:
        print(
            f"{what} did not improve more than tol={settings.tol:f} for "
            f"{settings.n_iter_no_change} consecutive epochs. {then}"
        )
    return lowers


def _run_lbfgs(
    task: Task, loop: TrainLoop, after: AfterEpoch, rows: Array, watch: Watch | None
) -> str:
    """Train by L-BFGS; why it ended."""
    settings, course, data = task.settings, task.course, task.data
    if len(rows) < data.x.shape[0]:
        data = data.take(rows)
    weight = len(rows) if data.weight is None else data.weight.sum(dtype=float)
    l2 = float(divided(task.alpha, np.array([float(weight)]), task.network.dtype)[0])
    if watch is not None:
        watch.begin("iteration")
    options = {"l2": l2, "max_fun": settings.max_fun, "tol": settings.tol}
    ended = loop.run_lbfgs(data, after, **options)
    if loop.minimum is None:
        raise KeyboardInterrupt
    course.n_iter_ = loop.minimum.iterations
    course.loss_ = loop.minimum.loss / task.averaged + loop.minimum.penalty
    if not math.isfinite(course.loss_):
        raise _diverged(task)
    return ended


def _diverged(task: Task) -> InputError:
    """What to raise if training has diverged: it names the values that may have been too large."""
    x, t, _ = task.data
    settings, dtype = task.settings, task.network.dtype
    remedy = f"or learning_rate_init be smaller ({settings.learning_rate_init:g}, in {dtype})"
    if settings.solver == LBFGS:
        remedy = f"or alpha be smaller ({settings.alpha:g}, in {dtype})"
    return InputError(
        "Solver produced non-finite parameter weights or a non-finite loss in iteration "
        f"{task.course.n_iter_}. The input data may contain large values and need to be "
        f"preprocessed ({_largest(x, 'X')}"
        f"{'' if task.network.loss.by_row else ', ' + _largest(t, 'y')}), {remedy}."
    )


def _largest(a: Array, name: str) -> str:
    """The value of an array that is farthest from 0, with its place."""
    stored = a.data if is_sparse(a) else a
    if not stored.size:
        return f"{name} is 0 everywhere"
    at = [int(np.argmax(stored)), int(np.argmin(stored))]
    first = max(at, key=lambda i: abs(float(stored.flat[i])))
    value = float(stored.flat[first])
    row, column = place_of(a, first)
    return f"the largest of {name} is {value:.6g} in row {row}, column {column}"

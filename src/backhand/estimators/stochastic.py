"""The course of a fit by stochastic descent: epochs, curves, early stopping, and when to end."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..callbacks import told
from ..errors import InputError
from ..formulas.schedules import choose_schedule
from ..plan.ranges import place_of
from ..run.namespaces import is_sparse
from . import parameters
from .descent import SMALLEST_RATE, Data, Descent, Params, optimiser_of
from .judging import Judge, Progress, functions_of, judge_of
from .task import Task
from .watching import Watch

Array = Any


def descend(task: Task, descent: Descent | None, watch: Watch | None) -> tuple[Params, Descent]:
    """Train by epochs, from the task's parameters; record the course.

    Parameters
    ----------
    task : Task
    descent : Descent or None
        The optimiser where it stands, which moves on. None: a new one.
    watch : Watch or None
        What tells scikit-learn's callbacks; an epoch of its own is no task of a single epoch.

    Returns
    -------
    params : sequence of (w, b)
        The last parameters, or the best by validation score; of one epoch, only if it is the end.
    descent : Descent
        At rest, unless more parts may come: then all that is ready for them is kept.

    Raises
    ------
    InputError
        If training diverges.
    """
    if task.incremental and task.settings.early_stopping:
        task.course.begin_parts()
    rows, judge = begin(task)
    if descent is None:
        descent = _new(task)
    try:
        return _descend(task, rows, judge, descent, watch), descent
    finally:
        if not task.incremental:
            descent.rest()


def _descend(
    task: Task, rows: Array, judge: Judge | None, descent: Descent, watch: Watch | None
) -> Params:
    settings, course, data, incremental = task.settings, task.course, task.data, task.incremental
    ended = False
    count = len(rows)
    batch = _batch(settings.batch_size, count)
    total = settings.max_iter * math.ceil(count / batch)
    descent.start_at(task.network, task.params)
    course.n_iter_ = 0
    functions = functions_of(settings.callbacks)
    by_epoch = None if incremental else watch
    try:
        for _ in range(settings.max_iter):
            if by_epoch is not None:
                by_epoch.begin("epoch")
            if settings.shuffle:
                rows = rows[task.rng.permutation(count)]
            with np.errstate(over="ignore", invalid="ignore"):  # `diverged` tells where
                loss, penalty = descent.epoch(data, rows, batch, task.alpha, total)
            course.n_iter_ += 1
            course.t_ += count
            course.loss_ = loss / task.averaged + penalty
            course.record("loss_curve_", course.loss_)
            if settings.verbose:
                say(course.n_iter_, course.loss_)
            if descent.lost or not math.isfinite(course.loss_):
                check_finite(task, descent.final(), descent.lost, course.loss_)
            judge_epoch(task, lambda: descent.params, judge)
            if settings.solver == "sgd" and settings.learning_rate == "invscaling":
                rate = settings.learning_rate_init / (course.t_ + 1) ** settings.power_t
                descent.rate = float(rate)
            ended = bool(functions) and told(functions, _now(task, descent))
            if by_epoch is not None:
                ended |= by_epoch.end(lambda: task.attributes(best_of(task, descent.final())))
            if ended:
                break
            if course.waited > settings.n_iter_no_change and _ends(task, descent):
                ended = True
                break
            if incremental:
                break
        else:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({settings.max_iter}) reached and "
                "the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=7,  # the caller of fit
            )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=7)
    if incremental and settings.early_stopping:
        course.stopped_ = ended
    params = descent.final()
    check_finite(task, params, descent.lost)
    return best_of(task, params) if ended or not incremental else params


def best_of(task: Task, last: Params) -> Params:
    """The best parameters by validation score, or the last where nothing was judged by it."""
    best = task.course.best if task.settings.early_stopping else None
    return last if best is None else best


def check_finite(task: Task, params: Params, lost: Any = None, loss: float = 0.0) -> None:
    """Raise InputError if training has diverged: it names the values that may have been too large.

    ``lost`` is the batch whose loss was not finite, and its step; ``loss`` where training ended.
    """
    right = all(np.isfinite(a).all() for layer in params for a in layer)
    if lost is None and right and math.isfinite(loss):
        return
    x, t, _ = task.data
    settings, dtype = task.settings, task.network.dtype
    remedy = f"or learning_rate_init be smaller ({settings.learning_rate_init:g}, in {dtype})"
    if settings.solver == "lbfgs":
        remedy = f"or alpha be smaller ({settings.alpha:g}, in {dtype})"
    raise InputError(
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


def say(iteration: int, loss: float) -> None:
    """Print the line of an iteration."""
    print(f"Iteration {iteration}, loss = {loss:.8f}")


def _now(task: Task, descent: Descent) -> Progress:
    course, epochs = task.course, 1 if task.incremental else task.settings.max_iter
    scores = course.last("validation_scores_"), course.last("validation_loss_curve_")
    return Progress(course.n_iter_, course.loss_, *scores, epochs, lambda: descent.params)


def begin(task: Task) -> tuple[Array, Judge | None]:
    """Begin the curves; the rows to learn from, and what early stopping goes by."""
    task.course.begin(task.settings.early_stopping)
    rows, validation = task.rows, task.validation
    if task.settings.early_stopping and validation is None:
        rows, validation = _split(task)
    return rows, None if validation is None else judge_of(task, validation)


def _new(task: Task) -> Descent:
    settings = task.settings
    return Descent(
        optimiser_of(settings),
        choose_schedule("constant" if settings.schedule is None else settings.schedule),
        float(settings.learning_rate_init),
        parameters.engine_name(settings.engine),
        int(task.rng.randint(2**32, dtype=np.uint32)) if any(task.network.dropout) else 0,
        None if settings.threads is None else int(settings.threads),
    )


def _split(task: Task) -> tuple[Array, Data]:
    """The rows to learn from, and those to judge by."""
    from sklearn.model_selection import train_test_split  # slow to import

    learn, judge = train_test_split(
        task.rows,
        random_state=task.rng,
        test_size=task.settings.validation_fraction,
        stratify=task.settings._strata(task.fitted, task.data.t[task.rows]),
    )
    if len(judge) < 2:
        raise InputError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return learn, task.data.take(judge)


def _batch(batch_size: Any, rows: int) -> int:
    if batch_size == "auto":
        return min(parameters.DEFAULT_BATCH, rows)
    if batch_size > rows:
        warnings.warn(
            f"Got `batch_size` {batch_size}, larger than the {rows} rows to train on. "
            "It is going to be clipped.",
            stacklevel=8,
        )
    return min(int(batch_size), rows)


def judge_epoch(task: Task, now: Callable[[], Params], judge: Judge | None) -> None:
    """Compare the epoch with the best so far, by validation score or by training loss."""
    course, tol = task.course, task.settings.tol
    if judge is None:
        loss, best = course.loss_, course.best_loss_
        better = loss <= best - tol
        course.best_loss_ = min(best, loss)
    else:
        params = now()
        score, loss = judge(params)
        course.record("validation_scores_", score)
        course.record("validation_loss_curve_", loss)
        if task.settings.verbose:
            print(f"Validation score: {score:f}")
        better = score >= course.best_validation_score_ + tol
        if score > course.best_validation_score_:
            course.best_validation_score_, course.best = score, params
    course.waited = 0 if better else course.waited + 1


def _ends(task: Task, descent: Descent) -> bool:
    """Whether waiting in vain ends training; if not, the learning rate has been lowered."""
    settings = task.settings
    what = "Validation score" if settings.early_stopping else "Training loss"
    ends, then = True, "Stopping."
    if settings.solver == "sgd" and settings.learning_rate == "adaptive":
        if descent.rate > SMALLEST_RATE:
            descent.rate /= 5.0
            ends, then = False, f"Setting learning rate to {descent.rate:f}"
            task.course.waited = 0
        else:
            then = "Learning rate too small. Stopping."
    if settings.verbose:
        print(
            f"{what} did not improve more than tol={settings.tol:f} for "
            f"{settings.n_iter_no_change} consecutive epochs. {then}"
        )
    return ends

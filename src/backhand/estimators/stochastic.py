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
from ..network import Network
from . import parameters
from .descent import SMALLEST_RATE, Data, Descent, Params, optimiser_of
from .judging import Judge, Progress, functions_of, judge_of
from .watching import Watch

Array = Any


def descend(
    estimator: Any,
    network: Network,
    data: Data,
    rows: Array,
    validation: Data | None,
    rng: np.random.RandomState,
    incremental: bool,
    watch: Watch | None,
) -> Params:
    """Train an estimator by its parameters, from its coefficients; set its curves.

    Parameters
    ----------
    estimator : BaseMLP
    network : Network
    data : Data
    rows : (rows,) int64
        Which rows of the data to use.
    validation : Data or None
        What early stopping judges by. None: some of those rows, set aside.
    rng : RandomState
        Of the order, the split and dropout.
    incremental : bool
        Whether to run a single epoch and go on from the optimiser's state.
    watch : Watch or None
        What tells scikit-learn's callbacks; an epoch of its own is no task of a single epoch.

    Returns
    -------
    sequence of (w, b)
        The last parameters, or the best by validation score; of one epoch, only if it is the end.
    """
    if incremental and estimator.early_stopping:
        _begin_course(estimator)
    rows, judge = begin(estimator, network, data, rows, validation, rng)
    ended = False
    count = len(rows)
    batch = _batch(estimator.batch_size, count)
    total = estimator.max_iter * math.ceil(count / batch)
    descent: Descent | None = estimator._descent
    if descent is None or not incremental:
        descent = estimator._descent = _new(estimator, network, rng)
    descent.start_at(network, list(zip(estimator.coefs_, estimator.intercepts_, strict=True)))
    averaged = estimator._outputs_averaged()
    estimator.n_iter_ = 0
    functions = functions_of(estimator.callbacks)
    by_epoch = None if incremental else watch
    try:
        for _ in range(estimator.max_iter):
            if by_epoch is not None:
                by_epoch.begin("epoch")
            if estimator.shuffle:
                rows = rows[rng.permutation(count)]
            with np.errstate(over="ignore", invalid="ignore"):  # `fit` tells where it diverged
                loss, penalty = descent.epoch(data, rows, batch, estimator.alpha, total)
            estimator.n_iter_ += 1
            estimator.t_ += count
            estimator.loss_ = loss / averaged + penalty
            estimator.loss_curve_.append(estimator.loss_)
            if estimator.verbose:
                say(estimator.n_iter_, estimator.loss_)
            if descent.lost or (not math.isfinite(loss) and not _finite(descent.params)):
                return descent.params
            judge_epoch(estimator, lambda: descent.params, judge)
            if estimator.solver == "sgd" and estimator.learning_rate == "invscaling":
                rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
                descent.rate = float(rate)
            ended = bool(functions) and told(functions, _now(estimator, incremental))
            if by_epoch is not None:
                ended |= by_epoch.end(network, lambda: best_of(estimator, descent.params))
            if ended:
                break
            if estimator._waited > estimator.n_iter_no_change and _ends(estimator, descent):
                ended = True
                break
            if incremental:
                break
        else:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and "
                "the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,  # the caller of fit
            )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=5)
    if incremental and estimator.early_stopping:
        estimator.stopped_ = ended
    return best_of(estimator, descent.params) if ended or not incremental else descent.params


def best_of(estimator: Any, last: Params) -> Params:
    """The best parameters by validation score, or the last where nothing was judged by it."""
    best = estimator._best if estimator.early_stopping else None
    return last if best is None else best


def say(iteration: int, loss: float) -> None:
    """Print the line of an iteration."""
    print(f"Iteration {iteration}, loss = {loss:.8f}")


def _now(estimator: Any, incremental: bool) -> Progress:
    score, loss = (
        curve[-1] if curve else None
        for curve in (estimator.validation_scores_, estimator.validation_loss_curve_)
    )
    descent = estimator._descent
    epochs = 1 if incremental else estimator.max_iter
    return Progress(estimator.n_iter_, estimator.loss_, score, loss, epochs, lambda: descent.params)


def begin(
    estimator: Any,
    network: Network,
    data: Data,
    rows: Array,
    validation: Data | None,
    rng: np.random.RandomState,
) -> tuple[Array, Judge | None]:
    """Begin the curves; the rows to learn from, and what early stopping goes by."""
    _begin_curves(estimator)
    if estimator.early_stopping and validation is None:
        rows, validation = _split(estimator, data, rows, rng)
    return rows, None if validation is None else judge_of(estimator, network, validation)


def _begin_course(estimator: Any) -> None:
    """Compare with no epoch of `fit`, which had other rows to judge by, nor with lost weights."""
    if not hasattr(estimator, "stopped_") or getattr(estimator, "_best", None) is None:
        estimator.best_validation_score_ = None
        estimator.stopped_ = False


def _begin_curves(estimator: Any) -> None:
    """Set what the course is recorded in, unless it goes on from an earlier fit."""
    wanted = "best_validation_score_" if estimator.early_stopping else "best_loss_"
    if getattr(estimator, wanted, None) is not None:
        return
    scored = estimator.early_stopping
    estimator.loss_curve_ = getattr(estimator, "loss_curve_", [])
    estimator.best_loss_ = None if scored else math.inf
    estimator.validation_scores_ = [] if scored else None
    estimator.validation_loss_curve_ = [] if scored else None
    estimator.best_validation_score_ = -math.inf if scored else None
    estimator._best = None
    estimator._waited = 0


def _new(estimator: Any, network: Network, rng: np.random.RandomState) -> Descent:
    return Descent(
        optimiser_of(estimator),
        choose_schedule("constant" if estimator.schedule is None else estimator.schedule),
        float(estimator.learning_rate_init),
        parameters.engine_name(estimator.engine),
        int(rng.randint(2**32, dtype=np.uint32)) if any(network.dropout) else 0,
        None if estimator.threads is None else int(estimator.threads),
    )


def _split(
    estimator: Any, data: Data, rows: Array, rng: np.random.RandomState
) -> tuple[Array, Data]:
    """The rows to learn from, and those to judge by."""
    from sklearn.model_selection import train_test_split  # slow to import

    learn, judge = train_test_split(
        rows,
        random_state=rng,
        test_size=estimator.validation_fraction,
        stratify=estimator._strata(data.t[rows]),
    )
    if len(judge) < 2:
        raise InputError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return learn, data.take(judge)


def _batch(batch_size: Any, rows: int) -> int:
    if batch_size == "auto":
        return min(parameters.DEFAULT_BATCH, rows)
    if batch_size > rows:
        warnings.warn(
            f"Got `batch_size` {batch_size}, larger than the {rows} rows to train on. "
            "It is going to be clipped.",
            stacklevel=6,
        )
    return min(int(batch_size), rows)


def _finite(params: Params) -> bool:
    return all(np.isfinite(a).all() for layer in params for a in layer)


def judge_epoch(estimator: Any, now: Callable[[], Params], judge: Judge | None) -> None:
    """Compare the epoch with the best so far, by validation score or by training loss."""
    if judge is None:
        loss, best = estimator.loss_, estimator.best_loss_
        better = loss <= best - estimator.tol
        estimator.best_loss_ = min(best, loss)
    else:
        params = now()
        score, loss = judge(params)
        estimator.validation_scores_.append(score)
        estimator.validation_loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        better = score >= estimator.best_validation_score_ + estimator.tol
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_, estimator._best = score, params
    estimator._waited = 0 if better else estimator._waited + 1


def _ends(estimator: Any, descent: Descent) -> bool:
    """Whether waiting in vain ends training; if not, the learning rate has been lowered."""
    what = "Validation score" if estimator.early_stopping else "Training loss"
    ends, then = True, "Stopping."
    if estimator.solver == "sgd" and estimator.learning_rate == "adaptive":
        if descent.rate > SMALLEST_RATE:
            descent.rate /= 5.0
            ends, then = False, f"Setting learning rate to {descent.rate:f}"
            estimator._waited = 0
        else:
            then = "Learning rate too small. Stopping."
    if estimator.verbose:
        print(
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs. {then}"
        )
    return ends

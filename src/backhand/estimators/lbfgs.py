"""L-BFGS over all rows at once, through SciPy."""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..callbacks import told
from ..engines import executor
from ..network import Layer, Network
from . import parameters, stochastic
from .descent import Data, Params, parts, squares, strengths
from .judging import Progress, functions_of
from .task import Task
from .watching import Watch

Array = Any


def descend(task: Task, watch: Watch | None) -> Params:
    """Train over all rows, as `stochastic.descend` does by epochs."""
    settings, course, data, rows = task.settings, task.course, task.data, task.rows
    judge = None
    if settings.early_stopping and not (task.validation is None and settings.scoring is None):
        rows, judge = stochastic.begin(task)
    if len(rows) < data.x.shape[0]:
        data = data.take(rows)
    functions = functions_of(settings.callbacks)

    def report(iteration: int, loss: float, penalty: float, now: Callable[[], Params]) -> bool:
        course.loss_ = loss / task.averaged + penalty
        course.n_iter_ = iteration
        if settings.verbose:
            stochastic.say(iteration, course.loss_)
        judged: tuple[float | None, float | None] = None, None
        if judge is not None:
            course.record("loss_curve_", course.loss_)
            stochastic.judge_epoch(task, now, judge)
            judged = course.last("validation_scores_"), course.last("validation_loss_curve_")
        ends = judge is not None and course.waited > settings.n_iter_no_change
        if functions:
            progress = Progress(iteration, course.loss_, *judged, settings.max_iter, now)
            ends |= told(functions, progress)
        if watch is not None:
            ends |= watch.end(lambda: task.attributes(best_of(now())))
            if not ends:
                watch.begin("iteration")  # which never comes if SciPy ends here
        return ends

    def best_of(last: Params) -> Params:
        return last if judge is None else stochastic.best_of(task, last)

    watched = settings.verbose or functions or judge or watch
    if watch is not None:
        watch.begin("iteration")

    minimum = minimise(
        task.network,
        task.params,
        data,
        alpha=task.alpha,
        max_iter=settings.max_iter,
        max_fun=settings.max_fun,
        tol=settings.tol,
        engine=parameters.engine_name(settings.engine),
        report=report if watched else None,
    )
    course.loss_ = minimum.loss / task.averaged + minimum.penalty
    course.n_iter_ = minimum.iterations
    if not minimum.converged:
        warnings.warn(
            f"lbfgs failed to converge after {minimum.iterations} iteration(s): "
            f"{minimum.message}. Increase max_iter or max_fun, or scale the data.",
            ConvergenceWarning,
            stacklevel=6,
        )
    stochastic.check_finite(task, minimum.params, loss=course.loss_)
    return best_of(minimum.params)


class Minimum(NamedTuple):
    """Where L-BFGS ended: parameters, loss without and with the penalty, iterations, and why."""

    params: tuple[Layer, ...]
    loss: float
    penalty: float
    iterations: int
    converged: bool
    message: str


def minimise(
    network: Network,
    params: Params,
    data: Data,
    *,
    alpha: float,
    max_iter: int,
    max_fun: int,
    tol: float,
    engine: str | None = None,
    report: Callable[[int, float, float, Callable[[], Params]], bool] | None = None,
) -> Minimum:
    """Minimise the loss over all rows with SciPy's L-BFGS-B, in the network's dtype.

    Parameters
    ----------
    network : Network
    params : sequence of (w, b)
        Where it starts.
    data : Data
    alpha : float
        L2 penalty, divided by the weight of all rows.
    max_iter, max_fun : int
        Iterations and evaluations, at most.
    tol : float
        It has converged when no element of the gradient is larger.
    engine : str, optional
        The executor that computes losses and gradients.
    report : callable, optional
        Called with the number of each iteration, its loss, its penalty, and a function that
        gives its parameters. If it returns True, that was the last.

    Returns
    -------
    Minimum
    """
    from scipy.optimize import minimize

    rows = data.x.shape[0]
    total = float(rows) if data.weight is None else float(data.weight.sum(dtype=float))
    strength = float(strengths(alpha, np.array([total]), network.dtype)[0])

    @np.errstate(over="ignore")  # a step too far is seen in the loss
    def unpack(vector: Array) -> tuple[Layer, ...]:
        pieces, first = [], 0
        for shape in [*network.shapes, *((k,) for _, k in network.shapes)]:
            size = math.prod(shape)
            part = vector[first : first + size].reshape(shape)
            pieces.append(part.astype(network.dtype, copy=False))  # SciPy's vector is in float64
            first += size
        return tuple(map(Layer, pieces[: len(network.shapes)], pieces[len(network.shapes) :]))

    def objective(vector: Array) -> tuple[float, Array]:
        layers = unpack(vector)
        loss, gradient = 0.0, np.zeros(vector.shape)
        for some, x in parts(data.x):
            weight = None if data.weight is None else data.weight[some]
            counted = x.shape[0] if weight is None else float(weight.sum())
            part, grads = network.loss_and_grads(layers, x, data.t[some], weight, engine=engine)
            loss += part * counted / total
            gradient += pack(grads) * (counted / total)
        decay = gradient[: sum(w.size for w, _ in layers)]
        decay += strength * vector[: len(decay)]
        return loss + 0.5 * strength * squares(layers), gradient

    iterations = 0
    stopped = False

    def count(intermediate_result: Any) -> None:
        nonlocal iterations, stopped
        iterations += 1
        if report is None:
            return
        vector, penalty = (
            intermediate_result.x,
            0.5 * strength * squares(unpack(intermediate_result.x)),
        )
        loss = float(intermediate_result.fun) - penalty
        if report(iterations, loss, penalty, lambda: unpack(vector.copy())):
            stopped = True
            raise StopIteration

    with _one_blas_thread() if executor(engine, data.x).native else contextlib.nullcontext():
        result = minimize(
            objective,
            pack(params),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol},
            callback=count,
        )
    layers = unpack(result.x)
    penalty = 0.5 * strength * squares(layers)
    return Minimum(
        tuple(Layer(w.copy(), b.copy()) for w, b in layers),
        float(result.fun) - penalty,
        penalty,
        min(int(result.nit), max_iter),  # SciPy may count one more than it was allowed
        stopped or result.status == 0,
        str(result.message),
    )


@functools.cache
def _pools() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _one_blas_thread() -> Any:
    """Let SciPy's sums over all parameters be in one order, whatever the threads.

    The products, which are the work, are compiled and have threads of their own.
    """
    return _pools().limit(limits=1, user_api="blas")


def pack(params: Params) -> Array:
    """All weights, then all biases, in one vector."""
    return np.concatenate([np.ravel(a) for part in zip(*params, strict=True) for a in part])

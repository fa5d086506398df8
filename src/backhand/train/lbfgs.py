"""L-BFGS over all rows at once, through SciPy."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engines import executor
from ..network import Network, Params
from ..run.blas import one_blas_thread
from .rows import Rows, parts

Array = Any

GRADIENT_LIMIT = 1e-5  # of the largest element, at which `fit` has converged: SciPy's default

Report = Callable[[int, float, float, Callable[[], Params]], bool]
"""Called with the number of each iteration, its loss, its penalty, and a function that gives its
parameters. If it returns True, that was the last."""


class Minimum(NamedTuple):
    """Where L-BFGS ended: parameters, loss without and with the penalty, iterations, and why."""

    params: Params
    loss: float
    penalty: float
    iterations: int
    converged: bool
    message: str


def minimise(
    network: Network,
    params: Params,
    rows: Rows,
    *,
    l2: float,
    max_iter: int,
    max_fun: int = sys.maxsize,
    tol: float = GRADIENT_LIMIT,
    engine: str | None = None,
    report: Report | None = None,
) -> Minimum:
    """Minimise the loss over all rows with SciPy's L-BFGS-B, in the network's dtype.

    Parameters
    ----------
    network : Network
    params : mapping of str to array
        Where it starts.
    rows : Rows
    l2 : float
        Factor of half the squared weights in the loss.
    max_iter, max_fun : int
        Iterations and evaluations, at most.
    tol : float
        It has converged when no element of the gradient is larger.
    engine : str, optional
        The executor that computes losses and gradients.
    report : callable, optional
        See `Report`.

    Returns
    -------
    Minimum
    """
    from scipy.optimize import minimize

    count = rows.x.shape[0]
    total = float(count) if rows.weight is None else float(rows.weight.sum(dtype=float))

    penalised, others = penalised_first(network)
    constant = {name: a for name, a in params.items() if name not in (*penalised, *others)}

    @np.errstate(over="ignore")  # a step too far is seen in the loss
    def unpack(vector: Array) -> Params:
        found, first = dict(constant), 0
        for name in (*penalised, *others):
            shape = network.shapes[name]
            last = first + math.prod(shape)
            part = vector[first:last].reshape(shape)
            found[name] = part.astype(network.dtype, copy=False)  # SciPy's vector is in float64
            first = last
        return {name: found[name] for name in network.shapes}

    def pack(arrays: Mapping[str, Array]) -> Array:
        return np.concatenate([np.ravel(arrays[name]) for name in (*penalised, *others)])

    def squared(arrays: Mapping[str, Array]) -> float:
        return squares(arrays, penalised)

    def objective(vector: Array) -> tuple[float, Array]:
        now = unpack(vector)
        loss, gradient = 0.0, np.zeros(vector.shape)
        for some, x in parts(rows.x):
            weight = None if rows.weight is None else rows.weight[some]
            counted = x.shape[0] if weight is None else float(weight.sum())
            part, grads = network.loss_and_grads(now, x, rows.t[some], weight, engine=engine)
            loss += part * counted / total
            gradient += pack(grads) * (counted / total)
        decay = gradient[: sum(now[name].size for name in penalised)]
        decay += l2 * vector[: len(decay)]
        return loss + 0.5 * l2 * squared(now), gradient

    iterations = 0
    stopped = False

    def count_iteration(intermediate_result: Any) -> None:
        nonlocal iterations, stopped
        iterations += 1
        if report is None:
            return
        vector = intermediate_result.x
        penalty = 0.5 * l2 * squared(unpack(vector))
        loss = float(intermediate_result.fun) - penalty
        if report(iterations, loss, penalty, lambda: unpack(vector.copy())):
            stopped = True
            raise StopIteration

    # the products, which are the work, are compiled and have threads of their own
    with one_blas_thread() if executor(engine, rows.x).native else contextlib.nullcontext():
        result = minimize(
            objective,
            pack(params),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol},
            callback=count_iteration,
        )
    found = unpack(result.x)
    penalty = 0.5 * l2 * squared(found)
    return Minimum(
        {name: a.copy() for name, a in found.items()},
        float(result.fun) - penalty,
        penalty,
        min(int(result.nit), max_iter),  # SciPy may count one more than it was allowed
        stopped or result.status == 0,
        str(result.message),
    )


def penalised_first(network: Network) -> tuple[list[str], list[str]]:
    """The learned parameters that the L2 penalty applies to, and the others."""
    learned = [p for p in network.parameters if p.learned]
    return (
        [p.buffer.name for p in learned if p.penalised],
        [p.buffer.name for p in learned if not p.penalised],
    )


def squares(params: Mapping[str, Array], penalised: Sequence[str]) -> float:
    """The sum of all squared weights; biases are not penalised."""
    # not np.vdot: the order of the BLAS depends on its threads
    return float(sum(np.einsum("i,i->", *[params[name].ravel()] * 2) for name in penalised))

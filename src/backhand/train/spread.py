"""`fit_spread`: networks on the workers of the backend that `joblib.parallel_config` names.

A training is a function of what it is given, and its bits do not depend on threads. So each network
ends with the bits that it has in `fit_several`, on whichever worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..network import Network
from .config import TrainConfig
from .evaluate import Score
from .fit import fit
from .result import DivergedError, FitResult
from .rows import Rows

Array = Any


def has_workers() -> bool:
    """Whether a backend of joblib's is named that has several workers in other processes."""
    from joblib.parallel import get_active_backend

    # where no backend is named, joblib then gives threads instead of its default, processes
    backend, n_jobs = get_active_backend(prefer="threads")
    if getattr(backend, "supports_sharedmem", False):
        return False
    return bool(backend.effective_n_jobs(n_jobs or backend.default_n_jobs) > 1)


def fit_spread(
    networks: Sequence[Network],
    starts: Sequence[Mapping[str, Array]],
    rows: Sequence[Rows],
    configs: Sequence[TrainConfig],
    validation: Sequence[Rows | None],
    scores: Sequence[Score | None],
) -> list[FitResult]:
    """Train several networks, each in a task of the backend of joblib's that is named.

    A task uses the threads that its worker's environment grants. Ctrl-C ends all, and nothing is
    kept.

    Parameters
    ----------
    networks, starts, rows, configs, validation
        As of `fit_several`, one for each training.
    scores : sequence of callable or None
        As ``score`` of `fit`. They are pickled, so they should hold little.

    Raises
    ------
    InputError
        As `fit`.
    DivergedError
        If a training diverges, when all have ended.
    """
    from joblib import Parallel, delayed

    jobs = zip(networks, starts, configs, scores, rows, validation, strict=True)
    # arrays are arguments by themselves, since Dask shares only those among tasks
    ended = Parallel()(
        delayed(_fit)(*settings, *learned, *(held_out or ()))
        for *settings, learned, held_out in jobs
    )
    for number, one in enumerate(ended):
        if isinstance(one, DivergedError):
            one.args = (f"training {number}: {one}",)
            raise one
    return list(ended)


def _fit(
    network: Network,
    start: Mapping[str, Array],
    config: TrainConfig,
    score: Score | None,
    x: Array,
    t: Array,
    weight: Array | None,
    *held_out: Array,
) -> FitResult | DivergedError:
    """One task. It returns an error that `fit_spread` raises; some backends would wrap it."""
    validation = Rows(*held_out) if held_out else None
    try:
        return fit(network, start, Rows(x, t, weight), config, validation=validation, score=score)
    except DivergedError as error:
        return error

"""How much each kind of network counts, and how sure an ensemble may be."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..formulas import answers
from ..run.namespaces import NUMPY
from .metrics import Metric

Array = Any

PICKS = 8
"""Weights are multiples of one part in this. More parts follow the noise of the rows."""

PRIOR = 10.0
"""Rows that speak for a temperature of 1. Few rows, all predicted right, would ask for none."""


def kind_weights(
    metric: Metric, y: Array, predictions: list[Array], weight: Array | None
) -> list[float]:
    """The share of each kind in an ensemble, by rows that it has not learned from.

    Kinds are added one by one, each time the one that helps most, and may be added again (Caruana
    et al. 2004).

    Parameters
    ----------
    metric : Metric
    y : array (N,)
        Numbers of classes, or values.
    predictions : list of array (N, K) or (N,)
        Of each kind.
    weight : array (N,), optional
    """
    if len(predictions) == 1:
        return [1.0]
    total, counts = np.zeros_like(predictions[0]), np.zeros(len(predictions))
    for picked in range(PICKS):
        mixed = [(total + p) / (picked + 1) for p in predictions]
        scores = [metric(y, p, weight) for p in mixed]
        best = int(np.nanargmax(scores)) if np.isfinite(scores).any() else picked % len(mixed)
        total += predictions[best]
        counts[best] += 1
    return [float(share) for share in counts / counts.sum()]


def temperature_of(y: Array, p: Array, weight: Array | None) -> float:
    """The temperature at which probabilities p (N, K) fit classes y best (Guo et al. 2017).

    It stays near 1 where rows are few.
    """
    from scipy.optimize import minimize_scalar

    share = np.ones(len(y)) if weight is None else weight

    def loss(log_temperature: float) -> float:
        q = tempered(p, float(np.exp(log_temperature)))
        chosen = np.maximum(q[np.arange(len(y)), y], 1e-12)
        found = -(share * np.log(chosen)).sum() / share.sum()
        return float(found + PRIOR / len(y) * log_temperature**2)

    found = minimize_scalar(loss, bounds=(-1.1, 1.1), method="bounded")
    return float(np.exp(found.x))


def tempered(p: Array, temperature: float) -> Array:
    """Probabilities p (N, K) to the power of 1 / temperature, with a sum of 1."""
    if temperature == 1.0:
        return p
    with np.errstate(divide="ignore"):
        return answers.tempered(NUMPY, p, temperature)


def threshold_of(metric: Metric, y: Array, p: Array, weight: Array | None) -> float:
    """From which probability of the second of two classes on it is predicted: what scores best.

    Parameters
    ----------
    metric : Metric
        One of classes, such as "f1" or "balanced_accuracy"; for another, and where there are not
        two classes, the threshold is 0.5.
    y, p, weight
        As of `temperature_of`.
    """
    if p.shape[1] != 2 or not metric.is_of_classes:
        return 0.5
    tried = np.unique(np.quantile(p[:, 1], np.linspace(0.0, 1.0, 201)))
    tried = np.append(tried[(tried > 0) & (tried < 1)], 0.5)
    scores = []
    for threshold in tried:
        scores.append(metric(y, decided(p, threshold), weight))
    if not np.isfinite(scores).any():
        return 0.5
    best = np.flatnonzero(np.array(scores) == np.nanmax(scores))
    return float(tried[best[np.abs(tried[best] - 0.5).argmin()]])  # of equals the most usual


def decided(p: Array, threshold: float) -> Array:
    """Which of two classes is predicted, as ones and zeros (N, 2), for probabilities p (N, 2)."""
    second = (p[:, 1] >= threshold).astype(float)
    return np.stack([1 - second, second], axis=1)

"""How well classes are told apart: thresholds, curves and the calibration of probabilities."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..scores import wilson
from .sampling import MOST_POINTS
from .subject import Subject

Array = Any

MOST_CURVES = 8
"""Classes that have a curve each, the most frequent ones."""

BINS = 10
"""Of calibration, each with as many rows."""


@dataclasses.dataclass(frozen=True)
class Curve:
    """What becomes of one class against all others as the threshold falls.

    Attributes
    ----------
    label : str
    positives, negatives : int
        Rows that are of the class, and rows that are not.
    thresholds : array (P,)
        Falling. Whoever has at least this probability counts as of the class.
    hits, alarms : array of int (P,)
        Rows that then count and are, and rows that then count and are not.
    auc : float
        Under the ROC curve.
    average_precision : float
    """

    label: str
    positives: int
    negatives: int
    thresholds: Array
    hits: Array
    alarms: Array
    auc: float
    average_precision: float


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Whether probabilities are what they say, bin by bin.

    Attributes
    ----------
    of : str
        Whose probability it is.
    said : array (B,)
        The mean probability of each bin.
    found : array (B,)
        The share of its rows for which it came true.
    low, high : array (B,)
        The 95 % interval of that.
    rows : array of int (B,)
    error : float
        The mean distance of the two, by rows (expected calibration error).
    """

    of: str
    said: Array
    found: Array
    low: Array
    high: Array
    rows: Array
    error: float


@dataclasses.dataclass(frozen=True)
class ClassPage:
    """All of it."""

    curves: list[Curve]
    calibration: Calibration
    threshold: float | None


def class_page(subject: Subject) -> ClassPage:
    """Curves of the second of two classes, or of each of several against the rest."""
    p, y, labels = subject.predictions, subject.y, subject.labels
    if len(labels) == 2:
        found = [curve(labels[1], p[:, 1], y == 1, subject.threshold)]
        of, said, true = f"the probability of {labels[1]}", p[:, 1], y == 1
    else:
        counts = np.bincount(y, minlength=len(labels))
        common = np.argsort(-counts, kind="stable")[:MOST_CURVES]
        found = [
            curve(labels[k], p[:, k], y == k) for k in np.sort(common) if 0 < counts[k] < len(y)
        ]
        best = p.argmax(axis=1)
        of = "the probability of the class that is predicted"
        said, true = p[np.arange(len(p)), best], best == y
    threshold = subject.threshold if len(labels) == 2 else None
    return ClassPage(found, calibration(of, said, true), threshold)


def curve(label: str, p: Array, positive: Array, keep: float | None = None) -> Curve:
    """The curve of probabilities p (N,) of a class, for rows that are or are not of it (N,).

    Of more than `MOST_POINTS` thresholds some are left out; ``keep`` is not.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    thresholds = np.unique(p)[::-1]
    hits_at, alarms_at = np.sort(p[positive]), np.sort(p[~positive])
    if len(thresholds) > MOST_POINTS:
        # by rank, so that both curves are even where rows are
        place = np.linspace(0, len(thresholds) - 1, MOST_POINTS).round().astype(int)
        thresholds = thresholds[place]
    own = [] if keep is None else [keep]
    thresholds = np.unique(np.concatenate([thresholds, own, [np.inf]]))[::-1]
    hits = len(hits_at) - np.searchsorted(hits_at, thresholds, side="left")
    alarms = len(alarms_at) - np.searchsorted(alarms_at, thresholds, side="left")
    both = bool(len(hits_at) and len(alarms_at))
    return Curve(
        label,
        int(positive.sum()),
        int((~positive).sum()),
        np.where(np.isinf(thresholds), 1.0 + 1e-9, thresholds),
        hits,
        alarms,
        float(roc_auc_score(positive, p)) if both else float("nan"),
        float(average_precision_score(positive, p)) if both else float("nan"),
    )


def calibration(of: str, said: Array, true: Array) -> Calibration:
    """Probabilities (N,), and whether what they are of came true (N,), by ranks."""
    order = np.argsort(said, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    mean = np.array([said[part].mean() for part in bins])
    found = np.array([true[part].mean() for part in bins])
    rows = np.array([len(part) for part in bins])
    limits = np.array([wilson(int(true[part].sum()), len(part)) for part in bins])
    error = float((rows * np.abs(mean - found)).sum() / rows.sum())
    return Calibration(of, mean, found, limits[:, 0], limits[:, 1], rows, error)

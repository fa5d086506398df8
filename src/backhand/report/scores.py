"""How good predictions are: scores with intervals, beside those of a baseline."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import amount
from ..tabular.metrics import Metric

Array = Any

Z = 1.959964
"""Standard deviations of a normal distribution on each side of 95 % of it."""

RESAMPLES = 200
MOST_RESAMPLED = 2_000
"""Rows of a resample. Of more rows the deviations are scaled, as they shrink with the root."""

MOST_RANKED = 20
"""Classes up to which there is an AUC: ranks for each of them take long, and a mean says little."""

NAMES = {
    "neg_log_loss": "log-loss",
    "roc_auc": "AUC",
    "neg_root_mean_squared_error": "RMSE",
    "neg_mean_absolute_error": "MAE",
    "r2": "R2",
}
"""Names for people of scikit-learn's metrics."""

OF_SECOND = ("f1", "precision", "recall", "jaccard", "average_precision")
"""Metrics that look at the second of two classes only."""


class Score(NamedTuple):
    """One score.

    Attributes
    ----------
    name : str
    value : float
    low, high : float
        Its 95 % interval; NaN if the rows do not tell.
    baseline : float
        What answers that look at no column score.
    """

    name: str
    value: float
    low: float
    high: float
    baseline: float


class ClassScore(NamedTuple):
    """How one class is recognised.

    Attributes
    ----------
    label : str
    rows : int
        That have it.
    recall : float
        The share of them for which it is predicted; NaN without rows.
    low, high : float
        Its 95 % interval, by Wilson.
    precision : float
        The share of its predictions that are right; NaN if there are none.
    """

    label: str
    rows: int
    recall: float
    low: float
    high: float
    precision: float


@dataclasses.dataclass(frozen=True)
class Scores:
    """How good the predictions of some rows are.

    Attributes
    ----------
    rows : int
    scores : list of Score
    baseline : str
        What the baseline answers, for people.
    classes : list of ClassScore
        Empty for a regression.
    confusion : array of int (K, K), or None
        Rows of each class (down) for which each is predicted (across).
    """

    rows: int
    scores: list[Score]
    baseline: str
    classes: list[ClassScore] = dataclasses.field(default_factory=list)
    confusion: Array | None = None

    def values(self) -> dict[str, float]:
        """The scores by name."""
        return {score.name: score.value for score in self.scores}

    def summary(self) -> dict[str, Any]:
        """The scores and the baseline as JSON-able data; None in place of NaN."""
        scores = [_finite(score) for score in self.scores]
        return {"rows": self.rows, "scores": scores, "baseline": self.baseline}

    @classmethod
    def read(cls, found: Any) -> Scores | None:
        """The scores of a `summary`; None for anything else, as somebody may have edited it."""
        try:
            scores = [Score(*_read(one, Score._fields)) for one in found["scores"]]
            return cls(int(found["rows"]), scores, str(found["baseline"]))
        except (TypeError, ValueError, KeyError, AttributeError):
            return None

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON-able data; None in place of NaN."""
        classes = [_finite(one) for one in self.classes]
        confusion = None if self.confusion is None else self.confusion.tolist()
        return {**self.summary(), "classes": classes, "confusion": confusion}


def _finite(values: Any) -> dict[str, Any]:
    found = values._asdict()
    lost = {k: None for k, v in found.items() if isinstance(v, float) and not math.isfinite(v)}
    return {**found, **lost}


def _read(found: Mapping[str, Any], fields: Sequence[str]) -> list[Any]:
    name, *rest = fields
    numbers = [found[field] for field in rest]
    return [str(found[name]), *(math.nan if n is None else float(n) for n in numbers)]


def score_classes(
    y: Array, p: Array, chosen: Array, labels: Sequence[Any], metric: Metric | None = None
) -> Scores:
    """Score predictions of classes.

    Parameters
    ----------
    y : array of int (N,)
        Numbers of classes.
    p : array (N, K)
        Probabilities.
    chosen : array of int (N,)
        Numbers of the classes that are predicted.
    labels : sequence of K
    metric : Metric, optional
        A further one; "accuracy" and the like are there anyway.
    """
    rows, counts = len(y), np.bincount(y, minlength=len(labels))
    shares, most = counts / rows, int(counts.argmax())
    constant, same = np.tile(shares, (rows, 1)), np.full(rows, most)
    functions: dict[str, Callable[[Array, Array, Array], float]] = {
        "balanced accuracy": lambda y, p, chosen: _balanced(y, chosen),
        "AUC": lambda y, p, chosen: _auc(y, p),
        "log-loss": lambda y, p, chosen: _log_loss(y, p),
    }
    if len(labels) > MOST_RANKED:
        del functions["AUC"]
    if metric is not None:
        name, sign = named(metric, labels)
        known = metric

        def further(y: Array, p: Array, chosen: Array) -> float:
            return sign * known(y, np.eye(len(labels))[chosen] if known.is_of_classes else p)

        if name != "accuracy":
            functions.setdefault(name, further)
    right = int((chosen == y).sum())
    found = [Score("accuracy", right / rows, *wilson(right, rows), float(shares[most]))]
    ranges = intervals(functions, (y, p, chosen))
    for name, function in functions.items():
        value = function(y, p, chosen)
        found.append(Score(name, value, *ranges[name], function(y, constant, same)))
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (y, chosen), 1)
    text = f"always {labels[most]!s}, the most frequent class of these rows"
    return Scores(rows, found, text, _by_class(confusion, labels), confusion)


def score_numbers(y: Array, predictions: Array, metric: Metric | None = None) -> Scores:
    """Score predictions of numbers.

    Parameters
    ----------
    y, predictions : array (N,)
    metric : Metric, optional
        A further one; RMSE, MAE and R2 are there anyway.
    """
    functions: dict[str, Callable[[Array, Array], float]] = {
        "RMSE": lambda y, p: float(np.sqrt(np.mean((y - p) ** 2))),
        "MAE": lambda y, p: float(np.mean(np.abs(y - p))),
        "R2": _r2,
    }
    if metric is not None:
        name, sign = named(metric)
        functions.setdefault(name, lambda y, p: sign * metric(y, p))
    mean = float(np.mean(y))
    ranges = intervals(functions, (y, predictions))
    constant = np.full(len(y), mean)
    found = [
        Score(name, function(y, predictions), *ranges[name], function(y, constant))
        for name, function in functions.items()
    ]
    return Scores(len(y), found, f"always {amount(mean, 6)}, the mean of these rows")


def named(metric: Metric, labels: Sequence[Any] = ()) -> tuple[str, float]:
    """A metric's name for people, and -1 if smaller is better under this name."""
    sign = -1.0 if metric.name.startswith("neg_") else 1.0
    name = NAMES.get(metric.name, metric.name.removeprefix("neg_").replace("_", " "))
    if len(labels) == 2 and metric.name in OF_SECOND:
        name += f" of {labels[1]!s}"
    return name, sign


# intervals ----------------------------------------------------------------------------------------


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); NaN without trials."""
    if not trials:
        return math.nan, math.nan
    share, z2 = successes / trials, Z**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def intervals(
    functions: Mapping[str, Callable[..., float]], arrays: Sequence[Array]
) -> dict[str, tuple[float, float]]:
    """95 % intervals by the bootstrap: what the functions are for rows drawn with replacement.

    Parameters
    ----------
    functions : mapping of str to callable
        Each takes the arrays and returns a number.
    arrays : sequence of array (N, ...)

    Returns
    -------
    dict of str to (float, float)
        Of each function; NaN where it is not a number for most draws, and where all draws give
        the same one: 40 rows that are all answered rightly do not say that all others are.
    """
    rows = len(arrays[0])
    drawn = min(rows, MOST_RESAMPLED)
    shrink = math.sqrt(drawn / rows)
    rng = np.random.default_rng(0)
    values: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(RESAMPLES):
        some = rng.integers(rows, size=drawn)
        sample = [a[some] for a in arrays]
        for name, function in functions.items():
            values[name].append(function(*sample))
    found = {}
    for name, function in functions.items():
        known = np.array(values[name])
        known = known[np.isfinite(known)]
        if rows < 2 or len(known) < RESAMPLES / 2 or known.min() == known.max():
            found[name] = math.nan, math.nan
            continue
        center = function(*arrays) if shrink < 1 else 0.0
        low, high = center + shrink * (np.quantile(known, (0.025, 0.975)) - center)
        found[name] = float(low), float(high)
    return found


# scores that are resampled, and so have to be quick; scikit-learn's are the oracles ---------------


def _log_loss(y: Array, p: Array) -> float:
    chosen = p[np.arange(len(y)), y]
    return float(-np.log(np.clip(chosen, np.finfo(np.float64).eps, 1.0)).mean())


def _auc(y: Array, p: Array) -> float:
    """The area under the ROC curve; of more than two classes the mean of each against the rest."""
    from scipy.stats import rankdata

    found = []
    for k in [1] if p.shape[1] == 2 else range(p.shape[1]):
        of_class = y == k
        inside, outside = int(of_class.sum()), int((~of_class).sum())
        if inside and outside:
            ranks = rankdata(p[:, k])[of_class].sum()
            found.append((ranks - inside * (inside + 1) / 2) / (inside * outside))
    return float(np.mean(found)) if found else math.nan


def _balanced(y: Array, chosen: Array) -> float:
    counts = np.bincount(y)
    right = np.bincount(y[chosen == y], minlength=len(counts))
    return float((right[counts > 0] / counts[counts > 0]).mean())


def _r2(y: Array, predictions: Array) -> float:
    spread = float(np.sum((y - np.mean(y)) ** 2))
    return 1.0 - float(np.sum((y - predictions) ** 2)) / spread if spread else math.nan


def _by_class(confusion: Array, labels: Sequence[Any]) -> list[ClassScore]:
    found = []
    for k, label in enumerate(labels):
        rows, predicted, right = confusion[k].sum(), confusion[:, k].sum(), confusion[k, k]
        found.append(
            ClassScore(
                str(label),
                int(rows),
                float(right / rows) if rows else math.nan,
                *wilson(int(right), int(rows)),
                float(right / predicted) if predicted else math.nan,
            )
        )
    return found

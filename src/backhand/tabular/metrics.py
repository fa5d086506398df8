"""Metrics by their names in scikit-learn, of predictions that are there already."""

from __future__ import annotations

import dataclasses
import functools
import threading
import warnings
from typing import Any

import numpy as np

from ..errors import InputError, unknown_name

Array = Any

OF_PROBABILITIES = ("neg_log_loss", "neg_brier_score", "roc_auc", "average_precision")
"""A name that begins so is of what scores probabilities, and label smoothing would hurt it."""

OF_NUMBERS = ("error", "deviance", "variance", "r2")
"""One of these is in the name of what scores numbers; scikit-learn does not say it otherwise."""

LOG_LOSS = "neg_log_loss"

SHORT = {
    "log_loss": LOG_LOSS,
    "brier_score": "neg_brier_score",
    "rmse": "neg_root_mean_squared_error",
    "mse": "neg_mean_squared_error",
    "mae": "neg_mean_absolute_error",
    "auc": "roc_auc",
}
"""Names that people use, and scikit-learn's."""


QUIET = threading.Lock()
"""Filters of warnings are the process's, and members are scored on threads of their own."""


class _Predicted:
    """What a scorer takes for a fitted model: "rows" are numbers of rows of predictions."""

    def __init__(self, predictions: Array, classes: Array | None) -> None:
        self._predictions = predictions
        if classes is None:
            self._estimator_type = "regressor"
        else:
            self.classes_ = classes
            self._estimator_type = "classifier"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags

        target = TargetTags(required=True)
        return Tags(estimator_type=self._estimator_type, target_tags=target)

    def fit(self) -> None:
        """Nothing is left to be done; scikit-learn asks whether there is such a method."""

    def predict(self, rows: Array) -> Array:
        if self._estimator_type == "regressor":
            return self._predictions[rows]
        return self.classes_[self._predictions[rows].argmax(axis=1)]

    def predict_proba(self, rows: Array) -> Array:
        return self._predictions[rows]


@dataclasses.dataclass(frozen=True)
class Metric:
    """What a fit makes as good as it can.

    Attributes
    ----------
    name : str
        In scikit-learn, see `sklearn.metrics.get_scorer_names`.
    """

    name: str

    @functools.cached_property
    def _scorer(self) -> Any:
        from sklearn.metrics import get_scorer

        return get_scorer(self.name)

    @property
    def is_of_classes(self) -> bool:
        """Whether it looks at the predicted classes and at no probabilities."""
        return not self.name.startswith(OF_PROBABILITIES)

    def __call__(self, y: Array, predictions: Array, weight: Array = None) -> float:
        """The score, of which greater is better; NaN where it is not defined.

        Parameters
        ----------
        y : array (N,)
            Numbers of classes, or values.
        predictions : array (N, K) or (N,)
            Probabilities, or values.
        weight : array (N,), optional
        """
        if self.name == LOG_LOSS:  # the scorer does not know classes that y lacks
            from sklearn.metrics import log_loss

            labels = np.arange(predictions.shape[1])
            return -float(log_loss(y, predictions, sample_weight=weight, labels=labels))
        is_classes = np.ndim(predictions) == 2
        classes = np.arange(predictions.shape[1]) if is_classes else None
        model, rows = _Predicted(predictions, classes), np.arange(len(y))
        more = {} if weight is None else {"sample_weight": weight}
        with QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # classes that no row has, and the like
            try:
                return float(self._scorer(model, rows, y, **more))
            except (ValueError, UserWarning):  # such as an area under a curve without some class,
                # or a warning of it, where another thread made warnings errors meanwhile
                return float("nan")


def metric_of(name: str | None, regression: bool) -> Metric:
    """The metric of a name; by default the log-loss, or the root mean squared error.

    Raises
    ------
    InputError
        If scikit-learn has no such scorer, or it is for the other task.
    """
    from sklearn.metrics import get_scorer_names

    default = "neg_root_mean_squared_error" if regression else LOG_LOSS
    if name is None:
        return Metric(default)
    known = get_scorer_names()
    if not isinstance(name, str) or SHORT.get(name, name) not in known:
        raise unknown_name("metric", name, [*SHORT, *known])
    metric = Metric(SHORT.get(name, name))
    y = np.array([0.0, 1.0, 2.0, 1.0]) if regression else np.array([0, 1, 0, 1])
    predictions = y + 0.25 if regression else np.array([[0.7, 0.3], [0.4, 0.6]] * 2)
    try:
        found = metric(y, predictions)
    except (IndexError, TypeError, AttributeError):
        found = float("nan")
    of_numbers = any(part in metric.name for part in OF_NUMBERS)
    if not np.isfinite(found) or of_numbers != regression:
        task = "regression" if regression else "classification"
        raise InputError(f"metric {name!r} is not for {task}")
    return metric

"""What `class_weight` makes of each row's targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from ..errors import InputError

Array = Any


def weights_of_classes(given: Any, classes: Array, t: Array) -> Array:
    """The factor of each row (N,) by its class.

    Parameters
    ----------
    given : dict, list of dict or "balanced"
        The parameter `class_weight`.
    classes : (classes,)
        The labels.
    t : (N, 1) int64
        Which of them each row has.

    Raises
    ------
    InputError
        If a weight is not finite or negative, or it is a list, which is for several labels.
    """
    if isinstance(given, list):
        raise InputError(
            f"class_weight={given!r}: a list of dicts is for several labels a row; for one, "
            "give a dict"
        )
    by_class = compute_class_weight(given, classes=classes, y=classes[t[:, 0]])
    _check(by_class, f"class_weight={given!r}")
    return by_class[t[:, 0]]


def weights_of_labels(given: Any, t: Array) -> Array:
    """The factor of each row (N,), the product over its labels.

    Parameters
    ----------
    given : list of dict or "balanced"
        The parameter `class_weight`: for each label what 0 and 1 weigh, 1 if not there.
    t : (N, labels) int64
        Which labels each row has.

    Raises
    ------
    InputError
        If there is not a dict of 0 and 1 for each label, or a weight is not finite or negative.
    """
    if given == "balanced":
        return compute_sample_weight(given, t)
    if isinstance(given, dict) or len(given) != t.shape[1]:
        raise InputError(
            f"class_weight={given!r}: for {t.shape[1]} labels, give a list of as many dicts "
            "{0: weight, 1: weight}, or 'balanced'"
        )
    factors = np.ones(len(t))
    for label, weights in enumerate(given):
        if not (isinstance(weights, dict) and set(weights) <= {0, 1}):
            raise InputError(
                f"class_weight[{label}] must be a dict of 0 and 1 to weights, got {weights!r}"
            )
        by_value = np.array([weights.get(0, 1.0), weights.get(1, 1.0)], float)
        _check(by_value, f"class_weight[{label}]={weights!r}")
        factors *= by_value[t[:, label]]
    return factors


def _check(weights: Array, place: str) -> None:
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError(f"{place}: weights must be finite and >= 0")

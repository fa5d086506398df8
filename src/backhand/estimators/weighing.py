"""What `class_weight` makes of each row's targets."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.validation import _check_sample_weight

from ..errors import InputError
from ..plan.ranges import as_numbers, power_of_two, usable_weight

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
    if isinstance(given, dict):
        labels = classes.tolist()
        missing = [label for label in labels if label not in given]
        unknown = [label for label in given if label not in labels]
        if missing and unknown:
            raise InputError(
                f"class_weight has {unknown}, not in y: the classes {missing} of y are not in "
                "class_weight"
            )
    by_class = compute_class_weight(given, classes=classes, y=classes[t[:, 0]])
    _check(by_class, f"class_weight={given!r}")
    return by_class[t[:, 0]]


def weights_of_labels(given: Any, t: Array) -> list[Array]:
    """The factors of each row (N,), whose product its weight is: one for each label.

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
        return [compute_sample_weight(given, t)]
    if isinstance(given, dict) or len(given) != t.shape[1]:
        raise InputError(
            f"class_weight={given!r}: for {t.shape[1]} labels, give a list of as many dicts "
            "{0: weight, 1: weight}, or 'balanced'"
        )
    factors = []
    for label, weights in enumerate(given):
        if not (isinstance(weights, dict) and set(weights) <= {0, 1}):
            raise InputError(
                f"class_weight[{label}] must be a dict of 0 and 1 to weights, got {weights!r}"
            )
        by_value = np.array([weights.get(0, 1.0), weights.get(1, 1.0)], float)
        _check(by_value, f"class_weight[{label}]={weights!r}")
        factors.append(by_value[t[:, label]])
    return factors


def checked_weight(weight: Any, X: Array, name: str) -> Array:
    """The weights of rows in float64. Raises ValueError unless they are finite and at least 0."""
    if not isinstance(weight, numbers.Real):  # which counts for every row
        weight = as_numbers(weight, name)
        if weight.ndim == 0:
            raise InputError(f"{name} must be a number for each row, got {weight}")
    with np.errstate(over="ignore"):  # what float64 does not hold is told by its place
        return _check_sample_weight(weight, X, dtype=np.float64, ensure_non_negative=True)


def product(factors: list[Array], dtype: str, name: str) -> tuple[Array, int]:
    """The products of factors (N,) as weights, and the power of 2 that they were multiplied by.

    See `backhand.plan.ranges.usable_weight`. A product may leave the range of float64 where its
    factors do not, so each is scaled by a power of 2 of its own, if it is large or small.

    Raises
    ------
    InputError
        If all of them are 0.
    """
    found, exponent = np.ones(len(factors[0])), 0
    for factor in factors:
        shift = power_of_two(float(factor.max(initial=0.0)))
        found, exponent = found * np.ldexp(factor, shift), exponent + shift
    if not found.any():
        raise InputError(f"{name} is 0 for every row: give a positive weight to some")
    weight, shift = usable_weight(found, dtype, name)
    return weight, exponent + shift


def _check(weights: Array, place: str) -> None:
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError(f"{place}: weights must be finite and >= 0")

"""The L2 penalty as scikit-learn has it, which is divided by the weight of each batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError

Array = Any


class Penalty(NamedTuple):
    """The L2 penalty as scikit-learn has it, instead of a config's ``l2``.

    Parameters
    ----------
    alpha : float
        Divided by the weight of each batch it is the factor of half the squared weights.
    averaged : int
        The loss that is shown is divided by this, and then the penalty is added.
    """

    alpha: float
    averaged: int = 1


def divided(alpha: float, weights: Array, dtype: str) -> Array:
    """The L2 penalty divided by the weight of each batch. Raises InputError beyond the dtype."""
    with np.errstate(over="ignore"):
        found = alpha / weights
    if not found.max() <= np.finfo(dtype).max:
        raise InputError(
            f"alpha divided by the weight of a batch, {alpha:.3g} / {weights.min():.3g}, is "
            "beyond what the network's dtype holds: set alpha=0, or scale sample_weight up"
        )
    return np.asarray(found)

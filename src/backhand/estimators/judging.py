"""What a fit is judged by: scores and losses on other rows, and functions that watch it."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..network import Network
from .descent import Data, Params

Judge = Callable[[Params], tuple[float, float]]
"""From parameters to their score, which early stopping maximises, and their loss."""


def judge_of(estimator: Any, network: Network, validation: Data) -> Judge:
    """How an estimator's ``scoring`` judges parameters by the validation rows.

    Raises
    ------
    ValueError
        From scikit-learn, if there is no score of that name.
    """
    x, t, weight = validation
    weight = None if weight is None else weight[:, 0]
    averaged = estimator._outputs_averaged()
    given = estimator.scoring
    scorer = None
    if given is not None and given != "loss":
        from sklearn.metrics import check_scoring  # slow to import

        scorer = check_scoring(estimator, given)
        seen = copy.copy(estimator)
        seen.__dict__.pop("feature_names_in_", None)  # x is an array by now
        y = estimator._decoded(t)
        extra = {} if weight is None else {"sample_weight": weight}

    def judge(params: Params) -> tuple[float, float]:
        with np.errstate(over="ignore", invalid="ignore"):  # `fit` tells where it diverged
            z = estimator._forwarded(x, params)
            loss = network.loss_at(z, t, weight) / averaged
        if scorer is not None:
            seen._keep(network, params)
            return float(scorer(seen, x, y, **extra)), loss
        return -loss if given == "loss" else estimator._score_logits(z, t, weight), loss

    return judge


@dataclasses.dataclass(frozen=True)
class Progress:
    """What a callback of an estimator sees after an epoch, or an iteration of "lbfgs".

    Parameters
    ----------
    epoch : int
        How many this fit has done.
    loss : float
        The last value of ``loss_curve_``.
    validation_score, validation_loss : float or None
        The last values of ``validation_scores_`` and ``validation_loss_curve_``.
    epochs : int
        How many there may be in this fit.
    """

    epoch: int
    loss: float
    validation_score: float | None
    validation_loss: float | None
    epochs: int
    _params: Callable[[], Params] = dataclasses.field(repr=False)

    @functools.cached_property
    def params(self) -> Params:
        """The weights and biases (w, b) of each layer, copied when they are first asked for.

        They are those of this epoch if that is while the callback runs.
        """
        return self._params()


def functions_of(callbacks: Any) -> Sequence[Callable[[Progress], Any]]:
    """The functions of an estimator's `callbacks`."""
    return [callbacks] if callable(callbacks) else callbacks or ()

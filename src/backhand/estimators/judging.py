"""What a fit is judged by: scores and losses on other rows, and functions that watch it."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .descent import Data, Params

if TYPE_CHECKING:
    from .task import Task

Judge = Callable[[Params], tuple[float, float]]
"""From parameters to their score, which early stopping maximises, and their loss."""


def judge_of(task: Task, validation: Data) -> Judge:
    """How an estimator's ``scoring`` judges parameters by the validation rows.

    Raises
    ------
    ValueError
        From scikit-learn, if there is no score of that name.
    """
    x, t, weight = validation
    weight = None if weight is None else weight[:, 0]
    estimator = task.settings
    given = estimator.scoring
    scorer = None
    if given is not None and given != "loss":
        from sklearn.metrics import check_scoring  # slow to import

        scorer = check_scoring(estimator, given)
        seen = copy.copy(estimator)
        y = task.fitted.targets.decode(t)
        extra = {} if weight is None else {"sample_weight": weight}

    def judge(params: Params) -> tuple[float, float]:
        with np.errstate(over="ignore", invalid="ignore"):  # `fit` tells where it diverged
            z = task.fitted.forward(x, params)
            z = z if x.dtype == np.float32 else z.astype(np.float64, copy=False)
            loss = task.network.loss_at(z, t, weight) / task.averaged
        if scorer is not None:
            seen.__dict__.update(task.attributes(params))
            seen.__dict__.pop("feature_names_in_", None)  # x is an array by now
            return float(scorer(seen, x, y, **extra)), loss
        return -loss if given == "loss" else estimator._score_logits(
            task.fitted, z, t, weight
        ), loss

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

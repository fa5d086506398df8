"""What a training ends with: a result, or the error that it has diverged."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..errors import BackhandError
from ..network import Params
from .state import Epoch, TrainState


@dataclasses.dataclass
class FitResult:
    """What training gives.

    Attributes
    ----------
    params : dict of str to array
        Of the best epoch where there is validation, else of the last.
    history : list of Epoch
        Earlier trainings that it continued included.
    best_epoch : int
        Where ``params`` come from; 0 is before training.
    stopped : {"epochs", "patience", "callback", "interrupted", "converged", "no progress"}
        Why it ended; the last two only of L-BFGS.
    state : TrainState
        Where it stands after its last whole epoch: ``fit(..., state=...)`` continues from there
        with the bits of a training that was never interrupted.
    """

    params: Params
    history: list[Epoch]
    best_epoch: int
    stopped: str
    state: TrainState


class DivergedError(BackhandError):
    """The loss or a parameter is no longer finite; ``result`` is the best before that."""

    result: FitResult


def check_finite(
    epoch: int, loss: float, params: Params | None, where: str | None, rate: float | None
) -> None:
    """Raise DivergedError if the loss or a parameter is not finite; it names the layer.

    Parameters
    ----------
    epoch : int
    loss : float
    params : mapping of str to array, or None
    where : str or None
        The first buffer with a value that is not finite, if that is known.
    rate : float or None
        The learning rate; None of L-BFGS.
    """
    bad = [name for name, a in (params or {}).items() if not np.isfinite(a).all()]
    if math.isfinite(loss) and not bad:
        return
    # gradients go from the last layer to the first
    where = where or (f"{bad[-1]} (a parameter)" if bad else "the loss")
    remedy = "inputs in scale" if rate is None else f"a smaller learning rate than {rate:g}"
    raise DivergedError(
        f"training diverged in epoch {epoch}: loss {loss:g}, values of {where} are not finite; "
        f"try {remedy}"
    )

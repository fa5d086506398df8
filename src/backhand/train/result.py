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

    def __repr__(self) -> str:
        """What became of it, and the shapes of what was learned."""
        shapes = ", ".join(f"{name} {tuple(a.shape)}" for name, a in self.params.items())
        if not self.history:
            return f"<FitResult: no epoch, ended: {self.stopped}; {shapes}>"
        kept = self.history[self.best_epoch - 1] if self.best_epoch else self.history[-1]
        scores = [f"loss {kept.loss:.4g}"]
        if kept.validation_loss is not None:
            scores.append(f"validation loss {kept.validation_loss:.4g}")
        if kept.validation_score is not None:
            scores.append(f"validation score {kept.validation_score:.4g}")
        return (
            f"<FitResult: epoch {self.best_epoch} of {len(self.history)} kept, "
            f"{', '.join(scores)}; ended: {self.stopped}; {shapes}>"
        )


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

"""What a training ends with: a result, or the error that it has diverged."""

from __future__ import annotations

import dataclasses

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

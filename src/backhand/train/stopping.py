"""Early stopping: the best epoch so far, and when there has been no better one for too long."""

from __future__ import annotations

import dataclasses
import math

from ..network import Params


@dataclasses.dataclass(frozen=True)
class Best:
    """The best epoch so far.

    Attributes
    ----------
    merit : float
        Its score, or the negative of its loss: greater is better.
    epoch : int
        Its number; 0 is before training.
    waited : int
        How many epochs ago the last improvement was.
    params : dict of str to array, or None
        Its parameters, where they are kept.
    """

    merit: float = -math.inf
    epoch: int = 0
    waited: int = 0
    params: Params | None = None


@dataclasses.dataclass(frozen=True)
class Patience:
    """What counts as an improvement, and how many epochs without one are waited for.

    Parameters
    ----------
    epochs : float
        Training ends after this many epochs without an improvement.
    min_delta : float
        How much better than the best epoch an improvement is.
    as_sklearn : bool
        Whether every better epoch becomes the best one, also if it is no improvement, and exactly
        ``min_delta`` better is one. Else only improvements become the best.
    """

    epochs: float = math.inf
    min_delta: float = 0.0
    as_sklearn: bool = False

    def after(self, best: Best, merit: float, epoch: int, params: Params | None) -> Best:
        """What is best after an epoch of this merit, which may be NaN: that is never better."""
        wanted = best.merit + self.min_delta
        improved = merit >= wanted if self.as_sklearn else merit > wanted
        waited = 0 if improved else best.waited + 1
        if merit > best.merit if self.as_sklearn else improved:
            return Best(merit, epoch, waited, params)
        return dataclasses.replace(best, waited=waited)

    def is_over(self, best: Best) -> bool:
        """Whether the last improvement was too long ago."""
        return best.waited >= self.epochs

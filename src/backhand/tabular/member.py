"""One network of an ensemble: what it predicts, and what callbacks get of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..network import Network, Params
from ..train.callbacks import Progress
from ..train.result import FitResult
from ..train.rows import Rows, parts
from .targets import TargetScale

Array = Any


@dataclasses.dataclass(frozen=True)
class Member:
    """One network of an ensemble.

    Attributes
    ----------
    network : Network
    params : dict of str to array
    scale : TargetScale or None
        None for classes.
    kind : int
        Which of the recipe's networks it is.
    validation_rows : array of int or slice, or None
        Rows of the task that it has not learned from.
    held_out : array (rows, K) or (rows,)
        What it predicts for them.
    result : FitResult or None
        None of a member that was loaded.
    """

    network: Network
    params: Params
    scale: TargetScale | None
    kind: int = 0
    validation_rows: Array | slice | None = None
    held_out: Array | None = None
    result: FitResult | None = None

    def __repr__(self) -> str:
        """How large it is, and what became of its training."""
        size = f"{self.network.n_parameters:,} parameters"
        if self.result is None:
            return f"<Member: {size}>"
        epochs = f"epoch {self.result.best_epoch} of {len(self.result.history)} kept"
        return f"<Member: {size}, {epochs}, ended: {self.result.stopped}>"

    def predictions(self, x: Array) -> Array:
        """Probabilities (N, K) or values (N,) of prepared rows x (N, D)."""
        z = [self.network.forward(self.params, some) for _, some in parts(x)]
        return outputs_of(self.network, self.scale, np.concatenate(z))


def outputs_of(network: Network, scale: TargetScale | None, z: Array) -> Array:
    """Logits z (N, K) as probabilities (N, K), or as values (N,)."""
    y = network.expected(z.astype(np.float64))
    return y if scale is None else scale.decode(y)


@dataclasses.dataclass(frozen=True)
class MemberProgress(Progress):
    """What a callback gets of an epoch of a member.

    Attributes
    ----------
    member, members : int
        Which network it is, counting from 1, and how many there are.
    kind : int
        Which of the recipe's networks.
    network : Network or None
    sample : Rows or None
        Some of its training rows, or of the rows that are held out where training rows are
        streamed; None if there are none of these.
    """

    member: int = 1
    members: int = 1
    kind: int = 0
    network: Network | None = None
    _sample: Callable[[], Rows | None] = dataclasses.field(default=lambda: None, repr=False)

    @property
    def sample(self) -> Rows | None:
        return self._sample()

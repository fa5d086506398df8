"""One network of an ensemble: what it predicts, and what callbacks get of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..network import Network, Params
from ..train.callbacks import Progress
from ..train.result import FitResult
from ..train.rows import parts
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
    """

    member: int = 1
    members: int = 1

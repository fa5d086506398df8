"""How the trainings went: losses, scores, learning rates, and why each ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...train.state import Epoch
from ..ensemble import NetworkRow

MOST_EPOCHS = 200
"""Epochs of a curve; of more, every second, third and so on."""


@dataclasses.dataclass(frozen=True)
class Training:
    """One training.

    Attributes
    ----------
    row : NetworkRow
        What became of it.
    epochs : list of Epoch
        Some of them, if there are many.
    """

    row: NetworkRow
    epochs: list[Epoch]


@dataclasses.dataclass(frozen=True)
class CoursePage:
    """All trainings.

    Attributes
    ----------
    trainings : list of Training
    validation : str
        What ``validation`` of the rows is.
    score : str
        What validation scores are; empty if there are none.
    """

    trainings: list[Training]
    validation: str
    score: str


def thinned(history: Sequence[Epoch]) -> list[Epoch]:
    """At most `MOST_EPOCHS` of the epochs, the last one among them."""
    every = -(-len(history) // MOST_EPOCHS) or 1
    return list(history[::-1][::every])[::-1]

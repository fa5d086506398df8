"""What every loader returns: prepared rows in three splits, and how they were prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from backhand.preprocess.preparation import Preparation

Task = Literal["classification", "regression"]
TASKS: tuple[Task, ...] = ("classification", "regression")


@dataclass(frozen=True)
class Split:
    """Rows that are ready for a network.

    Attributes
    ----------
    x : ndarray of float32, shape (N, D)
        Prepared inputs, C-contiguous.
    t : ndarray
        Targets: int64 class indices of shape (N,) for classification, standardised float32
        values of shape (N, 1) for regression.
    """

    x: NDArray[np.float32]
    t: NDArray[Any]

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Data:
    """A data set: three splits, and what is needed to treat new rows in the same way.

    Attributes
    ----------
    name : str
        The data set's name, or the file's path.
    task : {"classification", "regression"}
    train, validation, test : Split
    classes : list of str, int, float or bool, or None
        The class that each index stands for; None for regression.
    preparation : Preparation
        Fitted only on the training rows; ``preparation.apply`` prepares new rows.
    target : str or None
        The target's column for a table, None otherwise.
    feature_names : list of str
        One name for each prepared column, D of them.
    target_mean, target_std : float
        Of the raw regression target over the training rows: ``t * target_std + target_mean`` is
        in the target's own unit. 0 and 1 for classification.
    """

    name: str
    task: Task
    train: Split
    validation: Split
    test: Split
    classes: list[Any] | None
    preparation: Preparation
    target: str | None
    feature_names: list[str]
    target_mean: float = 0.0
    target_std: float = 1.0

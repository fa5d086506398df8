"""What every loader returns: prepared rows in three splits, and how they were prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from backhand.train.rows import Rows

if TYPE_CHECKING:
    from backhand.preprocess.preparation import Preparation

Task = Literal["classification", "regression"]
TASKS: tuple[Task, ...] = ("classification", "regression")


@dataclass(frozen=True)
class Data:
    """A data set: three splits, and what is needed to treat new rows in the same way.

    Attributes
    ----------
    name : str
        The data set's name, or the file's path.
    task : {"classification", "regression"}
    train, validation, test : Rows
        Ready for a network: x float32 (N, D), C-contiguous; t int64 class indices (N,) for
        classification, standardised float32 values (N, 1) for regression.
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
    train: Rows
    validation: Rows
    test: Rows
    classes: list[Any] | None
    preparation: Preparation
    target: str | None
    feature_names: list[str]
    target_mean: float = 0.0
    target_std: float = 1.0

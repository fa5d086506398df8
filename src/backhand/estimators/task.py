"""`Task`: one call of `fit` or `partial_fit`, from checked data to parameters."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..network import Network, Params
from ..train.rows import Rows
from .course import Course
from .fitted import Fitted

Array = Any


@dataclasses.dataclass
class Task:
    """What a solver works on. It reads the settings, and only writes to the course.

    Parameters
    ----------
    settings : BaseMLP
        The estimator, whose constructor's parameters say how to train.
    fitted : Fitted
        What the fit will leave behind, as yet without parameters.
    params : dict of str to array
        Where training starts.
    data : Rows
    rows : (rows,) int64
        Which rows of the data to use.
    validation : Rows or None
        What early stopping judges by. None: some of those rows, set aside.
    alpha : float
        The L2 penalty, of data whose weights may have been multiplied.
    averaged : int
        The loss that is shown is the one that is minimised divided by this.
    rng : RandomState
        Of the order, the split and dropout.
    incremental : bool
        Whether to run a single epoch and go on from the optimiser's state.
    """

    settings: Any
    fitted: Fitted
    params: Params
    data: Rows
    rows: Array
    validation: Rows | None
    alpha: float
    averaged: int
    rng: np.random.RandomState
    incremental: bool

    @property
    def network(self) -> Network:
        """What is trained, and what will predict."""
        return self.fitted.network

    @property
    def course(self) -> Course:
        """What is recorded."""
        return self.fitted.course

    def attributes(self, params: Params) -> dict[str, Any]:
        """What the estimator would have if the fit ended now with these parameters."""
        return self.fitted.with_params(params).attributes(self.course.attributes())

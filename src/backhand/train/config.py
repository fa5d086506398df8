"""`TrainConfig`: how to train, with every value checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engines import checked_engine
from ..errors import InputError, unknown_name
from ..formulas.entry import as_float
from ..formulas.optimisers import choose_optimiser, clipping
from ..formulas.schedules import Schedule, choose_schedule
from ..plan.scalars import DECAY

MONITORS = ("score", "loss")

SCHEDULED = (DECAY, "dropout", "label_smoothing")
"""The settings that may follow a schedule of their own."""

LBFGS = "lbfgs"
"""The optimiser that is no update of a batch: it takes all rows at each step, see `lbfgs`."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Parameters
    ----------
    epochs : int
        Passes over the training rows, at most; iterations of L-BFGS.
    batch_size : int
        Rows a step; the last batch of an epoch may be smaller.
    optimiser, schedule : str or entry
        See `backhand.formulas.optimisers` and `backhand.formulas.schedules`. "lbfgs" takes all
        rows at each step and chooses the length of its steps itself; batch size, learning rate,
        schedule and order mean nothing to it.
    learning_rate : float
        What the schedule scales.
    l2 : float
        Factor of half the squared weights (not biases) in the loss.
    schedules : mapping of str to (str or entry), optional
        For "weight_decay", "dropout" and "label_smoothing": a schedule whose factor, from 0 to 1,
        scales that setting in each step. None of them needs a new compilation.
    clip_norm : float, optional
        The longest that the gradient of a step may be, all parameters and the L2 penalty
        together: a longer one is made that long. It takes memory for all gradients, and time.
    shuffle : bool
        Whether each epoch takes the rows in a new order.
    seed : int
        Of the order and of dropout.
    patience : int or None
        Stop after this many epochs without an improvement, by more than ``min_delta``, of what is
        monitored. None: never.
    monitor : {"score", "loss"}
        What makes an epoch the best one: the validation score, or the validation loss. Without a
        score it is the loss.
    min_delta : float
        What counts as an improvement.
    engine : {"llvm", "numpy"}, optional
        Which executor; see `backhand.engines.default_engine`.
    threads : int, optional
        How many threads machine code may use; by default as many as a step is worth. It never
        changes a bit of the result.

    Raises
    ------
    InputError
        If a value makes no sense; the message names it.
    """

    epochs: int = 50
    batch_size: int = 64
    optimiser: Any = "adam"
    learning_rate: float = 1e-3
    schedule: Any = "constant"
    l2: float = 0.0
    shuffle: bool = True
    seed: int = 0
    patience: int | None = None
    monitor: str = "score"
    min_delta: float = 0.0
    engine: Any = None
    threads: int | None = None
    clip_norm: float | None = None
    schedules: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.optimiser, str) or self.optimiser != LBFGS:
            object.__setattr__(self, "optimiser", choose_optimiser(self.optimiser))
        object.__setattr__(self, "schedule", choose_schedule(self.schedule))
        object.__setattr__(self, "schedules", self._checked_schedules())
        object.__setattr__(self, "engine", checked_engine(self.engine))
        if not isinstance(self.monitor, str) or self.monitor not in MONITORS:
            raise unknown_name("monitor", self.monitor, MONITORS)
        whole = {"epochs": 0, "batch_size": 1, "seed": 0, "patience": 1, "threads": 1}
        for name, least in whole.items():
            value = getattr(self, name)
            if value is None and name in ("patience", "threads"):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise InputError(f"{name} must be a whole number, got {value!r}")
            if value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
            object.__setattr__(self, name, int(value))
        for name in ("learning_rate", "l2", "min_delta"):
            value = getattr(self, name)
            number = as_float(value)
            if not 0 <= number < math.inf:
                raise InputError(f"{name} must be a finite number, at least 0, got {value!r:.40}")
            object.__setattr__(self, name, number)
        if self.clip_norm is not None:
            if self.optimiser == LBFGS:
                raise InputError(
                    f"clip_norm={self.clip_norm!r} needs another optimiser than 'lbfgs', which "
                    "chooses the length of its steps itself"
                )
            limited = clipping(self.optimiser, self.clip_norm)
            object.__setattr__(self, "optimiser", limited)
        if not isinstance(self.shuffle, (bool, np.bool_)):
            raise InputError(f"shuffle must be True or False, got {self.shuffle!r}")

    def _checked_schedules(self) -> dict[str, Schedule]:
        if not isinstance(self.schedules, Mapping):
            raise InputError(
                "schedules must be a mapping such as {'dropout': 'flat_cos'}, got "
                f"{self.schedules!r:.40}"
            )
        found = {}
        for name, schedule in self.schedules.items():
            if name not in SCHEDULED:
                raise unknown_name("setting in schedules", name, SCHEDULED)
            try:
                found[name] = choose_schedule(schedule)
            except InputError as error:
                raise InputError(f"schedules[{name!r}]: {error}") from None
        if found and self.optimiser == LBFGS:
            raise InputError(
                f"schedules of {', '.join(found)} need another optimiser than 'lbfgs', which takes "
                "the loss to be the same function at every step"
            )
        if DECAY in found and DECAY not in self.optimiser.keywords:
            raise InputError(
                f"schedules[{DECAY!r}] needs an optimiser with {DECAY}, such as 'adamw', got "
                f"{self.optimiser.name!r}"
            )
        return found

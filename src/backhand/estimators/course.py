"""The course of a fit, as an estimator shows it: losses, scores, and the best of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from ..errors import InputError
from ..train.state import Epoch
from ..train.stopping import Best

NUMBERS = ("n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_", "stopped_")
LISTS = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
BY_EPOCHS = ("best_loss_", "best_validation_score_", *LISTS)
"""The attributes that only a course by epochs has."""


@dataclasses.dataclass
class Course:
    """What an estimator shows of its fits, under the names of its attributes.

    A fit works on a course of its own, `resumed` from the last one, and leaves that as it was.

    Attributes
    ----------
    curves : dict of str to list or None
        What earlier fits recorded, by the names of `LISTS`; empty before there was an epoch.
    added : dict of str to list
        What this fit has recorded besides.
    """

    n_iter_: int = 0
    t_: int = 0
    loss_: Any = None
    best_loss_: Any = None
    best_validation_score_: Any = None
    stopped_: bool | None = None
    curves: dict[str, list[Any] | None] = dataclasses.field(default_factory=dict)
    added: dict[str, list[Any]] = dataclasses.field(
        default_factory=lambda: {name: [] for name in LISTS}
    )

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Course:
        """The course that fitted attributes tell of. Raises InputError if one makes no sense."""
        course = cls()
        for name, value in attributes.items():
            listed = name in LISTS and (value is None or isinstance(value, list))
            numbers = value or [] if listed else [value]
            if not all(number is None or isinstance(number, Real) for number in numbers):
                raise InputError(f"{name} is {value!r}: numbers are needed")
            if listed:
                course.curves[name] = None if value is None else list(value)
            elif name in NUMBERS:
                setattr(course, name, value)
            else:
                raise InputError(f"an estimator has no {name!r}")
        if course.curves:
            course.curves = {name: course.curves.get(name) for name in LISTS}
        return course

    def resumed(self) -> Course:
        """A course that goes on from this one, which stays as it is."""
        return dataclasses.replace(
            self, curves=dict(self.curves), added={name: [] for name in LISTS}
        )

    def begin(self, early_stopping: bool, last: Best) -> Best:
        """Begin the record of epochs, unless it goes on from an earlier fit; the best one so far.

        ``last`` is what early stopping knew at the end of that.
        """
        found = self.best_validation_score_ if early_stopping else self.best_loss_
        if found is not None:
            return dataclasses.replace(last, merit=found if early_stopping else -found)
        self.best_loss_ = None if early_stopping else math.inf
        self.best_validation_score_ = -math.inf if early_stopping else None
        self.curves = {
            "loss_curve_": self.curves.get("loss_curve_") or [],
            "validation_scores_": [] if early_stopping else None,
            "validation_loss_curve_": [] if early_stopping else None,
        }
        return Best()

    def begin_parts(self, last: Best) -> None:
        """Compare with no epoch of `fit`, which had other rows, nor with weights that are lost."""
        if self.stopped_ is None or last.params is None:
            self.best_validation_score_ = None
            self.stopped_ = False

    def note(self, line: Epoch, best: Best, early_stopping: bool) -> None:
        """Note an epoch, and the best one so far."""
        self.loss_ = line.loss
        self.added["loss_curve_"].append(line.loss)
        if line.validation_loss is not None:
            self.added["validation_scores_"].append(line.validation_score)
            self.added["validation_loss_curve_"].append(line.validation_loss)
        if early_stopping:
            self.best_validation_score_ = best.merit
        else:
            self.best_loss_ = -best.merit

    def settle(self) -> None:
        """End the record of this fit: what it added is what later ones go on from."""
        self.curves = {name: self._curve(name) for name in self.curves}
        self.added = {name: [] for name in LISTS}

    def _curve(self, name: str) -> list[Any] | None:
        earlier = self.curves[name]
        return None if earlier is None else earlier + self.added[name]

    def attributes(self) -> dict[str, Any]:
        """The fitted attributes, with lists that are the caller's own."""
        found: dict[str, Any] = {"n_iter_": self.n_iter_, "t_": self.t_}
        if self.loss_ is not None:
            found["loss_"] = self.loss_
        if self.stopped_ is not None:
            found["stopped_"] = self.stopped_
        if self.curves:
            found["best_loss_"] = self.best_loss_
            found["best_validation_score_"] = self.best_validation_score_
            found.update({name: self._curve(name) for name in self.curves})
        return found

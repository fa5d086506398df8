"""What is known of a table after it has been read once: the statistics of its columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..datasets.source import named
from ..datasets.stream import MOST_CLASSES
from ..errors import InputError, count
from ..preprocess.cells import STRAY_SHARE
from ..preprocess.distribution import Distribution
from ..preprocess.gathering import Gathering
from ..preprocess.sketches import Quantiles
from ..train.blocks import ahead
from .fitting import FEWEST_FOLDED
from .stream_rows import LabelledStream

Array = Any


class FirstPass:
    """What is known of a stream after it has been read once, or of a part of a table.

    Attributes
    ----------
    rows : int
        With a target.
    left_out, strays : int
        Without one, and how many of these have something else there.
    lengths : list of int
        All rows of each part that was merged.
    labels : dict of label to int
        Rows of each class.
    weight : float
        The sum of all.
    """

    def __init__(self, labelled: LabelledStream) -> None:
        skip = [labelled.target, *([labelled.weight] if labelled.weight else [])]
        self.gathering = Gathering(labelled.sample, skip)
        self.rows, self._numbers = 0, Quantiles()
        self.labels: dict[Any, int] = {}
        self._target, self._values = labelled.target, Quantiles()
        self._y: Distribution | None = None
        self.weight = 0.0
        with ahead(labelled.rows()) as found:
            for some in found:
                with named(some.where):
                    self.gathering.add(some.table, some.numbers)
                    if labelled.regression:
                        _check_values(some.y, labelled.target)
                        self._values.add(some.y)
                    else:
                        self._count(zip(*np.unique(some.y, return_counts=True), strict=True))
                self.rows += len(some.y)
                if labelled.stream.last:
                    self._numbers.add(some.numbers.astype(float))
                self.weight += len(some.y) if some.weight is None else float(some.weight.sum())
        self.left_out, self.strays = labelled.left_out, labelled.strays
        self._stray = labelled.stray
        self.lengths = [labelled.stream.source.length or 0]

    def merge(self, other: FirstPass) -> None:
        """Take in what is known of the next part of a table; both know the lengths of theirs."""
        before = sum(self.lengths)
        self.gathering.merge(other.gathering, before)
        self._values.merge(other._values)
        self._count(other.labels.items())
        self.rows += other.rows
        self.left_out += other.left_out
        self._stray = self._stray if self.strays else other._stray
        self.strays += other.strays
        self.weight += other.weight
        self.lengths += other.lengths

    def check(self) -> None:
        """Raise InputError if there are too few rows, or too many that are misread."""
        if self.strays > STRAY_SHARE * (self.rows + self.strays):
            raise InputError(
                f"target column {self._target!r}: {count(self.strays, 'cell')} are not like those "
                f"of a sample, such as {self._stray}; make it text in a Parquet file if these are "
                "classes, or leave such rows out"
            )
        odd = [label for label in self.labels if isinstance(label, float) and label % 1]
        if odd:
            raise InputError(
                f"target column {self._target!r} holds fractions, such as {odd[0]:g}, and no "
                "classes; TabularRegressor learns numbers"
            )
        if self.rows < FEWEST_FOLDED:
            raise InputError(
                f"target column {self._target!r}: {count(self.rows, 'row')} with a target "
                f"and a weight over 0; {FEWEST_FOLDED} are needed"
            )

    def last_from(self, share: float) -> float:
        """The number of the row from which on a share of the rows are; inf for none."""
        if not share:
            return np.inf
        return float(self._numbers.distribution().quantiles(1 - share))

    @property
    def y(self) -> Distribution | None:
        """Of a regression's targets."""
        if self._y is None and self._values.rows:
            self._y = self._values.distribution()
        return self._y

    def _count(self, counted: Iterable[tuple[Any, Any]]) -> None:
        for label, number in counted:
            self.labels[label] = self.labels.get(label, 0) + int(number)
        if len(self.labels) > MOST_CLASSES:
            raise InputError(
                f"target column {self._target!r} has more than {MOST_CLASSES:,} distinct values, "
                "too many for classes; TabularRegressor learns numbers"
            )


def _check_values(y: Array, target: str) -> None:
    if not np.isfinite(y).all():
        raise InputError(f"target column {target!r} has an infinite value; leave such rows out")

"""The rows that are most wrong, and what drove their predictions."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...errors import amount
from .attributions import attribute
from .sampling import MOST_MISTAKES
from .subject import Subject

Array = Any

MOST_DRIVERS = 8
"""Columns that are listed; the others are added up."""


@dataclasses.dataclass(frozen=True)
class Driver:
    """What one column did to a prediction."""

    column: str
    value: str
    added: float


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One of the rows that are most wrong.

    Attributes
    ----------
    row : int
        Its number, as in the user's file.
    actual, predicted : str
    answer, base : float
        The probability of the class that is predicted, or the value; and the mean of the rows that
        it is compared with.
    of_actual : float or None
        The probability of the class that it is.
    drivers : list of Driver
        Those that did most first.
    others : float
        What all other columns did.
    gap : float
        What the sum lacks, and whether that is small.
    adds_up : bool
    pixels, heat : array (H, W) or None
        Of a picture: itself, and what each pixel did.
    """

    row: int
    actual: str
    predicted: str
    answer: float
    base: float
    of_actual: float | None
    drivers: list[Driver]
    others: float
    gap: float
    adds_up: bool
    pixels: Array = None
    heat: Array = None


def mistakes(subject: Subject) -> list[Mistake]:
    """The rows with the largest errors, or the smallest probability of the class that they are."""
    y, found = subject.y, subject.predictions
    if subject.classes is None:
        wrongness = np.abs(found - y)
    else:
        assert subject.chosen is not None
        wrongness = np.where(subject.chosen == y, -1.0, 1 - found[np.arange(len(y)), y])
    order = np.argsort(-wrongness, kind="stable")[:MOST_MISTAKES]
    return [_mistake(subject, int(row)) for row in order if wrongness[row] > 0]


def _mistake(subject: Subject, row: int) -> Mistake:
    labels = subject.labels
    of_actual, k = None, 0
    if subject.chosen is None:
        actual, said = amount(subject.y[row], 6), amount(subject.predictions[row], 6)
    else:
        k = int(subject.chosen[row])
        actual, said = labels[int(subject.y[row])], labels[k]
        of_actual = float(subject.predictions[row, subject.y[row]])
    why = attribute(subject, row, k)
    added = {
        name: float(why.by_input[cells.places].sum()) for name, cells in subject.columns.items()
    }
    first = sorted(added, key=lambda name: -abs(added[name]))
    drivers = [
        Driver(name, subject.columns[name].text(row), added[name]) for name in first[:MOST_DRIVERS]
    ]
    picture = {}
    if subject.image is not None:
        pixels = subject.x[row].reshape(subject.image)
        picture = {"pixels": pixels, "heat": why.by_input.reshape(subject.image)}
    return Mistake(
        int(subject.numbers[row]),
        actual,
        said,
        why.answer,
        why.base,
        of_actual,
        drivers,
        sum(added[name] for name in first[MOST_DRIVERS:]),
        why.gap,
        why.adds_up,
        **picture,
    )

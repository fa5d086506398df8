"""Predictions of numbers beside what they are of: errors, and the coverage of intervals."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..scores import wilson
from .sampling import MOST_SCATTERED, drawn
from .subject import Subject

Array = Any

BINS = 40
"""Of a histogram."""

CELLS = 40
"""Of a picture of many points, in each direction."""

INNER = (0.005, 0.995)
"""Quantiles between which a picture of errors is drawn; the others are counted in its last bars."""


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How many values lie within intervals.

    Attributes
    ----------
    promised, half_width : float
        What the model says.
    found, low, high : float
        The share of rows that are within, and its 95 % interval.
    """

    promised: float
    half_width: float
    found: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class ValuePage:
    """All of it.

    Attributes
    ----------
    predicted, actual : array (P,)
        Of a sample of the rows.
    edges : array (BINS + 1,)
        Of the histogram of errors, predicted minus actual.
    errors : array of int (BINS,)
    density : list of (float, float, float, float, int)
        Cells with rows in them: least and largest prediction, least and largest value, rows.
        Empty where all rows are in ``predicted``.
    bias, spread : float
        Mean and standard deviation of errors.
    coverage : list of Coverage
    """

    predicted: Array
    actual: Array
    edges: Array
    errors: Array
    density: list[tuple[float, float, float, float, int]]
    bias: float
    spread: float
    coverage: list[Coverage]


def value_page(subject: Subject) -> ValuePage:
    """Errors of a regression."""
    y, found = subject.y, subject.predictions
    wrong = found - y
    some = drawn(len(y), MOST_SCATTERED)
    low, high = np.quantile(wrong, INNER)
    half = max(abs(low), abs(high)) or 1.0
    counts, edges = np.histogram(np.clip(wrong, -half, half), BINS, (-half, half))
    cells = []
    if len(y) > MOST_SCATTERED:
        number, across, down = np.histogram2d(found, y, CELLS)
        cells = [
            (across[i], across[i + 1], down[j], down[j + 1], int(number[i, j]))
            for i, j in np.argwhere(number)
        ]
    coverage = []
    for promised, width in subject.half_widths.items():
        inside = int((np.abs(wrong) <= width).sum())
        coverage.append(Coverage(promised, width, inside / len(y), *wilson(inside, len(y))))
    return ValuePage(
        found[some],
        y[some],
        edges,
        counts,
        cells,
        float(wrong.mean()),
        float(wrong.std()),
        coverage,
    )

"""What columns are for the model: how much they matter, and how its answers go with them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...tabular.importance import shuffled_losses
from ..scores import named
from .sampling import (
    DEPENDENCE_ROWS,
    FEWEST_SHUFFLED,
    GRID,
    IMPORTANCE_WORK,
    MOST_DEPENDENCES,
    MOST_SHUFFLED,
    drawn,
)
from .subject import Cells, Subject
from .text import NOTHING, day, shown

Array = Any

REPEATS = 5
"""How often the values of a column change places."""

MOST_VALUES = 10
"""Categories of a partial dependence, the most frequent ones."""

MOST_LINES = 5
"""Classes of a partial dependence."""

BINS = 30
"""Of the density of numbers."""

INNER = (0.01, 0.99)
"""Quantiles of numbers between which answers are shown."""


@dataclasses.dataclass(frozen=True)
class Importance:
    """What the score loses where a column's values change places: mean and standard deviation."""

    column: str
    mean: float
    deviation: float


@dataclasses.dataclass(frozen=True)
class Dependence:
    """How the mean answer goes with one column, all others being as they are in some rows.

    Attributes
    ----------
    column : str
    kind : {"number", "date", "category"}
    at : list
        Numbers, days since 1970-01-01, or texts.
    labels : list of str
        The same for people.
    answers : array (G, L)
        Mean probabilities of L classes, or means of what is predicted, L = 1.
    low, high : array (G, L)
        Between them lie the answers of the middle 80 % of these rows.
    lines : list of str
        What each of L is.
    density : list of (float, float, int), or of int
        Of numbers and dates: from, to, rows. Of categories: the rows of each.
    """

    column: str
    kind: str
    at: list[Any]
    labels: list[str]
    answers: Array
    low: Array
    high: Array
    lines: list[str]
    density: list[Any]


@dataclasses.dataclass(frozen=True)
class ColumnPage:
    """All of it.

    Attributes
    ----------
    metric : str
        What importance is measured in, for people; a loss of it is bad.
    importances : list of Importance
        Most important first.
    shuffled_rows, repeats : int
    dependences : list of Dependence
    dependence_rows : int
    """

    metric: str
    importances: list[Importance]
    shuffled_rows: int
    repeats: int
    dependences: list[Dependence]
    dependence_rows: int


def column_page(subject: Subject) -> ColumnPage:
    """Importance of all columns, and the partial dependence of those that matter most."""
    places = {name: cells.places for name, cells in subject.columns.items()}
    parameters = sum(network.n_parameters for network, _ in subject.answering.networks)
    affordable = int(IMPORTANCE_WORK / (max(parameters, 1) * REPEATS * len(places)))
    rows = drawn(len(subject), int(np.clip(affordable, FEWEST_SHUFFLED, MOST_SHUFFLED)), seed=2)
    x = subject.x[rows].copy()

    def score(x: Array) -> float:
        return subject.score(subject.answering(x, rows), rows)

    lost = shuffled_losses(x, places, score, REPEATS, np.random.default_rng(0))
    found = [
        Importance(name, float(values.mean()), float(values.std(ddof=1)))
        for name, values in lost.items()
    ]
    some = drawn(len(subject), DEPENDENCE_ROWS, seed=3)
    shown_ones = [one.column for one in found if one.mean > 0][:MOST_DEPENDENCES]
    metric = subject.metric
    name = named(metric, subject.labels)[0] if metric is not None else _usual(subject)
    return ColumnPage(
        name,
        found,
        len(rows),
        REPEATS,
        [dependence(subject, name, some) for name in shown_ones],
        len(some),
    )


def _usual(subject: Subject) -> str:
    return "RMSE" if subject.classes is None else "log-loss"


def dependence(subject: Subject, column: str, some: Array) -> Dependence:
    """The partial dependence on a column over rows ``some`` (M,) (Friedman 2001).

    What the column is set to are the values of rows, so that it never has any that makes no sense.
    """
    cells = subject.columns[column]
    grid, density = _of_categories(cells) if cells.kind == "category" else _of_numbers(cells)
    pieces = []
    for row in grid:
        x = subject.x[some].copy()
        x[:, cells.places] = subject.x[row, cells.places]
        found = subject.answering(x, some)
        pieces.append(found[:, None] if found.ndim == 1 else found)
    answers = np.array(pieces)  # (G, M, K)
    lines = [subject.target]
    if subject.classes is not None:
        labels = subject.labels
        kept = [1] if len(labels) == 2 else _largest(answers)
        answers, lines = answers[:, :, kept], [labels[k] for k in kept]
    values = [cells.values[row] for row in grid]
    at = [None if v is None else v if isinstance(v, str) else float(v) for v in values]
    low, high = np.quantile(answers, (0.1, 0.9), axis=1)
    told = [day(v) if cells.kind == "date" else shown(v) for v in values]
    return Dependence(column, cells.kind, at, told, answers.mean(axis=1), low, high, lines, density)


def _largest(answers: Array) -> list[int]:
    """The classes whose probability the column moves most."""
    moved = np.ptp(answers.mean(axis=1), axis=0)
    return sorted(np.argsort(-moved, kind="stable")[:MOST_LINES].tolist())


def _of_numbers(cells: Cells) -> tuple[list[int], list[Any]]:
    """Rows whose numbers lie between the quantiles, in increasing order, and a histogram."""
    values = np.asarray(cells.values, np.float64)
    known = np.flatnonzero(np.isfinite(values))
    known = known[np.argsort(values[known], kind="stable")]
    first, last = (np.array(INNER) * (len(known) - 1)).round().astype(int)
    inner = known[first : last + 1]
    different = inner[np.concatenate([[True], np.diff(values[inner]) > 0])]
    place = np.linspace(0, len(different) - 1, min(GRID, len(different))).round().astype(int)
    # half by rank, half by distance: both where rows are, and far out
    aims = np.linspace(values[different[0]], values[different[-1]], GRID // 2)
    far = np.searchsorted(values[different], aims).clip(0, len(different) - 1)
    grid = different[np.unique(np.concatenate([place[:: 2 if len(place) == GRID else 1], far]))]
    low, high = values[grid[0]], values[grid[-1]]
    counts, edges = np.histogram(values[known], BINS, (low, high) if high > low else None)
    bars = [(float(a), float(b), int(n)) for a, b, n in zip(edges, edges[1:], counts, strict=False)]
    return grid.tolist(), bars


def _of_categories(cells: Cells) -> tuple[list[int], list[int]]:
    """A row with each of the most frequent texts, and the rows that have it."""
    texts = np.array([str(v or "").strip() or NOTHING for v in cells.values], object)
    _, first, counts = np.unique(texts.astype(str), return_index=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    return first[order].tolist(), counts[order].tolist()

"""How much each column drove the prediction of a row: expected gradients, which add up.

A row is compared with others. On the straight way from another row to this one, the derivative by
each input times how far that input goes, summed along the way, is what the input did to the answer;
over all inputs it is the difference of the two answers. The mean over many other rows is that to
the mean answer (Erion et al. 2021; integrated gradients: Sundararajan et al. 2017).

A code that is looked up in an embedding has no way in between: it jumps at a moment of the way that
is drawn by chance, and what the answer does at that moment is what the code did.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .sampling import BASELINES, drawn
from .subject import Subject

Array = Any

STEPS = 16
"""Of each way, at first; twice as many until it adds up."""

MOST_STEPS = 512

ALLOWED = 0.02
"""The gap that is allowed between the sum and the difference, as a share of all contributions."""

AT_ONCE = 16_384
"""Points of ways; bounds the memory."""


@dataclasses.dataclass(frozen=True)
class Attribution:
    """Why a row is answered as it is.

    Attributes
    ----------
    base : float
        The mean answer of the rows that it is compared with.
    answer : float
        The answer for this row: the probability of the class that is explained, or the value.
    by_input : array (D,)
        What each input adds.
    gap : float
        ``answer - base - sum``: what is lost to a finite number of steps.
    steps : int
        Of each way.
    """

    base: float
    answer: float
    by_input: Array
    gap: float
    steps: int

    @property
    def adds_up(self) -> bool:
        """Whether the gap is as small as it has to be."""
        size = float(np.abs(self.by_input).sum())
        return abs(self.gap) <= ALLOWED * max(size, abs(self.answer - self.base)) + 1e-6


def attribute(subject: Subject, row: int, k: int = 0) -> Attribution:
    """The attribution of a row's answer, of the probability of class k where there are classes.

    Parameters
    ----------
    subject : Subject
    row : int
        Its place.
    k : int
    """
    others = drawn(len(subject), BASELINES, seed=1)
    codes = np.array([c for cells in subject.columns.values() for c in cells.codes], int)
    steps = STEPS
    while True:
        found = _attributed(subject, row, k, others, codes, steps)
        if found.adds_up or steps >= MOST_STEPS:
            return found
        steps *= 2


def _attributed(
    subject: Subject, row: int, k: int, others: Array, codes: Array, steps: int
) -> Attribution:
    rng = np.random.default_rng(row)
    here, there = subject.x[row].astype(np.float64), subject.x[others].astype(np.float64)
    smooth = np.ones(len(here), bool)
    smooth[codes] = False
    jumps = rng.uniform(size=(len(others), len(codes)))
    total = np.zeros(len(here))

    def at(place: Array, way: Array) -> Array:
        """Inputs at places (P,) of ways (P,); codes have jumped, or not yet."""
        x = there[way] + place[:, None] * (here - there[way])
        x[:, codes] = np.where(place[:, None] > jumps[way], here[codes], there[way][:, codes])
        return x

    # one point in each of the parts of a way, drawn by chance
    place = (np.arange(steps) + rng.uniform(size=(len(others), steps))) / steps
    way = np.repeat(np.arange(len(others)), steps)
    place = place.reshape(-1)
    for first in range(0, len(way), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        rows, which = np.full(len(way[some]), row), np.full(len(way[some]), k)
        dx = subject.answering.gradients(at(place[some], way[some]), rows, which)
        total += (dx * (here - there[way[some]])).sum(axis=0) * smooth / len(way)
    every = np.arange(len(others))
    for number, code in enumerate(codes):
        before = at(jumps[:, number], every)  # not yet, as > says
        after = before.copy()
        after[:, code] = here[code]
        total[code] += (_answers(subject, after, row, k) - _answers(subject, before, row, k)).mean()
    base = float(_answers(subject, there, row, k).mean())
    answer = float(_answers(subject, here[None], row, k)[0])
    return Attribution(base, answer, total, answer - base - float(total.sum()), steps)


def _answers(subject: Subject, x: Array, row: int, k: int) -> Array:
    found = subject.answering(x, np.full(len(x), row))
    return found if found.ndim == 1 else found[:, k]

"""What counts as an improvement, and when patience is over."""

from __future__ import annotations

import math

import pytest

from backhand.train.stopping import Best, Patience


def course(patience, *merits):
    """For each epoch: which one is the best by then, and whether patience is over."""
    best, found = Best(), []
    for epoch, merit in enumerate(merits, 1):
        best = patience.after(best, merit, epoch, None)
        found.append((best.epoch, patience.is_over(best)))
    return found


def test_only_improvements_become_the_best():
    found = course(Patience(2, min_delta=0.1), 0.1, 0.15, 0.19, 0.9)
    assert found == [(1, False), (1, False), (1, True), (4, False)]


def test_of_equals_the_first_is_kept():
    assert [epoch for epoch, _ in course(Patience(), 0.5, 0.5, 0.6, 0.6)] == [1, 1, 3, 3]


def test_as_in_scikit_learn_whatever_is_better_is_the_best_and_just_enough_is_enough():
    patience = Patience(3, min_delta=0.25, as_sklearn=True)
    assert course(patience, 0.5, 0.625, 0.875, 0.5, 0.9, 0.91) == [
        (1, False),
        (2, False),  # better, and no improvement
        (3, False),  # exactly an improvement
        (3, False),
        (5, False),
        (6, True),
    ]


@pytest.mark.parametrize("as_sklearn", [False, True])
def test_nan_is_never_better(as_sklearn):
    found = course(Patience(2, as_sklearn=as_sklearn), math.nan, -5.0, math.nan, math.nan)
    assert found == [(0, False), (2, False), (2, False), (2, True)]


def test_without_a_limit_it_waits_for_ever():
    assert not any(over for _, over in course(Patience(), *range(0, -1000, -1)))

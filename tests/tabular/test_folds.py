"""Which rows each network learns from."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.tabular.folds import folds_of


@pytest.mark.parametrize("rows", [10, 11, 53, 100])
@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_rows_are_learned_from_or_judged_by(rows, count):
    folds = folds_of(None, rows, count, 0.2, seed=3)
    assert len(folds) == count
    for learned, judged in folds:
        assert sorted([*learned, *judged]) == [*range(rows)]
        assert len(judged) in (rows // 5, -(-rows // 5))
    if count >= 5:
        assert sorted(np.concatenate([judged for _, judged in folds[:5]])) == [*range(rows)]


def test_a_second_round_divides_otherwise():
    folds = folds_of(None, 50, 10, 0.2, seed=0)
    assert any(set(folds[0][1]) != set(judged) for _, judged in folds[5:])


def test_classes_keep_their_shares():
    y = np.repeat([0, 1], [80, 20])
    for _, judged in folds_of(y, 100, 5, 0.2, seed=0):
        assert np.bincount(y[judged]).tolist() == [16, 4]


def test_a_rare_class_is_learned_from_by_all():
    y = np.repeat([0, 1, 2], [60, 37, 3])
    for learned, _ in folds_of(y, 100, 5, 0.2, seed=0):
        assert (y[learned] == 2).sum() == 3
    alone = np.arange(20)  # each row is a class of its own
    assert len(folds_of(alone, 20, 2, 0.2, seed=0)) == 2

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backhand.datasets.splitting import split_rows
from backhand.errors import InputError


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(10, 400), seed=st.integers(0, 2**32 - 1), classes=st.integers(1, 30))
def test_every_row_is_in_one_part(rows, seed, classes):
    labels = np.random.default_rng(seed).integers(classes, size=rows)
    for given_labels in (labels, None):
        parts = split_rows(rows, given_labels, seed)
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(rows))
        assert abs(len(parts[1]) - rows / 5) <= 1
        assert abs(len(parts[2]) - rows / 5) <= 1


def test_classes_keep_their_shares():
    labels = np.repeat([0, 1, 2], [500, 400, 100])
    for rows in split_rows(1000, labels, 3):
        shares = np.bincount(labels[rows]) / len(rows)
        np.testing.assert_allclose(shares, [0.5, 0.4, 0.1], atol=0.006)


def test_five_rows_of_a_class_reach_every_part():
    labels = np.repeat(np.arange(20), 5)
    for rows in split_rows(100, labels, 0):
        assert set(labels[rows]) == set(range(20))


@pytest.mark.parametrize("seed", range(20))
def test_rare_classes_reach_the_training_rows(seed):
    # of 1, 2, 3 and 4 rows, and ten of 3 rows
    for rare in ([1], [2], [3], [4], [1, 2, 3, 4], [3] * 10):
        counts = [200, 100, *rare]
        labels = np.repeat(np.arange(len(counts)), counts)
        train, validation, test = split_rows(len(labels), labels, seed)
        assert set(labels[train]) == set(range(len(counts)))
        # the other classes keep their shares
        for rows in (validation, test):
            np.testing.assert_allclose(np.bincount(labels[rows])[:2], [40, 20], atol=2)


def test_classes_that_are_all_rare():
    labels = np.repeat(np.arange(20), 3)
    train, validation, test = split_rows(60, labels, 0)
    assert set(labels[train]) == set(range(20))
    assert (len(train), len(validation), len(test)) == (36, 12, 12)


def test_the_seed_decides():
    same = [np.concatenate(split_rows(50, None, 5)).tolist() for _ in range(2)]
    assert same[0] == same[1]
    assert same[0] != np.concatenate(split_rows(50, None, 6)).tolist()


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "0", None, True])
def test_impossible_seeds(seed):
    with pytest.raises(InputError, match="seed"):
        split_rows(50, None, seed)

"""Sketches beside the exact answers: errors within what is promised, whatever the order of rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from backhand.preprocess import sketches
from backhand.preprocess.sketches import EXTREMES, HASHED, KEPT, Counts, Distinct, Quantiles

N = 400_000
SHARES = np.array([0.0, 0.0001, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.9999, 1.0])
RNG = np.random.default_rng(0)
COLUMNS = {
    "normal": RNG.normal(size=N),
    "rising": np.arange(float(N)),
    "falling": np.arange(float(N))[::-1],
    "heavy": RNG.lognormal(0, 4, N),
    "few": RNG.integers(0, 5, N).astype(float),
    "in turns": np.tile(np.arange(1000.0), N // 1000),
    "mostly zero": np.where(RNG.random(N) < 0.9, 0.0, RNG.normal(size=N)),
}


def sketch(values, part=9_999):
    found = Quantiles()
    for first in range(0, len(values), part):
        found.add(values[first : first + part])
    return found


def rank_errors(values, got):
    """How far, as a share of the rows, quantiles are from those that were asked for."""
    values = np.sort(values)
    first, last = (np.searchsorted(values, got, side) / len(values) for side in ("left", "right"))
    return np.maximum(np.maximum(first - SHARES, SHARES - last), 0)


@pytest.mark.parametrize("name", COLUMNS)
def test_ranks_are_off_by_less_than_a_thousandth(name):
    values = COLUMNS[name]
    found = sketch(values).distribution()
    errors = rank_errors(values, found.quantiles(SHARES))
    assert errors.max() < 1e-3
    extremes = (SHARES * N < EXTREMES) | ((1 - SHARES) * N < EXTREMES)
    assert errors[extremes].max() <= 1 / N
    assert (found.least, found.most) == (values.min(), values.max())
    assert np.isclose(found.weights.sum(), N)
    assert (np.diff(found.values) >= 0).all()


def test_few_values_are_kept_as_they_are(rng):
    values = rng.normal(size=KEPT)
    found = sketch(values, 1000).distribution()
    assert found.weights is None
    assert np.array_equal(found.values, values)


def test_memory_does_not_grow_with_the_rows():
    found = sketch(COLUMNS["normal"])
    held = sum(len(a) for level in found._levels for a in level)
    assert held < 3 * KEPT + 10_000
    assert len(found._low) == len(found._high) == EXTREMES


def test_the_same_rows_give_the_same_bits():
    one, other = (sketch(COLUMNS["heavy"]).distribution() for _ in range(2))
    assert np.array_equal(one.values, other.values)
    assert np.array_equal(one.weights, other.weights)


def test_few_texts_are_counted_exactly():
    found = Counts()
    for _ in range(3):
        found.add({"a": 2, "b": 1})
    assert found.counts == {"a": 6, "b": 3}
    assert found.distinct == 2


def test_frequent_texts_survive_many_rare_ones(monkeypatch):
    monkeypatch.setattr(sketches, "FREQUENT", 100)
    rng = np.random.default_rng(1)
    rows = np.concatenate([rng.zipf(1.3, 50_000), np.arange(10**6, 10**6 + 50_000)])
    rows = rng.permutation(rows)
    found, exact = Counts(), Counter()
    for first in range(0, len(rows), 1000):
        some = Counter(str(v) for v in rows[first : first + 1000])
        exact.update(some)
        found.add(some)
    assert len(found.counts) <= 200
    for text, number in exact.items():
        low = number - len(rows) / 100
        assert low < found.counts.get(text, 0) <= number
    assert abs(found.distinct - len(exact)) < 0.05 * len(exact)


@pytest.mark.parametrize("count", [10, HASHED - 1, 100_000])
def test_distinct_values_are_estimated(count):
    found = Distinct()
    for part in np.array_split(np.arange(float(count)), 7):
        found.add_numbers(np.concatenate([part, -0.0 * part[:1], part[:2]]))
    assert abs(found.estimate - count) <= (0 if count < HASHED else 0.05 * count)
    assert count >= HASHED or not found.all_differ


def test_values_that_all_differ_are_known_to():
    found = Distinct()
    for part in np.array_split(np.arange(100_000.0), 7):
        found.add_numbers(part)
    assert found.all_differ


@pytest.mark.parametrize("size", [500, 40_000])
def test_merged_quantiles_are_those_of_all_rows(size):
    values = np.random.default_rng(0).lognormal(size=(6, size))
    merged = Quantiles()
    for some in values:
        part = Quantiles()
        part.add(some)
        merged.merge(part)
    found, every = merged.distribution(), np.sort(values.ravel())
    assert merged.rows == values.size
    assert (found.least, found.most) == (every[0], every[-1])
    shares = np.linspace(0, 1, 101)
    ranks = np.searchsorted(every, found.quantiles(shares)) / len(every)
    assert np.abs(ranks - shares).max() < 1e-3 + 1 / len(every)


def test_merged_counts_are_those_of_all_rows():
    merged = Counts()
    for counted in ({"a": 3, "b": 1}, {}, {"b": 2, "c": 5}):
        part = Counts()
        part.add(counted)
        merged.merge(part)
    assert merged.counts == {"a": 3, "b": 3, "c": 5}
    assert merged.distinct == 3


def test_merged_counts_of_many_texts_keep_the_frequent_ones(monkeypatch):
    monkeypatch.setattr(sketches, "FREQUENT", 64)
    merged, rows = Counts(), 0
    for number in range(8):
        part = Counts()
        counted = {f"{number} {i}": 1 for i in range(200)} | {"often": 500}
        part.add(counted)
        rows += sum(counted.values())
        merged.merge(part)
    assert 8 * 500 - rows / 64 <= merged.counts["often"] <= 8 * 500
    assert len(merged.counts) <= 128
    assert merged.distinct == pytest.approx(1601, rel=0.05)

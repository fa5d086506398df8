"""Distributions: arrays as NumPy has them, and fewer values that stand for several rows each."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.preprocess.distribution import Distribution, mean_and_std
from backhand.preprocess.scaling import Scale, Tail

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.99, 1.0)


def weighted(values):
    """The values with how often each is there."""
    return Distribution(*(a.astype(float) for a in np.unique(values, return_counts=True)))


def test_an_array_is_what_numpy_says_of_it(rng):
    values = rng.normal(size=999)
    found = Distribution.of(values)
    assert Distribution.of(found) is found
    assert np.array_equal(found.quantiles(SHARES), np.quantile(values, SHARES))
    assert (found.least, found.most) == (values.min(), values.max())
    assert found.mean_and_std(-1, 2, "x") == mean_and_std(np.clip(values, -1, 2), "x")


def test_weights_of_one_change_nothing(rng):
    values = np.sort(rng.normal(size=999))
    found = Distribution(values, np.ones(999))
    np.testing.assert_allclose(found.quantiles(SHARES), np.quantile(values, SHARES), rtol=1e-12)


def test_weights_are_rows(rng):
    values = rng.integers(0, 9, 5000).astype(float)
    found = weighted(values)
    assert len(found.values) == 9
    np.testing.assert_allclose(found.mean_and_std(1, 7, "x"), mean_and_std(values.clip(1, 7), "x"))
    # a value stands in the middle of its rows, so quantiles are within one of the values
    assert (np.abs(found.quantiles(SHARES) - np.quantile(values, SHARES)) <= 0.51).all()


def test_scales_and_tails_are_fitted_to_either(rng):
    values = np.round(rng.lognormal(0, 2, 20_000), 2)
    one, other = (Scale.of(found, "x") for found in (values, weighted(values)))
    np.testing.assert_allclose(one.to_list(), other.to_list(), rtol=0.02)
    tails = [Tail.of(found, one, "x").to_list() for found in (values, weighted(values))]
    np.testing.assert_allclose(*tails, rtol=0.02)


def test_values_beyond_float64_have_no_deviation():
    with pytest.raises(InputError, match=r"x: values up to 1.7e"):
        mean_and_std(np.array([1.7e308, 1.7e308, -1.7e308, -1.7e308]), "x", np.ones(4))

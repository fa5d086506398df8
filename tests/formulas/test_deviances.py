"""Deviances near their minimum, where their terms cancel; see test_losses.py for their values."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.formulas.deviances import LARGEST_LOG_RATE, LARGEST_RATE, NO_LOG, SERIES, excess
from backhand.formulas.losses import LOSSES, choose_loss
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near

DEVIANCES = ["poisson", "gamma", "tweedie", "tweedie:power=1.05", "tweedie:power=1.9"]


def value(spec, z, t):
    loss = choose_loss(spec)
    return loss.value(NUMPY, z, t, **loss.keywords)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spec", DEVIANCES)
def test_never_negative_and_a_parabola_at_the_target(spec, dtype, rng):
    z = rng.uniform(-5, 5, 1000).astype(dtype)
    t = np.exp(z)
    assert (value(spec, z, t) >= 0).all()
    assert (value(spec, z, t) <= 40 * np.finfo(dtype).eps ** 2 * (1 + t)).all()
    # mu is the mean, and its deviance grows as half the square of a step times t^b
    loss = choose_loss(spec)
    b = {"poisson": 1.0, "gamma": 0.0}.get(spec, 2 - loss.keywords.get("power", 0))
    step = 2.0**-8
    near = value(spec, np.full(1, step, dtype), np.ones(1, dtype))
    assert_near(near, [0.5 * step**2], rtol=step)
    assert_near(value(spec, z + 1e-2, t), 0.5 * 1e-4 * t**b, rtol=2e-2, atol=0)


@pytest.mark.parametrize("edge", [-1.0, 1.0])
def test_series_and_difference_meet(edge):
    u = np.array([edge * (1 - 1e-15), edge])
    near, far = excess(NUMPY, u, 0.0 * u, 1.0, 1.0)
    assert_near(near, far, rtol=1e-14, atol=0)
    assert len(SERIES) == 18


def test_no_target_of_zero_is_near_a_rate():
    z = np.linspace(-1000, 30, 4001)
    zero = np.zeros_like(z)
    assert np.array_equal(value("poisson", z, zero), np.exp(z))
    assert_near(value("tweedie:power=1.99", z, zero), np.exp(0.01 * z) / 0.01, rtol=1e-11, atol=0)
    assert np.exp(NO_LOG) == 0


@pytest.mark.parametrize("t", [0.0, 3.0, 1e13, 1e14])
def test_beyond_the_largest_rate_it_goes_on_as_its_tangent(t):
    loss = LOSSES["poisson"]
    z, step = np.array([LARGEST_LOG_RATE]), 4.0
    at, on, further = (loss.value(NUMPY, z + k * step, np.array([t])) for k in range(3))
    assert_near(on - at, further - on, rtol=1e-9, atol=0)
    assert_near((on - at) / step, [LARGEST_RATE - t], rtol=1e-9, atol=0)

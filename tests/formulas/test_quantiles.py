"""Several quantiles at once: they rise, and their derivative is that of autograd."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import InputError, Network, verify
from backhand.formulas.losses import LOSSES, choose_loss
from backhand.formulas.quantiles import quantiles, rising, rising_vjp
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near

LEVELS = [(0.5,), (0.1, 0.9), (0.05, 0.25, 0.5, 0.75, 0.95), tuple(np.linspace(0.01, 0.99, 17))]


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_executors_and_autograd_agree(levels, dtype, rng):
    network = Network((3, 5, len(levels)), loss=quantiles(levels), dtype=dtype)
    assert Network.from_dict(network.to_dict()) == network
    params = network.init("glorot_normal", 0)
    t = np.repeat(rng.standard_normal((40, 1)), len(levels), 1)
    assert verify(network, params, rng.standard_normal((40, 3)), t)


@pytest.mark.parametrize("levels", LEVELS)
def test_quantiles_rise_whatever_the_logits(levels, rng):
    count = len(levels)
    z = rng.standard_normal((200, count)) * 10.0 ** rng.integers(-3, 4, (200, 1))
    q = rising(NUMPY, z, count)
    assert (np.diff(q, axis=1) >= 0).all()
    want = np.cumsum(np.hstack([z[:, :1], np.logaddexp(0, z[:, 1:])]), axis=1)
    assert_near(q, want, rtol=1e-13, atol=1e-12)


def test_the_vjp_by_finite_differences(rng):
    z, dq = rng.standard_normal((2, 6, 4))
    step = 1e-6
    want = np.empty_like(z)
    for k in range(4):
        h = step * (np.arange(4) == k)
        want[:, k] = ((rising(NUMPY, z + h, 4) - rising(NUMPY, z - h, 4)) * dq).sum(1) / (2 * step)
    # differences of order step**2, and rounding of order eps / step
    assert_near(rising_vjp(NUMPY, z, dq, 4), want, atol=1e-8)


def test_a_single_one_is_the_loss_of_one(rng):
    z, t = rng.standard_normal((2, 30, 1))
    one, other = quantiles((0.3,)), LOSSES["quantile"].with_(level=0.3)
    assert_near(one.value(NUMPY, z, t), other.value(NUMPY, z, t, level=0.3), atol=0)
    assert_near(one.grad(NUMPY, z, t), other.grad(NUMPY, z, t, level=0.3), atol=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quantiles:0.5,0.1", r"must rise and lie between 0 and 1, got \[0.5, 0.1\]"),
        ("quantiles:0.1,0.1", "must rise"),
        ("quantiles:0,0.5", "between 0 and 1"),
        ("quantiles:0.5,1", "between 0 and 1"),
        ("quantiles:nan", "between 0 and 1"),
        ("quantiles:", "written like quantiles:0.1,0.5,0.9, got 'quantiles:'"),
        ("quantiles:a", "written like"),
        ("quantiles:0.1,0.5 of tanh", "written like"),
    ],
)
def test_levels_that_make_no_sense(text, message):
    with pytest.raises(InputError, match=message):
        choose_loss(text)

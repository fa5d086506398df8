"""Learned factors and slopes: values by hand, derivatives as slopes, PReLU as torch's."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.check.autodiff import slopes
from backhand.formulas import scaling
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near


@pytest.fixture
def points(rng):
    z = rng.standard_normal((40, 3))
    return z, rng.standard_normal(z.shape), rng.standard_normal(3), rng.standard_normal(z.shape)


def test_values_by_hand():
    x, s, b = np.array([2.0, -3.0]), np.array([0.5, 4.0]), np.array([1.0, 0.25])
    assert scaling.scale(NUMPY, x, s).tolist() == [1.0, -12.0]
    assert scaling.scale_and_shift(NUMPY, x, s, b).tolist() == [2.0, -11.75]
    f, a = np.array([4.0, 1.0]), np.array([0.25, 1.0])
    assert scaling.blend(NUMPY, x, f, a).tolist() == [0.75 * 2 + 0.25 * 4, 1.0]
    assert scaling.prelu(NUMPY, x, np.array([7.0, 0.5])).tolist() == [2.0, -1.5]


def test_derivatives_are_slopes(points):
    z, f, a, dy = points
    dx, ds = scaling.scale_vjp(NUMPY, z, a, dy)
    assert_near(dx, dy * slopes(lambda v: scaling.scale(NUMPY, v, a), z), rtol=1e-9)
    rows = np.broadcast_to(a, z.shape)
    assert_near(ds, dy * slopes(lambda v: scaling.scale(NUMPY, z, v), rows), rtol=1e-9)
    assert np.array_equal(scaling.scale_vjp_factor(NUMPY, z, dy), ds)
    dz, df, da = scaling.blend_vjp(NUMPY, z, f, a, dy)
    blend = scaling.blend
    assert_near(dz, dy * slopes(lambda v: blend(NUMPY, v, f, a), z), rtol=1e-9, atol=1e-10)
    assert_near(df, dy * slopes(lambda v: blend(NUMPY, z, v, a), f), rtol=1e-9, atol=1e-10)
    assert_near(da, dy * slopes(lambda v: blend(NUMPY, z, f, v), rows), rtol=1e-9, atol=1e-10)
    assert np.array_equal(scaling.blend_vjp_strength(NUMPY, z, f, dy), da)


def test_a_strength_of_zero_is_the_identity_and_one_the_activation(points):
    z, f, *_ = points
    assert np.array_equal(scaling.blend(NUMPY, z, f, np.zeros(3)), z)
    assert_near(scaling.blend(NUMPY, z, f, np.ones(3)), f, rtol=1e-14, atol=1e-15)


@pytest.mark.torch
def test_prelu_is_torchs_at_its_kink_too(points):
    import torch

    z, _, a, dy = points
    z[:5] = 0.0
    tz, ta = (torch.tensor(v, requires_grad=True) for v in (z, a))
    y = torch.nn.functional.prelu(tz, ta)
    y.backward(torch.tensor(dy))
    assert np.array_equal(scaling.prelu(NUMPY, z, a), y.detach().numpy())
    dz, da = scaling.prelu_vjp(NUMPY, z, a, dy)
    assert_near(dz, tz.grad.numpy(), rtol=1e-15)
    assert_near(da.sum(0), ta.grad.numpy(), rtol=1e-12)

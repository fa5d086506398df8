"""The gated linear unit against torch's silu, and its derivative as a slope."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.check.autodiff import slopes
from backhand.formulas import gates
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near


@pytest.mark.torch
def test_it_is_u_times_torchs_silu(rng):
    import torch

    u, v, dy = rng.standard_normal((3, 50, 4)) * 3
    tu, tv = (torch.tensor(a, requires_grad=True) for a in (u, v))
    want = tu * torch.nn.functional.silu(tv)
    want.backward(torch.tensor(dy))
    assert_near(gates.gated_silu(NUMPY, u, v), want.detach().numpy(), rtol=1e-13, atol=1e-15)
    du, dv = gates.gated_silu_vjp(NUMPY, u, v, dy)
    assert_near(du, tu.grad.numpy(), rtol=1e-12, atol=1e-14)
    assert_near(dv, tv.grad.numpy(), rtol=1e-12, atol=1e-13)


def test_its_derivative_is_the_slope(rng):
    u, v, dy = rng.standard_normal((3, 50))
    du, dv = gates.gated_silu_vjp(NUMPY, u, v, dy)
    assert_near(du, dy * slopes(lambda a: gates.gated_silu(NUMPY, a, v), u), rtol=1e-9, atol=1e-11)
    assert_near(dv, dy * slopes(lambda a: gates.gated_silu(NUMPY, u, a), v), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_it_is_finite(dtype):
    v = np.array([-1e4, -100.0, 100.0, 1e4], dtype)
    u = np.full_like(v, 2.0)
    with np.errstate(over="ignore"):
        assert gates.gated_silu(NUMPY, u, v).tolist() == pytest.approx([0, 0, 200, 2e4])
        assert all(np.isfinite(a).all() for a in gates.gated_silu_vjp(NUMPY, u, v, u))

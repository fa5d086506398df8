"""Norms of rows against torch's, and what they do to rows."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.formulas import norms
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near

WIDTHS = pytest.mark.parametrize("width", [1, 2, 7, 64])


def drawn(rng, width):
    x = rng.standard_normal((9, width)) * 3 + 5
    return (
        x,
        rng.standard_normal(width),
        rng.standard_normal(width),
        rng.standard_normal((9, width)),
    )


@pytest.mark.torch
@WIDTHS
@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_values_and_derivatives_are_torchs(name, width, epsilon, rng):
    import torch

    x, g, b, dy = drawn(rng, width)
    tx, tg, tb = (torch.tensor(a, requires_grad=True) for a in (x, g, b))
    words = {"width": float(width), "epsilon": epsilon}
    if name == "layer_norm":
        want = torch.nn.functional.layer_norm(tx, (width,), tg, tb, epsilon)
        got = norms.layer_norm(NUMPY, x, g, b, **words)
        dx, dg = norms.layer_norm_vjp(NUMPY, x, g, dy, **words)
    else:
        want = torch.nn.functional.rms_norm(tx, (width,), tg, epsilon)
        got = norms.rms_norm(NUMPY, x, g, **words)
        dx, dg = norms.rms_norm_vjp(NUMPY, x, g, dy, **words)
    want.backward(torch.tensor(dy))
    assert_near(got, want.detach().numpy(), rtol=1e-11, atol=1e-12)
    # a derivative is what is left of terms of size dy / sqrt(epsilon)
    assert_near(dx, tx.grad.numpy(), rtol=1e-9, atol=1e-13 / epsilon)
    assert_near(dg.sum(0), tg.grad.numpy(), rtol=1e-10, atol=1e-12)


@WIDTHS
def test_a_normed_row_has_mean_zero_and_length_one_a_column(width, rng):
    x, *_ = drawn(rng, width)
    words = {"width": float(width), "epsilon": 0.0}
    g, b = np.ones(width), np.zeros(width)
    if width > 1:
        y = norms.layer_norm(NUMPY, x, g, b, **words)
        assert_near(y.mean(1), np.zeros(9), atol=1e-12)
        assert_near(y.std(1), np.ones(9), rtol=1e-12)
        assert_near(norms.layer_norm(NUMPY, 7 * x - 3, g, b, **words), y, rtol=1e-10, atol=1e-11)
    y = norms.rms_norm(NUMPY, x, g, **words)
    assert_near((y * y).mean(1), np.ones(9), rtol=1e-12)
    assert_near(norms.rms_norm(NUMPY, 7 * x, g, **words), y, rtol=1e-12)


def test_members_rows_are_normed_each_by_itself(rng):
    x, g, b = rng.standard_normal((4, 3, 5)), rng.standard_normal(5), rng.standard_normal(5)
    y = norms.layer_norm(NUMPY, x, g, b, width=5.0, epsilon=1e-5)
    for m in range(3):
        one = norms.layer_norm(NUMPY, x[:, m], g, b, width=5.0, epsilon=1e-5)
        assert np.array_equal(y[:, m], one)

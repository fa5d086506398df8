"""The linear layer's derivatives as adjoints: <dz, linear(d)> = <vjp(dz), d> for every d."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from backhand.formulas.linear import linear, linear_vjp_input, linear_vjp_weights
from backhand.testing import assert_near, assert_shape

WIDTH = st.integers(1, 40)


@given(WIDTH, WIDTH, WIDTH, st.integers(0, 99))
def test_each_derivative_is_the_adjoint(n, d, k, seed):
    normal = np.random.default_rng(seed).standard_normal
    x, w, b, dz = normal((n, d)), normal((d, k)), normal(k), normal((n, k))
    dx = linear_vjp_input(w, dz)
    dw, db = linear_vjp_weights(x, dz)
    for got, like, part in (
        (dx, x, lambda a: linear(a, w, 0 * b)),
        (dw, w, lambda a: linear(x, a, 0 * b)),
        (db, b, lambda a: linear(0 * x, w, a)),
    ):
        assert_shape(got, like.shape)
        probe = normal(like.shape)
        want = (dz * part(probe)).sum()
        assert_near((got * probe).sum(), want, rtol=1e-12, atol=1e-10)

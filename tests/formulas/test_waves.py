"""Periodic features: waves as the recipes write them, in radians, and their derivatives."""

from __future__ import annotations

import numpy as np

from backhand.check.autodiff import slopes
from backhand.formulas import waves
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near


def drawn(rng):
    x, w = rng.standard_normal((6, 2, 1)), rng.standard_normal((2, 5))
    return x, w, rng.uniform(-np.pi, np.pi, (2, 5)), rng.standard_normal((6, 2, 5))


def test_cosines_have_phases_in_radians(rng):
    x, w, b, _ = drawn(rng)
    want = np.cos(2 * np.pi * w * x + b)
    assert_near(waves.cosine(NUMPY, x, w, b), want, rtol=1e-12, atol=1e-14)
    cosines, sines = waves.cosine_and_sine(NUMPY, x, w)
    assert_near(cosines, np.cos(2 * np.pi * w * x), rtol=1e-12, atol=1e-14)
    assert_near(sines, np.sin(2 * np.pi * w * x), rtol=1e-12, atol=1e-14)


def test_derivatives_of_cosines_are_slopes(rng):
    x, w, b, dy = drawn(rng)
    dw, db = waves.cosine_vjp(NUMPY, x, w, b, dy)
    rows_w, rows_b, rows_x = (np.broadcast_to(a, dy.shape) for a in (w, b, x))
    cosine = waves.cosine
    want = dy * slopes(lambda a: cosine(NUMPY, x, a, b), rows_w)
    assert_near(dw, want, rtol=1e-8, atol=1e-9)
    want = dy * slopes(lambda a: cosine(NUMPY, x, w, a), rows_b)
    assert_near(db, want, rtol=1e-8, atol=1e-10)
    want = (dy * slopes(lambda a: cosine(NUMPY, a, w, b), rows_x)).sum(-1, keepdims=True)
    assert_near(waves.cosine_vjp_input(NUMPY, x, w, b, dy), want, rtol=1e-8, atol=1e-9)


def test_derivatives_of_cosines_and_sines_are_slopes(rng):
    x, w, _, dcos = drawn(rng)
    dsin = rng.standard_normal(dcos.shape)

    def weighed(x, w):
        cosines, sines = waves.cosine_and_sine(NUMPY, x, w)
        return dcos * cosines + dsin * sines

    rows_w, rows_x = (np.broadcast_to(a, dcos.shape) for a in (w, x))
    got = waves.cosine_and_sine_vjp(NUMPY, x, w, dcos, dsin)
    assert_near(got, slopes(lambda a: weighed(x, a), rows_w), rtol=1e-8, atol=1e-9)
    got = waves.cosine_and_sine_vjp_input(NUMPY, x, w, dcos, dsin)
    want = slopes(lambda a: weighed(a, w), rows_x).sum(-1, keepdims=True)
    assert_near(got, want, rtol=1e-8, atol=1e-9)

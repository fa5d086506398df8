"""The bits of programs, by NumPy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from backhand import Network
from backhand.check.examples import EXAMPLES
from backhand.export.imperative.exact import Exact, run_exactly
from backhand.export.program import network_stage
from backhand.formulas.activations import ACTIVATIONS


def nearest(a, b, c, dtype):
    """``a b + c``, rounded once: of the numbers around the float64 result the nearest."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    start = dtype(float(exact))
    around = [np.nextafter(start, dtype(-np.inf)), start, np.nextafter(start, dtype(np.inf))]
    return min(
        around, key=lambda y: (abs(Fraction(float(y)) - exact), int(y.view(f"u{y.nbytes}")) & 1)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fma_rounds_once(dtype):
    rng, xp = np.random.default_rng(0), Exact(dtype.__name__, True)
    a, b = rng.standard_normal((2, 3000)).astype(dtype)
    c = (-a * b * (1 + rng.choice([0, 1e-7, 1e-3, 1.0], 3000))).astype(dtype)
    want = np.array([nearest(*row, dtype) for row in zip(a, b, c, strict=True)])
    np.testing.assert_array_equal(xp.fma(a, b, c), want)
    np.testing.assert_array_equal(Exact(dtype.__name__, False).fma(a, b, c), a * b + c)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_are_those_of_the_machine_executor(dtype):
    networks = [Network(layers, inputs=n, dtype=dtype) for layers, n in EXAMPLES.values()]
    networks += [Network((5, 19, 3), activation=name, dtype=dtype) for name in ACTIVATIONS]
    rng = np.random.default_rng(0)
    for network in networks:
        params = network.init("lecun_normal", 1)
        x = rng.normal(0.0, 1.5, (9, network.inputs)).astype(dtype)
        for column, values in network.categories.items():
            x[:, column] = rng.integers(0, values, 9)
        got = run_exactly(network_stage(network, params), (x,), True)
        want = network.forward(params, x, engine="llvm")
        np.testing.assert_array_equal(got, want, err_msg=network.summary)

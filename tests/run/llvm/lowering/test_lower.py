from __future__ import annotations

import numpy as np
import pytest

from backhand.expr.trace import trace
from backhand.run.namespaces import NUMPY

from ..native_formulas import map_elements

DTYPES = [np.float32, np.float64]


def test_nothing_is_contracted():
    graph = trace(lambda xp, a, b, c: a * b + c, [(n, "real") for n in "abc"])
    values = {"a": [1 + 2.0**-12] * 16, "b": [1 + 2.0**-12] * 16, "c": [-1.0] * 16}
    (got,) = map_elements(graph, np.float32, values)
    a, b, c = (np.float32(values[n][0]) for n in "abc")
    assert got[0] == a * b + c


@pytest.mark.parametrize("dtype", DTYPES)
def test_operations_at_nan_ties_and_infinities(dtype):
    def formula(xp, a, b):
        return (
            xp.minimum(a, b),
            xp.maximum(a, b),
            xp.maximum(a, 0.0),
            xp.minimum(1.0, a),
            xp.where(a < b, 1.0, 0.0),
            xp.where(a >= b, 1.0, 0.0),
            xp.where(a == b, 1.0, 0.0),
            xp.abs(a),
            -a,
            xp.sqrt(a),
            a / b,
            xp.round(a),
            xp.round(a / 3.0),
        )

    graph = trace(formula, [("a", "real"), ("b", "real")])
    some = np.array([0.0, -0.0, 1.5, 2.5, -2.0, np.inf, -np.inf, np.nan, 3.0], dtype)
    a, b = (m.ravel() for m in np.meshgrid(some, some))
    got = map_elements(graph, dtype, {"a": a, "b": b})
    with np.errstate(all="ignore"):
        want = formula(NUMPY, a, b)
    for x, y in zip(got, want, strict=True):
        np.testing.assert_array_equal(x, y)
    assert np.array_equal(np.signbit(got[8][~np.isnan(a)]), ~np.signbit(a[~np.isnan(a)]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_the_same_in_all_columns_is_computed_as_a_scalar(dtype):
    def formula(xp, z, rate):
        return z * xp.exp(rate * 2.0), xp.maximum(rate, 0.5)

    graph = trace(formula, [("z", "real"), ("rate", "scalar")])
    assert graph.uniform == (False, True)
    z = np.arange(16, dtype=dtype)
    product, rate = map_elements(graph, dtype, {"z": z, "rate": 0.75})
    np.testing.assert_allclose(product, z * np.exp(1.5), rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(rate, np.full(16, 0.75, dtype))

"""Where paths meet: sums, copies and zeros."""

from __future__ import annotations

import numpy as np

from backhand.formulas import sums
from backhand.run.namespaces import NUMPY


def test_what_they_give(rng):
    a, b = rng.standard_normal((2, 5, 3))
    assert np.array_equal(sums.add(NUMPY, a, b), a + b)
    assert np.array_equal(sums.copy(NUMPY, a), a)


def test_zeros_have_no_sign_and_keep_shape_and_dtype():
    a = np.array([[1.5, -2.0, 0.0, -0.0, np.inf, -np.inf]], "float32")
    found = sums.nothing(NUMPY, a)
    assert found.dtype == a.dtype
    assert np.array_equal(found, np.zeros_like(a))

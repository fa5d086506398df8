from __future__ import annotations

import numpy as np
import pytest

from backhand.check import autodiff
from backhand.testing import assert_near


def cubic(xp, a, b):
    return (a * a * a * b).sum()


@pytest.mark.parametrize("name", ["autograd", pytest.param("torch", marks=pytest.mark.torch)])
def test_gradients_of_a_known_function(name):
    pytest.importorskip(name, reason=f"{name} is not installed")
    a, b = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    da, db = autodiff.available()[name](cubic, [a, b])
    assert_near(da, 3 * a * a * b, rtol=1e-14, atol=0)
    assert_near(db, a**3, rtol=1e-14, atol=0)


def test_central_differences_are_good_to_eleven_digits():
    z = np.linspace(-3, 3, 50)
    assert_near(autodiff.slopes(np.sin, z), np.cos(z), rtol=1e-11, atol=1e-11)


def test_checks_need_no_pytorch(monkeypatch):
    monkeypatch.setattr(autodiff.importlib.util, "find_spec", lambda name: None)
    assert list(autodiff.available()) == ["autograd"]

from __future__ import annotations

import numpy as np
import pytest

from backhand.check import autodiff
from backhand.run.namespaces import NumpyNamespace, TorchNamespace
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


def turning(xp, a):
    """A function with the slope ``2 pi (cos - sin)`` and the curvature ``-4 pi**2 (cos + sin)``."""
    return xp.cos_turns(a) + xp.sin_turns(a)


ANGLES = np.concatenate([np.arange(-9, 10) / 8, [0.3, -0.3, 1e6 + 0.1, 1e-9]])


@pytest.mark.parametrize("name", ["autograd", pytest.param("torch", marks=pytest.mark.torch)])
def test_turns_have_their_slope_at_every_angle(name):
    """Where the reduction changes from one range to the next, as much as between."""
    pytest.importorskip(name, reason=f"{name} is not installed")
    (got,) = autodiff.available()[name](lambda xp, a: turning(xp, a).sum(), [ANGLES])
    angle = 2 * np.pi * np.fmod(ANGLES, 1)
    assert_near(got, 2 * np.pi * (np.cos(angle) - np.sin(angle)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["autograd", pytest.param("torch", marks=pytest.mark.torch)])
def test_turns_have_their_curvature_at_every_angle(name):
    pytest.importorskip(name, reason=f"{name} is not installed")
    if name == "torch":
        import torch

        a = torch.tensor(ANGLES, requires_grad=True)
        y = turning(TorchNamespace(), a).sum()
        (slope,) = torch.autograd.grad(y, a, create_graph=True)
        (got,) = torch.autograd.grad(slope.sum(), a)
    else:
        import autograd.numpy

        xp = NumpyNamespace(autograd.numpy)
        slope = autograd.elementwise_grad(lambda a: turning(xp, a))
        got = autograd.elementwise_grad(slope)(ANGLES)
    angle = 2 * np.pi * np.fmod(ANGLES, 1)
    want = -4 * np.pi**2 * (np.cos(angle) + np.sin(angle))
    assert_near(np.asarray(got), want, rtol=0, atol=1e-13)


def test_central_differences_are_good_to_eleven_digits():
    z = np.linspace(-3, 3, 50)
    assert_near(autodiff.slopes(np.sin, z), np.cos(z), rtol=1e-11, atol=1e-11)


def test_checks_need_no_pytorch(monkeypatch):
    monkeypatch.setattr(autodiff.importlib.util, "find_spec", lambda name: None)
    assert list(autodiff.available()) == ["autograd"]

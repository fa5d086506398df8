"""Activations against scipy and torch, at kinks, far out and at values that are no numbers.

`backhand.check` compares them with mpmath and with automatic differentiation of themselves; see
tests/check.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from backhand.formulas.activations import ACTIVATIONS, choose_activation
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near, assert_near_zero

ALL = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=list(ACTIVATIONS))
WIDE = np.concatenate([-np.geomspace(1e4, 1e-6, 60), [-0.0, 0.0], np.geomspace(1e-6, 1e4, 60)])
SCIPY = {
    "gelu": lambda z: z * scipy.special.ndtr(z),
    "silu": lambda z: z * scipy.special.expit(z),
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
    "softplus": lambda z: np.logaddexp(0, z),
    "logistic": scipy.special.expit,
    "relu": lambda z: np.clip(z, 0, None),
    "shifted_relu": lambda z: np.clip(z, 0, None) - 0.5,
    "elu": lambda z: np.clip(z, 0, None) + scipy.special.expm1(np.clip(z, None, 0)),
}


def forward(activation, z):
    return activation.forward(NUMPY, z, **activation.keywords)


def back(activation, z, dy):
    """The VJP, given what it declares and no more."""
    saved = {"z": z, "y": forward(activation, z)}
    inputs = [saved[name] if name in activation.saves else None for name in ("z", "y")]
    return activation.vjp(NUMPY, *inputs, dy, **activation.keywords)


@pytest.mark.parametrize("name", SCIPY)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_forward_is_scipys(name, dtype):
    z = WIDE.astype(dtype)
    # far to the left gelu is the difference of two numbers near 1: absolute, not relative digits
    atol = 1e-14 if dtype == "float64" else 2e-6
    rtol = 1e-14 if dtype == "float64" else 1e-6
    assert_near(forward(ACTIVATIONS[name], z), SCIPY[name](z.astype("float64")), rtol, atol)


@pytest.mark.parametrize("name", ["logistic", "softplus", "silu"])
def test_left_tails_keep_their_digits(name):
    z = -np.geomspace(1, 80, 50).astype("float32")
    assert_near(forward(ACTIVATIONS[name], z), SCIPY[name](z.astype("float64")), 1e-6, 0)


@pytest.mark.torch
@pytest.mark.parametrize(
    "spec",
    ["leaky_relu:slope=0.2", "elu:alpha=0.7", *(n for n, a in ACTIVATIONS.items() if a.torch)],
)
def test_value_and_derivative_are_torchs_at_kinks_too(spec, rng):
    import torch

    activation = choose_activation(spec)
    dy = rng.standard_normal(WIDE.shape)
    z = torch.tensor(WIDE, requires_grad=True)
    y = getattr(torch.nn.functional, activation.torch)(z, *activation.keywords.values())
    y.backward(torch.tensor(dy))
    # torch's softplus is z itself above 20: e**-20 = 2e-9 is what it leaves out
    tolerance = {"rtol": 2e-9, "atol": 3e-9} if activation.name == "softplus" else {"rtol": 1e-12}
    assert_near(forward(activation, WIDE), y.detach().numpy(), **{"atol": 1e-14, **tolerance})
    assert_near(back(activation, WIDE, dy), z.grad.numpy(), **{"atol": 1e-14, **tolerance})


@pytest.mark.torch
def test_shifted_relu_is_torchs_relu_less_the_shift(rng):
    import torch

    z = torch.tensor(WIDE, requires_grad=True)
    (torch.relu(z) - 0.25).sum().backward()
    activation = choose_activation("shifted_relu:shift=0.25")
    assert np.array_equal(back(activation, WIDE, np.ones_like(WIDE)), z.grad.numpy())
    assert back(activation, np.array([1e-30]), np.ones(1)) == 1, "a tiny z is lost in y = z - 0.25"


@pytest.mark.parametrize(
    ("spec", "slope"),
    [
        ("relu", 0.0),
        ("shifted_relu", 0.0),
        ("leaky_relu:slope=0.2", 0.2),
        ("elu:alpha=0.7", 0.7),
        ("selu", 1.0507009873554805 * 1.6732632423543772),
    ],
)
def test_conventions_at_the_kink(spec, slope):
    z = np.array([0.0, -0.0])
    assert_near(back(choose_activation(spec), z, np.ones(2)), np.full(2, slope), rtol=1e-15)


@pytest.mark.parametrize("name", ["relu", "shifted_relu"])
@pytest.mark.parametrize("dy", [np.inf, -np.inf, np.nan])
def test_a_dead_unit_lets_nothing_through(name, dy):
    z = np.array([-1.0, 0.0, 1.0])
    got = back(ACTIVATIONS[name], z, np.full(3, dy))
    assert np.array_equal(got, [0, 0, dy], equal_nan=True)


@ALL
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_is_finite_and_keeps_its_dtype(activation, dtype):
    z = np.concatenate([WIDE, [-104, -88, 88, 104]]).astype(dtype)
    y, dz = forward(activation, z), back(activation, z, np.ones_like(z))
    assert y.dtype == dz.dtype == dtype
    assert np.isfinite(y).all()
    assert np.isfinite(dz).all()


@ALL
def test_nan_stays_nan(activation):
    z = np.array([np.nan, 1.0], "float32")
    assert np.isnan(forward(activation, z)).tolist() == [True, False]


@ALL
def test_derivative_is_linear_in_dy_and_the_slope(activation, rng):
    z, dy = rng.standard_normal((7, 3)), rng.standard_normal((7, 3))
    slope = back(activation, z, np.ones_like(z))
    assert_near(back(activation, z, dy), dy * slope, rtol=1e-14, atol=1e-16)
    h = 1e-6
    steepness = (forward(activation, z + h) - forward(activation, z - h)) / (2 * h)
    assert_near(slope, steepness, rtol=1e-7, atol=1e-8)


@ALL
@pytest.mark.parametrize("shape", [(0, 3), (1,), (2, 3, 4)])
def test_any_shape(activation, shape, rng):
    z = rng.standard_normal(shape)
    assert forward(activation, z).shape == back(activation, z, z).shape == shape
    flat = back(activation, z.ravel(), z.ravel()).reshape(shape)
    assert_near_zero(back(activation, z, z) - flat, atol=1e-15)  # SIMD tails may round otherwise


@ALL
def test_the_vjp_reads_all_that_it_saves_and_nothing_else(activation, rng):
    z, dy = rng.standard_normal((2, 20))
    at = {"z": z, "y": forward(activation, z)}
    kept = {name: a if name in activation.saves else None for name, a in at.items()}
    right = activation.vjp(NUMPY, **kept, dy=dy, **activation.keywords)
    for name in activation.saves:
        other = activation.vjp(NUMPY, **{**kept, name: -3 * at[name]}, dy=dy, **activation.keywords)
        assert not np.array_equal(other, right), name


def test_selu_keeps_mean_and_variance(rng):
    y = forward(ACTIVATIONS["selu"], rng.standard_normal(1_000_000))
    assert_near_zero(y.mean(), atol=5e-3)
    assert_near(y.std(), 1.0, rtol=5e-3)

"""The bound on rounding holds, is not slack, and sees every operation."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.check.kernels import rounding
from backhand.check.rounding import PERIODIC, Rounded, terms
from backhand.formulas.activations import ACTIVATIONS, logistic, softplus
from backhand.plan.buffers import Buffer
from backhand.plan.nodes import Product
from backhand.run.arrays import Values, perform
from backhand.run.namespaces import NUMPY

FORMULAS = {
    "logistic": logistic,
    "softplus": softplus,
    "cancels": lambda xp, z: (1.0 + z) - z,
    "square": lambda xp, z: z * z - 3.0 * z + 0.1,
    "quotient": lambda xp, z: (z + 0.7) / (z * z + 0.3),
    "root": lambda xp, z: xp.sqrt(xp.abs(z) + 0.1),
    "waves": lambda xp, z: xp.cos_turns(0.7 * z) + 0.3 * xp.sin_turns(z * z),
    "steps": lambda xp, z: 0.1 * z + xp.round(0.7 * z),
    "row": lambda xp, z: z - xp.row_max(z) + xp.row_sum(xp.exp(xp.minimum(z, 3.0))),
    **{name: entry.forward for name, entry in ACTIVATIONS.items() if not entry.parameters},
}


@pytest.mark.parametrize("name", FORMULAS)
def test_numpy_in_float32_stays_within_a_bound_that_is_not_slack(name):
    # NumPy's float32 functions are no better than what the bound assumes of ours
    z = np.random.default_rng(0).standard_normal((400, 30)).astype(np.float32) * 4
    xp = rounding("float32")
    for function in ("exp", "expm1", "log1p", "tanh", "erf"):
        setattr(xp, function, lambda a, n=function: xp._increasing(n, 4.0, a))
    for function in PERIODIC:
        setattr(xp, function, lambda a, n=function: xp._periodic(n, 4.0, a))
    got = FORMULAS[name](NUMPY, z).astype(np.float64)
    want = FORMULAS[name](xp, Rounded(xp, z))
    error = np.abs(got - want.value)
    assert (error <= want.error).all()
    if want.error.any():
        assert (error / np.where(want.error > 0, want.error, np.inf)).max() > 0.02


def test_products_and_sums_keep_within_gamma():
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((20, 50), (50, 7)))
    xp = rounding("float32")
    product = xp.product(Rounded(xp, a), Rounded(xp, b))
    assert (np.abs(a @ b - product.value) <= product.error).all()
    size = np.abs(a).astype(float) @ np.abs(b)
    assert (product.error <= 1.01 * terms(51, "float32") * size).all()
    total = Rounded(xp, a).sum(0)
    assert (np.abs(a.sum(0) - total.value) <= total.error).all()


def test_a_doubtful_comparison_allows_either_side():
    xp = rounding("float32")
    z = Rounded(xp, np.array([0.5, 2.0]), np.array([1.0, 1.0]))
    chosen = xp.where(z > 0, 3.0, 7.0)
    assert chosen.value.tolist() == [3.0, 3.0]
    assert chosen.error.tolist() == [4.0, 0.0]


def test_constants_are_rounded_to_the_kernel():
    assert rounding("float32").real(0.1).error == abs(float(np.float32(0.1)) - 0.1)
    assert rounding("float64").real(0.1).error == 0
    assert rounding("float32").real(0.5).error == 0


def test_overflow_and_nan_have_no_bound():
    xp = rounding("float32")
    with np.errstate(all="ignore"):
        big = xp.exp(Rounded(xp, np.array([100.0])))
        assert np.isinf(big.value).all()
        assert (big.error == 0).all()
        assert (1.0 / big).value == 0
        nan = xp.log(Rounded(xp, np.array([-1.0])))
    assert np.isnan(nan.value).all()
    assert (nan.error == 0).all()


def test_a_divisor_that_may_be_zero_bounds_nothing():
    xp = rounding("float64")
    divisor = Rounded(xp, np.array([0.1]), np.array([0.2]))
    with np.errstate(all="ignore"):
        assert np.isinf((1.0 / divisor).error).all()


@pytest.mark.parametrize("name", PERIODIC)
@pytest.mark.parametrize("error", [0.0, 1e-6, 0.01, 0.2, 0.6, 3.0, np.inf])
def test_turns_stay_within_what_an_angle_in_doubt_allows(name, error):
    """Where the function turns back too: at 0 the cosine of both ends is below that between."""
    xp = rounding("float64")
    middle = np.linspace(-1, 1, 81)[:, None]
    with np.errstate(all="ignore"):
        found = getattr(xp, name)(Rounded(xp, middle, error))
    shifts = min(error, 3.0) * np.linspace(-1, 1, 1001)
    furthest = np.abs(getattr(NUMPY, name)(middle + shifts) - found.value).max(1, keepdims=True)
    assert (furthest <= found.error + 1e-15).all()  # the shifted angles are rounded too
    assert (found.error <= np.minimum(6.3 * error, 2) + 1e-14).all()
    if error < 0.1:  # to first order, and at an extremum to the second, there is nothing spare
        assert (found.error <= furthest * (1 + 10 * error) + 1e-14).all()


def test_a_bias_is_one_term_of_the_sum_for_members_too():
    """A kernel may begin with it, so that what cancels has the sum's rounding, not the result's."""
    axes = {"x": ("N", 2, 3), "w": (2, 3, 5), "b": (2, 5), "z": ("N", 2, 5)}
    x, w, b, z = (Buffer(name, of) for name, of in axes.items())
    rng, xp = np.random.default_rng(0), rounding("float32")
    at = {"x": rng.standard_normal((4, 2, 3)), "w": rng.standard_normal((2, 3, 5))}
    at["b"] = -np.einsum("md,mdk->mk", at["x"][0], at["w"])  # row 0 cancels
    values = Values({name: Rounded(xp, a.astype("float32")) for name, a in at.items()}, xp)
    perform(Product(x, False, w, False, z, b), values)
    size = np.einsum("md,mdk->mk", abs(at["x"][0]), abs(at["w"])) + abs(at["b"])
    assert (values.at["z"].error[0] >= 0.9 * terms(4, "float32") * size).all()

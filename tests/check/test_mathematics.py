"""What is allowed is so little that a formula which loses digits fails, and no more."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand.check import check_activation, check_loss
from backhand.check.mathematics import ULPS, allowed, mathematics, sensitivity, slope
from backhand.formulas.activations import ACTIVATIONS, softplus
from backhand.formulas.deviances import rate
from backhand.formulas.losses import LOSSES


def failures(lines):
    return {line.what for line in lines if line.oracle == "mpmath" and not line.passed}


def changed(loss, **parts):
    """A loss with its value or gradient changed by a function of it."""

    def spoilt(of, change):
        return lambda xp, z, t, **k: change(of(xp, z, t, **k))

    new = {part: spoilt(getattr(loss, part), change) for part, change in parts.items()}
    return dataclasses.replace(loss, **new)


# planted: each of these passed with a relative tolerance of 1e-3 and an absolute one of 1e-5


FAULTS = pytest.mark.parametrize(
    "fault",
    [lambda a: a + np.float32(5e-6), lambda a: a * np.float32(1 + 1e-5)],
    ids=["5e-6 added", "1e-5 of it added"],
)


@pytest.mark.parametrize("name", LOSSES)
@FAULTS
def test_a_loss_or_gradient_a_little_off_in_float32_is_caught(name, fault):
    found = failures(check_loss(changed(LOSSES[name], value=fault, grad=fault)))
    assert {f"{name} float32", f"{name}_grad float32"} <= found


@pytest.mark.parametrize("name", ACTIVATIONS)
@FAULTS
def test_an_activation_a_little_off_in_float32_is_caught(name, fault):
    right = ACTIVATIONS[name]
    wrong = dataclasses.replace(
        right,
        forward=lambda xp, z, **k: fault(right.forward(xp, z, **k)),
        vjp=lambda xp, z, y, dy, **k: fault(right.vjp(xp, z, y, dy, **k)),
    )
    assert {f"{name} float32", f"{name}_vjp float32"} <= failures(check_activation(wrong))


def subtracted(xp, z, t):
    return softplus(xp, z) - t * z


def plain_log(xp, z, t):
    s = z - xp.row_max(z)
    return xp.log(xp.row_sum(xp.exp(s))) - xp.row_sum(xp.where(xp.is_column(t, z), s, 0.0))


def poisson_terms(xp, z, t):
    return rate(xp, z) - t * z + t * xp.log(xp.where(t > 0, t, 1.0)) - t


def gamma_terms(xp, z, t):
    return t * rate(xp, -z) + z - xp.log(t) - 1.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("binary_cross_entropy", subtracted),
        ("softmax_cross_entropy", plain_log),
        ("poisson", poisson_terms),
        ("gamma", gamma_terms),
    ],
)
def test_terms_that_cancel_are_caught_in_both_dtypes(name, value):
    found = failures(check_loss(dataclasses.replace(LOSSES[name], value=value)))
    assert found == {f"{name} float32", f"{name} float64"}


def test_only_one_activation_is_asked_for_less_than_its_own_digits():
    assert [name for name, entry in ACTIVATIONS.items() if entry.coarse] == ["gelu"]
    exact = dataclasses.replace(ACTIVATIONS["gelu"], coarse=False)
    assert "gelu float32" in failures(check_activation(exact))


# the parts ------------------------------------------------------------------------------------


def test_mathematics_sees_mpmath_and_parameters_and_nothing_else():
    assert float(mathematics("exp(z) + a", a=1.0)(z=0)) == 2.0
    with pytest.raises(NameError):
        mathematics("open(z)")(z=0)


def test_slopes_reach_as_far_as_float32():
    assert float(slope(mathematics("expm1(z)"))(z=-80.0)) == pytest.approx(np.exp(-80.0), rel=1e-12)
    row = slope(mathematics("z[0] * z[1]**2"), 1)
    assert float(row(z=[2.0, 5.0])) == pytest.approx(20.0)


def test_sensitivity_is_what_a_share_of_each_input_moves():
    value, size = sensitivity(mathematics("a * z**3 + t"), {"z": 2.0, "a": 5.0}, t=1.0)
    assert value == 41.0
    assert size == pytest.approx(3 * 40 + 40)
    value, size = sensitivity(mathematics("z[0] - z[1]"), {"z": [3.0, 3.0]})
    assert (value, size) == (0.0, pytest.approx(6.0))


def test_nothing_is_allowed_beside_rounding():
    assert allowed(np.array([1.0]), [0.0], "float32") == pytest.approx(ULPS * 2.0**-23)
    assert allowed(np.array([1e-20]), [0.0], "float32")[0] < 1e-25
    assert allowed(np.array([0.0]), [0.0], "float64")[0] < 1e-307

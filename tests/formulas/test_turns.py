"""What is left of an angle is right, by rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from backhand.formulas import turns

QUARTER = Fraction(1, 4)


@pytest.fixture(params=["float32", "float64"])
def angles(request):
    """Angles in turns: eighths and their neighbours, many between, and of every size."""
    dtype = np.dtype(request.param).type
    eighths = (np.arange(-40, 41) / 8).astype(dtype)
    near = [np.nextafter(eighths, dtype(end)) for end in (-np.inf, np.inf)]
    between = np.random.default_rng(0).uniform(-3, 3, 1000)
    sizes = 2.0 ** np.linspace(-100, np.finfo(dtype).maxexp - 1, 400)
    return np.concatenate([eighths, *near, between, sizes, -sizes]).astype(dtype)


def distance(angle, zero, slope):
    """How far an angle is from its nearest zero, signed as the function is there.

    Zeros lie half a turn apart. At ``zero`` the slope has the sign of ``slope``, at the next zeros
    the other one.
    """
    halves = round(2 * (angle - zero))
    return (angle - zero - Fraction(halves, 2)) * (-slope if halves % 2 else slope)


def exact(values):
    return [Fraction(float(value)) for value in values]


def test_the_sines_distance_is_exact(angles):
    s = turns.of_sine(np, angles)
    assert s.dtype == angles.dtype
    assert exact(s) == [distance(a, 0, 1) for a in exact(angles)]


def test_the_cosines_distance_is_exact_near_zeros_and_else_rounded_once(angles):
    s = turns.of_cosine(np, angles)
    assert s.dtype == angles.dtype
    half_ulp = Fraction(float(np.finfo(angles.dtype).eps)) / 16  # of numbers from 1/8 to 1/4
    for angle, got in zip(exact(angles), exact(s), strict=True):
        want = distance(angle, QUARTER, -1)
        assert abs(got - want) <= (half_ulp if abs(want) > QUARTER / 2 else 0)


@pytest.mark.parametrize(
    ("function", "want"), [(turns.cosine, [1, 0, -1, 0, 1]), (turns.sine, [0, 1, 0, -1, 0])]
)
def test_quarter_turns_are_exact(function, want):
    for dtype in ("float32", "float64"):
        assert function(np, np.arange(5, dtype=dtype) / 4).tolist() == want


def test_angles_without_a_size_have_no_sine():
    ends = np.array([np.inf, -np.inf, np.nan])
    with np.errstate(invalid="ignore"):
        assert np.isnan([turns.cosine(np, ends), turns.sine(np, ends)]).all()

"""What a dtype can hold: every layout, and weights of any size."""

import numpy as np
import pytest
import scipy.sparse as sp

from backhand.errors import InputError
from backhand.plan.ranges import (
    SQUARED_AT_ONCE,
    check_range,
    place_of,
    power_of_two,
    squares_within,
    usable_weight,
)


@pytest.mark.parametrize(
    "laid",
    [
        np.ascontiguousarray,
        np.asfortranarray,
        lambda a: a[::-1],
        lambda a: a.astype(">f8"),
        lambda a: a.astype(np.longdouble),
        sp.csr_matrix,
        sp.csc_matrix,
    ],
)
def test_the_value_and_its_place_are_named(laid):
    x = np.ones((5000, 3))
    x[4321, 1] = -1e39
    row = 678 if laid(x)[0, 0] == 1 and not sp.issparse(laid(x)) and laid(x)[678, 1] != 1 else 4321
    with pytest.raises(InputError, match=rf"x is -1e\+39 in row {row}, column 1, .*float32"):
        check_range(laid(x), "float32", "x")
    check_range(laid(x), "float64", "x")


def test_what_rounds_to_the_largest_number_is_held():
    most = float(np.finfo("float32").max)
    check_range(np.array([[most * (1 + 1e-9), -most]]), "float32", "x")
    with pytest.raises(InputError):
        check_range(np.array([[most * (1 + 1e-7)]]), "float32", "x")


def test_what_is_not_finite_already_is_for_others():
    check_range(np.array([[np.inf, np.nan, 1e300]])[:, :2], "float32", "x")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_usual_weights_are_left_as_they_are(dtype):
    weight = np.random.default_rng(0).uniform(0, 1e6, 50)
    found, exponent = usable_weight(weight, dtype)
    assert exponent == 0
    np.testing.assert_array_equal(found, weight.astype(dtype))


@pytest.mark.parametrize("scale", [1e-300, 1e-42, 1e-39, 1e37, 1e300])
def test_a_common_factor_is_taken_out_exactly(scale):
    weight = np.array([0.5, 1.0, 3.0, 0.0]) * scale
    found, exponent = usable_weight(weight, "float32")
    np.testing.assert_array_equal(found, np.ldexp(weight, exponent).astype("float32"))
    assert 0.5 <= found.max() < 1


def test_a_weight_that_vanishes_beside_the_largest_is_named():
    with pytest.warns(UserWarning, match=r"sample_weight of row 1 is 1e-30, which counts as 0"):
        found, _ = usable_weight(np.array([1e20, 1e-30, 0.0]), "float32")
    assert found.tolist()[1:] == [0, 0]


@pytest.mark.parametrize("rows", [3, 3 * SQUARED_AT_ONCE])
def test_a_limit_may_be_beyond_the_dtype(rows):
    assert squares_within(np.ones(rows, np.float32), float(np.finfo(np.float64).max))
    assert not squares_within(np.full(rows, np.inf, np.float32), float(np.finfo(np.float64).max))


@pytest.mark.parametrize("laid", [np.array, np.asfortranarray, sp.csr_matrix, sp.csc_matrix])
def test_the_place_of_an_element(laid):
    x = np.zeros((4, 3))
    x[0, 2], x[2, 1], x[3, 0] = 1, 5, 2
    a = laid(x)
    stored = a.data if sp.issparse(a) else a
    assert place_of(a, int(np.argmax(stored))) == (2, 1)


@pytest.mark.parametrize("largest", [0.0, 1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_the_power_of_two_of_weights(largest):
    exponent = power_of_two(largest)
    if 1e-15 < largest < 1e15 or not largest:
        assert exponent == 0
    else:
        assert 0.5 <= largest * 2.0**exponent < 1

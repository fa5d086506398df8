from __future__ import annotations

import numpy as np
import pytest

from backhand.testing import assert_near, assert_near_zero, assert_shape


def test_near_shows_both_values_the_worst_element_and_its_index():
    want = np.zeros((2, 3))
    got = want.copy()
    got[0, 1], got[1, 2] = 1e-4, 5e-4
    with pytest.raises(AssertionError, match=r"\[1, 2\]: got 0.0005, want 0.0") as error:
        assert_near(got, want)
    assert "got:" in str(error.value)
    assert "want:" in str(error.value)


def test_near_has_the_stated_tolerances():
    assert_near(1.0009, 1.0)
    assert_near(9e-6, 0.0)
    for got, want in ((1.0011, 1.0), (1.1e-5, 0.0)):
        with pytest.raises(AssertionError):
            assert_near(got, want)


@pytest.mark.parametrize(
    ("got", "want"),
    [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (np.inf, -np.inf), (1.0, np.inf)],
)
def test_not_finite_on_one_side_fails(got, want):
    with pytest.raises(AssertionError):
        assert_near([got, 0.0], [want, 0.0])


def test_not_finite_on_both_sides_is_equal():
    assert_near([np.nan, np.inf, -np.inf], [np.nan, np.inf, -np.inf])


def test_other_shapes_fail_even_if_they_broadcast():
    with pytest.raises(AssertionError, match=r"\(3,\).*\(3, 1\)"):
        assert_near(np.ones(3), np.ones((3, 1)))
    assert_near(np.ones((0, 2)), np.ones((0, 2)))


def test_near_zero():
    assert_near_zero([1e-6, -1e-6])
    with pytest.raises(AssertionError, match=r"\[1\]"):
        assert_near_zero([0.0, -2e-5])


def test_shape_with_any_size():
    assert_shape(np.ones((4, 1)), (-1, 1))
    for shape in ((-1,), (4, 2), (4, 1, -1)):
        with pytest.raises(AssertionError, match=r"\(4, 1\)"):
            assert_shape(np.ones((4, 1)), shape)

"""Scales against scikit-learn's robust scaler and against columns that are really made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import RobustScaler

from backhand.errors import InputError
from backhand.formulas import columns
from backhand.preprocess.distribution import mean_and_std
from backhand.preprocess.scaling import Scale, Tail, levels
from backhand.run.namespaces import NUMPY


def standardised(tail, values):
    return columns.standardised_tail(NUMPY, values, *tail.to_list())


@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "exponential"])
def test_the_linear_part_against_scikit_learn(rng, draw):
    values = getattr(rng, draw)(size=301)
    z = columns.linear(NUMPY, values, *Scale.of(values, "here").to_list())
    want = RobustScaler().fit_transform(values[:, None])[:, 0]
    # Both subtract and divide; the quantiles may differ by a rounding.
    np.testing.assert_allclose(z, want, rtol=1e-12, atol=1e-12)


def test_half_the_range_where_the_middle_half_is_alike():
    values = np.array([0.0] * 8 + [4.0, 10.0])
    assert Scale.of(values, "here") == Scale(0.0, 5.0)
    assert Scale.of(np.full(5, 0.1), "here") is None


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e-3, 1.0, 1e200, 5e307])
def test_the_size_of_numbers_does_not_matter(size):
    values = np.array([1.0, 2.0, 2.5, 3.0])
    scaled = Scale.of(size * values, "here")(size * values)
    # denormals such as 1e-310 have some 14 digits
    np.testing.assert_allclose(scaled, Scale.of(values, "here")(values), rtol=1e-12)


def test_the_smallest_numbers_there_are():
    values = np.array([0.0] * 9 + [5e-324])
    assert np.isfinite(Scale.of(values, "here")(values)).all()


def test_numbers_too_large_for_any_statistic():
    values = np.array([1.7e308, -1.7e308] * 3)
    with pytest.raises(InputError, match=r"here: values up to 1.7e\+308 are too large"):
        Scale.of(values, "here")
    with pytest.raises(InputError, match=r"here: values up to 1.7e\+308 are too large"):
        mean_and_std(values[:3], "here")


def test_values_beyond_any_number_are_clipped():
    scale = Scale(-1e308, 1e-3)
    np.testing.assert_allclose(scale([1.7e308, -1.7e308]), [3, -3], rtol=1e-11)
    assert np.isnan(scale([np.nan])[0])


def test_typos_leave_the_others_as_they_are(rng):
    """Three typos in 53,940 rows: a tenth of a thousandth of the quartiles' distance, at most."""
    values = rng.normal(10, 1, size=53_940)
    typed = values.copy()
    typed[:3] = 1e6, 5e5, -1e6
    before, after = (Scale.of(v, "here")(values[3:]) for v in (values, typed))
    np.testing.assert_allclose(after, before, atol=1e-3)


def test_a_tail_grows_slowly_beyond_its_quantiles(rng):
    values = rng.standard_cauchy(20_000)
    tail = Tail.of(values, Scale.of(values, "here"), "here")
    low, high = np.quantile(values, (0.0001, 0.9999))
    kept = np.clip(values, low, high)
    z = (kept - kept.mean()) / kept.std()
    inside = values == kept
    np.testing.assert_allclose(standardised(tail, values)[inside], z[inside], rtol=1e-9)
    far = np.array([high, high + 2 * kept.std(), low - 2 * kept.std(), np.nan])
    step = standardised(tail, far) - (np.clip(far, low, high) - kept.mean()) / kept.std()
    np.testing.assert_allclose(step[:3], [0, np.log(3), -np.log(3)], atol=1e-9)
    assert np.isnan(step[3])
    assert (
        0 < standardised(tail, 1.7e308) < standardised(tail, far[0]) + 14
    )  # the logarithm of `MOST`
    order = np.argsort(values)
    assert (np.diff(standardised(tail, values)[order]) >= 0).all()


def test_where_most_values_are_alike_the_differences_are_kept():
    values = np.array([0.0] * 950 + [100.0] * 45 + [99_999.0] * 5)
    scale = Scale.of(values, "here")
    assert scale(100.0) < 0.01
    tail = Tail.of(values, scale, "here")
    assert standardised(tail, 1e5) > 10 * standardised(tail, 0.0)
    assert Tail.of(values[:950], Scale(0.0, 1.0), "here") is None


@pytest.mark.parametrize(("most", "heavy"), [(3.7, False), (4.0, True)])
def test_what_a_heavy_tail_is(most, heavy):
    """z less z' reaches 1.5 at z = 3.87."""
    values = np.r_[np.linspace(-1, 1, 199), most]
    scale = Scale(0.0, 1.0)
    assert (Tail.of(values, scale, "here") is not None) == heavy


@given(st.integers(2, 60), st.data())
def test_levels_are_what_the_column_would_become(rows, data):
    ones = data.draw(st.integers(1, rows - 1))
    column = np.r_[np.zeros(rows - ones), np.ones(ones)]
    want = Scale.of(column, "here")((0.0, 1.0))
    np.testing.assert_allclose(levels(ones, rows), want, rtol=1e-12, atol=1e-12)


def test_levels_as_realmlp_has_them():
    np.testing.assert_allclose(levels(10, 100), (0, 1.6641), atol=5e-5)
    np.testing.assert_allclose(levels(90, 100), (-1.6641, 0), atol=5e-5)
    np.testing.assert_allclose(levels(40, 100), (0, 0.9487), atol=5e-5)
    assert levels(0, 9) == levels(9, 9) == (0, 0)


def test_mean_and_std():
    assert mean_and_std(np.full(7, 0.1), "here")[1] < 1e-16
    for size in (1e-200, 1.0, 1e200):
        mean, std = mean_and_std(size * np.array([1.0, 2.0, 6.0]), "here")
        assert mean == pytest.approx(3 * size)
        assert std == pytest.approx(np.sqrt(14 / 3) * size)
    with pytest.raises(InputError, match=r"here: values up to .* are too large"):
        mean_and_std(np.array([1.7e308, 1.7e308, -1.7e308, -1.7e308]), "here")


@pytest.mark.parametrize(
    ("build", "found", "message"),
    [
        (Scale.from_list, [0.0, 0.0], "here: width: must be greater than 0"),
        (Scale.from_list, [np.nan, 1.0], "here: centre: must be finite"),
        (Scale.from_list, [1.0], "here: must have 2 entries, not 1"),
        (Scale.from_list, "ab", "here: must be a list, not 'ab'"),
        (Tail.from_list, [0.0, 0.0, 0.0, 1.0], "here: high: must be greater than 0"),
        (Tail.from_list, [0.0, 1.0, 0.0, 0.0], "here: std: must be greater than 0"),
    ],
)
def test_edited_entries_are_refused(build, found, message):
    with pytest.raises(InputError, match=message):
        build(found, "here")

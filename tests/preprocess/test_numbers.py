from __future__ import annotations

import numpy as np
import pytest

from backhand.preprocess.numbers import NumberColumn
from backhand.preprocess.preparation import TablePreparation
from backhand.preprocess.scaling import Scale, levels


def fit(values, **more):
    return TablePreparation.fit({"a": values}, **more)


def test_many_values_are_scaled_and_missing_ones_are_the_median():
    values = [3.0, None, 5.0, 10.0, None, 1e-3]
    preparation = fit(values)
    assert preparation.inputs == (["a"], ["a is missing"], [])
    known = np.array([v for v in values if v is not None])
    scale = Scale.of(known, "here")
    assert scale.centre == 4.0
    off, on = levels(2, 6)
    want = [[0.0, on] if v is None else [float(scale(v)), off] for v in values]
    np.testing.assert_allclose(preparation.apply({"a": values}), want, rtol=1e-6)


def test_hardly_any_missing_values_have_no_input():
    """An input that two rows of 200 have would learn those two rows."""
    values = [*map(float, range(0, 400, 2)), None, None]
    assert fit(values).inputs == (["a"], [], [])
    assert fit([*values, None]).inputs == (["a"], ["a is missing"], [])
    assert fit(values).apply({"a": [None]}) == 0


def test_two_values_become_minus_one_and_one():
    preparation = fit([5, 7, 5, None, 5])
    assert preparation.inputs == ([], ["a", "a is missing"], [])
    with pytest.warns(UserWarning, match="far outside"):
        x = preparation.apply({"a": [5, 7, 6, 100, None, -100]})
    np.testing.assert_array_equal(x[:, 0], [-1, 1, 0, 1, 0, -1])


def test_one_value_that_is_sometimes_missing_keeps_its_indicator():
    preparation = fit([7, None, 7])
    assert preparation.inputs == ([], ["a is missing"], [])
    off, on = (np.float32(v) for v in levels(1, 3))
    np.testing.assert_array_equal(preparation.apply({"a": [7, None, 8]}), [[off], [on], [off]])


def test_a_heavy_tail_has_an_input_of_its_own(rng):
    values = rng.standard_cauchy(4000)
    preparation = fit(values)
    assert preparation.inputs == (["a"], ["a (tail)"], [])
    x = preparation.apply({"a": values})
    assert np.abs(x[:, 0]).max() <= 3
    low, high = np.quantile(values, (0.0001, 0.9999))
    inside = (values > low) & (values < high)
    assert np.corrcoef(x[inside, 1], values[inside])[0, 1] > 1 - 1e-6
    with pytest.warns(UserWarning, match="far outside"):
        wild = preparation.apply({"a": [1e300, -1e300]})
    np.testing.assert_allclose(wild[:, 1], [x[:, 1].max(), x[:, 1].min()])


def test_values_far_outside_are_told_once():
    preparation = fit([10.0, 14.0, 20.0])
    with pytest.warns(UserWarning) as caught:  # noqa: PT030
        x = preparation.apply({"a": [29.9, 30.1, None, -0.1, 12.0]})
    (only,) = caught
    assert str(only.message) == (
        "column 'a': 2 values far outside the training rows' 10 to 20, such as 30.1 in row 2"
    )
    assert np.abs(x).max() < 3
    with pytest.warns(UserWarning, match="1 value .* such as -0.1 in row 4"):
        preparation.apply({"a": [29.9, 30.1, None, -0.1, 12.0]}, np.array([0, 3]))
    preparation.apply({"a": [1e9]}, warn=False)


@pytest.mark.parametrize(
    ("values", "summary", "becomes"),
    [
        ([1, 2, 6], "1 to 6, median 2", "number, robustly scaled"),
        ([1, 2, 2], "1 and 2", "-1 or 1"),
        ([4, 4, None], "4", "whether it is missing"),
    ],
)
def test_what_people_are_told(values, summary, becomes):
    (encoder,) = fit(values).encoders
    assert isinstance(encoder, NumberColumn)
    assert (encoder.summary, encoder.becomes) == (summary, becomes)


def test_two_neighbouring_denormals_are_told_apart():
    values = np.array([0.0, 5e-324, 0.0, 5e-324])
    x = fit(values).apply({"a": values})
    assert np.isfinite(x).all()
    assert (x[0] < x[1]).all()

"""The calendar against NumPy's, and what becomes of values at the ends."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from backhand.expr.trace import trace
from backhand.formulas import columns
from backhand.run.namespaces import NUMPY

NAN = np.nan


def days(*more):
    """Every day of 1,600 years, and some of the furthest."""
    rng = np.random.default_rng(0)
    far = rng.integers(-columns.MOST_DAYS, columns.MOST_DAYS, 20_000)
    return np.concatenate([np.arange(-300_000, 300_000), far, *more]).astype(np.float64)


@pytest.mark.parametrize("time", [0.0, 0.5, 0.999])
def test_the_calendar_against_numpys(time):
    v = days([-columns.MOST_DAYS, columns.MOST_DAYS])
    dates = v.astype("M8[D]")
    year, month = (dates.astype(f"M8[{unit}]").astype("M8[D]") for unit in "YM")
    v = np.minimum(v + time, columns.MOST_DAYS)
    got = columns.day_of_year(NUMPY, v), columns.day_of_month(NUMPY, v), columns.weekday(NUMPY, v)
    np.testing.assert_array_equal(got[0], (dates - year).astype(int))
    np.testing.assert_array_equal(got[1], (dates - month).astype(int) + 1)
    np.testing.assert_array_equal(got[2], (dates.astype(int) + 3) % 7)


def test_hours():
    # 20,000 days are exact to 4e-12 in float64, which are 9e-11 hours
    v = np.array([-1 / 24, 0.0, 0.25, 19_000 + 13.5 / 24])
    np.testing.assert_allclose(columns.hour(NUMPY, v), [23, 0, 6, 13.5], atol=1e-10)


@pytest.mark.parametrize("part", [columns.day, columns.hour, columns.weekday, columns.day_of_month])
def test_no_date_has_no_part(part):
    assert np.isnan(part(NUMPY, np.array([NAN]))).all()


def test_floors():
    a = np.array([-2.5, -1.0, -0.25, 0.0, 0.5, 1.5, 2.5, 2.0**52 + 1])
    np.testing.assert_array_equal(columns.floor(NUMPY, a), np.floor(a))
    whole = np.arange(-1000.0, 1000.0)
    for by in (4, 5, 7, 100, 365):
        np.testing.assert_array_equal(columns.quotient(NUMPY, whole, by), whole // by)


def test_the_smooth_clip():
    z = np.array([-1e6, -3.0, 0.0, 1.0, 3.0, 1e6])
    want = [-3, -3 / np.sqrt(2), 0, 1 / np.sqrt(1 + 1 / 9), 3 / np.sqrt(2), 3]
    np.testing.assert_allclose(columns.smooth_clip(NUMPY, z), want, rtol=1e-11)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_numbers_at_the_ends():
    v = np.array([NAN, 2.0, 5.0, 1.7e308, -1.7e308])
    np.testing.assert_allclose(
        columns.number(NUMPY, v, 2.0, 1e-3), [0, 0, 3, 3, -3], rtol=0, atol=1e-5
    )
    got = columns.one_of_two(NUMPY, v, 3.0, 2.0)
    np.testing.assert_array_equal(got, [0, -0.5, 1, 1, -1])
    got = columns.tail(NUMPY, v, -9.0, 12.0, 0.0, 4.0, 2.0, 2.0)
    want = [0, 0, 1 + np.log1p(0.5), 1 + np.log1p(4), -1 - np.log1p(4.5)]
    np.testing.assert_allclose(got, want, rtol=1e-15)
    np.testing.assert_array_equal(columns.gap(NUMPY, v, 5.0, 7.0), [7, 5, 5, 5, 5])


def test_categories():
    places = np.array([columns.MISSING, columns.OTHER, 0.0, 1.0, 2.0])
    got = columns.one_hot(NUMPY, places, 1.0, -1.0, 3.0, 0.5, 0.25)
    np.testing.assert_array_equal(got, [0.25, 0.5, -1, 3, -1])
    np.testing.assert_array_equal(columns.code(NUMPY, places, 9.0), [9, 0, 1, 2, 3])
    np.testing.assert_array_equal(columns.category_gap(NUMPY, places, 0.0, 1.0), [1, 0, 0, 0, 0])


def test_parts_that_come_round_again():
    v = np.array([NAN, 0.0, 6.0, 12.0, 18.0])
    np.testing.assert_array_equal(np.abs(columns.sine(NUMPY, v, 24.0)), [0, 0, 1, 0, 1])
    np.testing.assert_array_equal(np.abs(columns.cosine(NUMPY, v, 24.0)), [0, 1, 0, 1, 0])
    got = columns.of_weekday(NUMPY, np.array([NAN, *range(7)]), *range(10, 18))
    np.testing.assert_array_equal(got, [17, *range(10, 17)])


NO_COLUMN = {columns.quotient, columns.civil}  # take an integer, give two


@pytest.mark.parametrize(
    "formula",
    [f for _, f in inspect.getmembers(columns, inspect.isfunction) if f not in NO_COLUMN],
    ids=lambda formula: formula.__name__,
)
def test_every_formula_is_a_graph_of_one_pass(formula):
    inputs = [(name, "real") for name in list(inspect.signature(formula).parameters)[1:]]
    graph = trace(formula, inputs)
    assert graph.inputs == dict(inputs)
    assert graph.stages == 0

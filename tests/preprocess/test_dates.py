"""Parts of dates against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhand.preprocess.dates import OF_MONTH, OF_YEAR, TIME, DateColumn, parts_of
from backhand.preprocess.preparation import TablePreparation
from backhand.preprocess.scaling import Scale


def fit(values, **more):
    return TablePreparation.fit({"d": values}, **more)


def days_of(stamps):
    return (stamps - pd.Timestamp(0)) / pd.Timedelta(days=1)


@given(st.lists(st.datetimes(pd.Timestamp("1700-01-01"), pd.Timestamp("2250-01-01")), min_size=1))
def test_parts_against_pandas(dates):
    stamps = pd.Series(pd.to_datetime(dates)).dt.floor("s")
    parts = parts_of(days_of(stamps).to_numpy())
    hours = (stamps - stamps.dt.normalize()) / pd.Timedelta(hours=1)
    # 200,000 days in float64 are exact to some 3e-11 of a day
    np.testing.assert_allclose(parts[TIME], hours, atol=1e-8)
    np.testing.assert_array_equal(parts[OF_YEAR], stamps.dt.day_of_year - 1)
    np.testing.assert_array_equal(parts[OF_MONTH], stamps.dt.day)


def test_what_two_years_of_days_become():
    stamps = pd.Series(pd.date_range("2019-03-01", periods=730, freq="D"))
    preparation = fit(stamps)
    week = [f"d: {day}" for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")]
    week += ["d: Saturday", "d: Sunday"]
    assert preparation.inputs.numbers == ["d", "d: day of year", "d: day of month"]
    cycle = ["d: sine of day of year", "d: cosine of day of year"]
    assert preparation.inputs.indicators == [*cycle, *week]
    x = preparation.apply({"d": stamps})
    days = days_of(stamps).to_numpy()
    np.testing.assert_allclose(x[:, 0], Scale.of(days, "d")(days), rtol=1e-6, atol=1e-6)
    angle = 2 * np.pi * (stamps.dt.day_of_year - 1) / 365.25
    np.testing.assert_allclose(x[:, 3], np.sin(angle), atol=1e-6)
    np.testing.assert_allclose(x[:, 4], np.cos(angle), atol=1e-6)
    np.testing.assert_array_equal(x[:, 5:].argmax(axis=1), stamps.dt.day_of_week)


def test_times_become_hours():
    stamps = pd.Series(pd.date_range("2020-01-06", periods=96, freq="h"))
    preparation = fit(stamps)
    assert preparation.inputs.numbers == ["d", "d: day of month", "d: hour"]
    x = preparation.apply({"d": stamps})
    hour = preparation.feature_names.index("d: sine of hour")
    np.testing.assert_allclose(x[:, hour], np.sin(2 * np.pi * stamps.dt.hour / 24), atol=1e-6)


def test_a_trend_cannot_run_away():
    stamps = pd.Series(pd.date_range("2020-01-01", periods=400, freq="D"))
    preparation = fit(stamps)
    later = preparation.apply({"d": pd.to_datetime(["2150-05-05", "1750-05-05"])})
    x = preparation.apply({"d": stamps})
    np.testing.assert_array_equal(later[:, 0], [x[-1, 0], x[0, 0]])


def test_a_weekday_that_no_training_row_has_is_their_mean():
    stamps = pd.Series(pd.bdate_range("2020-01-01", periods=300))
    preparation = fit(stamps)
    place = [i for i, name in enumerate(preparation.feature_names) if name.endswith("day")]
    assert len(place) == 5
    x = preparation.apply({"d": stamps})
    saturday = preparation.apply({"d": pd.to_datetime(["2020-01-04"])})
    np.testing.assert_allclose(saturday[0, place], x[:, place].mean(axis=0), rtol=1e-5)


def test_missing_dates():
    stamps = pd.Series(pd.date_range("2020-01-01", periods=30, freq="5D"))
    stamps[::5] = None
    preparation = fit(stamps)
    x = preparation.apply({"d": stamps})
    numbers = len(preparation.inputs.numbers)
    np.testing.assert_array_equal(x[::5, :numbers], 0)
    assert preparation.feature_names[-1] == "d is missing"
    assert len(np.unique(x[::5], axis=0)) == 1
    assert fit([None, "2020-01-01"]).inputs == ([], ["d is missing"], [])


def test_text_reads_as_dates_in_prediction_as_in_training():
    days = [f"{d:02}.{m:02}.2021" for m in range(1, 13) for d in (1, 13, 25)]
    preparation = fit(days)
    stamps = pd.to_datetime(days, format="%d.%m.%Y")
    np.testing.assert_array_equal(preparation.apply({"d": days}), preparation.apply({"d": stamps}))


@pytest.mark.parametrize(
    ("values", "summary", "becomes"),
    [
        (["2024-03-01", "2024-03-08"], "2024-03-01 to 2024-03-08", "trend, day of month"),
        (["2024-03-01", "2024-04-01"], "2024-03-01 to 2024-04-01", "trend, weekday"),
        (["2024-03-01", None], "one date", "whether it is missing"),
    ],
)
def test_what_people_are_told(values, summary, becomes):
    (encoder,) = fit(values).encoders
    assert isinstance(encoder, DateColumn)
    assert (encoder.summary, encoder.becomes) == (summary, becomes)


def test_a_date_that_somebody_edited_has_a_summary():
    (encoder,) = fit(["2024-03-01", "2024-03-08"]).encoders
    d = encoder.to_dict()
    d["spans"] = [[-1e300, 1e300, 0.0, 1.0], None, None, None]
    assert DateColumn.from_dict(d).summary == "day -1e+300 to day 1e+300"

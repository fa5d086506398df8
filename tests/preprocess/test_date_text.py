from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhand.preprocess import date_text

EPOCH = datetime.datetime(1970, 1, 1)


def day(*parts):
    return (datetime.datetime(*parts) - EPOCH) / datetime.timedelta(days=1)


@pytest.mark.parametrize(
    ("form", "cell", "parts"),
    [
        ("Y-M-D", "2020-03-01", (2020, 3, 1)),
        ("Y-M-D", "2020-3-1", (2020, 3, 1)),
        ("Y-M-D", "2020/03/01", (2020, 3, 1)),
        ("Y-M-D", "1960.12.31", (1960, 12, 31)),
        ("Y-M-D", "2020-03-01T12:30:15Z", (2020, 3, 1, 12, 30, 15)),
        ("Y-M-D", "2020-03-01 12:30:15.5", (2020, 3, 1, 12, 30, 15, 500000)),
        ("Y-M-D", "2020-03-01T12:00+02:00", (2020, 3, 1, 10)),
        ("Y-M-D", "2020-03-01 00:30 -0130", (2020, 3, 1, 2)),
        ("Y-M-D", "2020-03-01 12:15 am", (2020, 3, 1, 0, 15)),
        ("Y-M-D", "2020-02-29", (2020, 2, 29)),
        ("D.M.Y", "31.12.2020", (2020, 12, 31)),
        ("D.M.Y", "31/12/2020 7:05 p.m.", (2020, 12, 31, 19, 5)),
        ("D.M.Y", "1-2-99", (1999, 2, 1)),
        ("D.M.Y", "Mon, 1. 2. 68", (2068, 2, 1)),
        ("M/D/Y", "12/31/2020 12:00:00 PM", (2020, 12, 31, 12)),
        ("M/D/Y", "1/2/21", (2021, 1, 2)),
        ("D month Y", "5 Jan 2020", (2020, 1, 5)),
        ("D month Y", "Tue, 5th of", None),
        ("D month Y", "05-SEP-20", (2020, 9, 5)),
        ("D month Y", "Sunday, 1st March 2020", (2020, 3, 1)),
        ("month D Y", "Sept. 5, 2020 10:00", (2020, 9, 5, 10)),
        ("month D Y", "December 31 1969", (1969, 12, 31)),
        ("Y-M", "2020-02", (2020, 2, 1)),
        ("Y-M-D", "2019-02-29", None),
        ("Y-M-D", "2020-13-01", None),
        ("Y-M-D", "2020-00-01", None),
        ("Y-M-D", "2020-01-00", None),
        ("Y-M-D", "0000-00-00", None),
        ("Y-M-D", "2020-01-01 24:00", None),
        ("Y-M-D", "2020-01-01 10:60", None),
        ("Y-M-D", "2020-01-01 13:00 pm", None),
        ("Y-M-D", "2020-01-01 0:00 am", None),
        ("Y-M-D", "2020-01-01 and more", None),
        ("D.M.Y", "31.11.2020", None),
        ("D.M.Y", "1.1.120", None),
        ("M/D/Y", "13/1/2020", None),
        ("month D Y", "Janus 5, 2020", None),
    ],
)
def test_dates(form, cell, parts):
    expected = np.nan if parts is None else day(*parts)
    # Beside a cell that is none, so that no shortcut is taken.
    for cells in ([cell], [cell, "?"]):
        found = date_text.as_days(pa.array(cells), form)
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-10)
        assert np.isnan(found[1:]).all()


def test_nothing_is_no_date():
    for form in date_text.FORMS:
        assert np.isnan(date_text.as_days(pa.array([None, ""], pa.string()), form)).all()
        assert len(date_text.as_days(pa.array([], pa.string()), form)) == 0


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["2020-01-01", "2020-02-30"], "Y-M-D"),
        (["31.12.2020", "1.1.2020"], "D.M.Y"),
        (["31/12/2020", "1/1/2020"], "D.M.Y"),
        (["12/31/2020", "1/1/2020"], "M/D/Y"),
        (["1/1/2020", "2/3/2020"], "M/D/Y"),
        (["1.1.2020", "2.3.2020"], "D.M.Y"),
        (["5 Jan 2020", "6 Jan 2020", "Jan 6 2020"], "D month Y"),
        (["2020-01", "2020-02"], "Y-M"),
        (["a", "1", "10:30"], ""),
    ],
)
def test_the_column_decides_the_form(cells, form):
    assert date_text.form_of(pa.array(cells), np.ones(len(cells), dtype=np.int64)) == form


WRITTEN = {
    "Y-M-D": ("%Y-%m-%d", "%Y/%m/%d"),
    "D.M.Y": ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%a, %d.%m.%Y"),
    "M/D/Y": ("%m/%d/%Y", "%m-%d-%Y"),
    "D month Y": ("%d %b %Y", "%d-%B-%Y", "%A, %d %B %Y"),
    "month D Y": ("%B %d, %Y", "%b %d %Y"),
}
TIMES = ("", " %H:%M", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S%p", " %H:%M:%S.%f")


@given(
    st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(9999, 1, 1)),
    st.sampled_from([(form, written) for form, all_of in WRITTEN.items() for written in all_of]),
    st.sampled_from(TIMES),
)
def test_what_is_written_is_read(moment, form, time):
    text = moment.strftime(form[1] + time)
    back = datetime.datetime.strptime(text, form[1] + time)
    found = date_text.as_days(pa.array([text, "no date"]), form[0])
    # Days of today are kept to a microsecond in float64, and of the year 1000 too.
    np.testing.assert_allclose(found, [(back - EPOCH) / datetime.timedelta(days=1), np.nan])
    assert abs(found[0] - (back - EPOCH) / datetime.timedelta(days=1)) < 1e-9


@given(st.lists(st.text(alphabet="0123456789-/.:TZ apmJanFeb", max_size=20), max_size=5))
def test_any_text_is_a_date_or_none(cells):
    for form in date_text.FORMS:
        assert len(date_text.as_days(pa.array(cells, pa.string()), form)) == len(cells)

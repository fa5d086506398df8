"""Rows one at a time against `TablePreparation.values`, cell by cell."""

from __future__ import annotations

import datetime
import decimal
import json
import subprocess
import sys
import warnings
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from backhand.errors import InputError
from backhand.preprocess.one_row import RowReader
from backhand.preprocess.preparation import TablePreparation

N = 60
RNG = np.random.default_rng(0)
DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(int(d)) for d in RNG.integers(0, 900, N)]
TABLES = {
    "numbers": RNG.normal(size=N),
    "two": RNG.choice([1, 3], N),
    "once": [7.0] * 50 + [None] * 10,
    "numbers as text": ["1.5", "-2", "3e4", "unknown", "-"] * 12,
    "decimal comma": ["1,5", "2", "3,25", "1.000,5"] * 15,
    "currency": ["$1,000.5", "$3", "$7.25"] * 20,
    "days": DAYS,
    "times": [datetime.datetime(2020, 1, 1, int(h) % 24, int(h)) for h in RNG.integers(0, 60, N)],
    "dates as text": [str(day) for day in DAYS],
    "German dates": [f"{day:%d.%m.%Y}" for day in DAYS],
    "American dates": [f"{day:%m/%d/%Y}" for day in DAYS],
    "months": [f"{day:%Y-%m}" for day in DAYS],
    "long dates": [f"{day:%d %B %Y}" for day in DAYS],
    "some": RNG.choice(["a", "b b", "ä", "1", "true"], N).tolist(),
    "pair": ["yes", "no"] * 30,
    "pooled": ["a", "b"] * 26 + [f"r{k}" for k in range(8)],
    "many": [f"v{k % 20}" for k in range(N)],
    "missing": ["a", None, "b"] * 20,
    "codes": ["007", "010", "123"] * 20,
    "booleans": [True, False, False] * 20,
    "booleans as text": ["True", "FALSE", ""] * 20,
}
ZONE = ZoneInfo("Europe/Oslo")
CELLS = [
    *(None, np.nan, pd.NA, pd.NaT, "", " ", "nan", "NA", "-", "unknown", "?", "Missing"),
    *(0, 1, -3, 7, 2**53 - 1, 2**53, -(2**60), 2**63, 2**64, 10**30, True, False),
    *(0.0, -0.0, 1.0, 1.5, 1e300, -1e300, 5e-324, np.inf, -np.inf),
    *(np.float64(1.5), np.float32(0.1), np.float16(2.5), np.int8(1), np.int64(2**60), np.uint64(7)),
    *(np.bool_(True), np.str_("a"), np.datetime64("2020-05-05"), np.datetime64("NaT")),
    *(np.datetime64("2020-05-05T12:00:01.5"), pd.Timestamp("2020-05-05 01:02:03.000004")),
    *(datetime.date(2020, 2, 29), datetime.date(1, 1, 1), datetime.date(9999, 12, 31)),
    *(datetime.datetime(2020, 2, 29, 13, 14, 15, 999_999), datetime.datetime(1900, 1, 1)),
    *(datetime.datetime(2020, 7, 1, 12, tzinfo=ZONE), datetime.time(12, 30)),
    *(datetime.timedelta(days=1.5), decimal.Decimal("1.5"), decimal.Decimal("NaN"), b"a"),
    *("a", "b b", " a ", "a\t", "A", "ä", "never", "nie ä", "a\x1f", "\ud800", "v7", "r1", "yes"),
    *(
        "1",
        "1.5",
        "-1.5",
        "+1.5",
        "1,5",
        "1.000,5",
        "1,000",
        "$3",
        "12 %",
        "1e5",
        ".5",
        "5.",
        "1_0",
    ),
    *("007", "123456789012345678", "0x10", "inf", "-inf", "1.5 ", "\u0661", "(3)", "\u22123"),
    *("true", "TRUE", "False", "0", "2"),
    *("2020-02-29", "2019-02-29", "2020-2-3", "2020-02-29T12:30:00", "2020-02-29 12:30:00"),
    *("2020-02-29T12:30", "2020-02-29T12:30:00Z", "2020-02-29T12:30:00+02:00", "2020/02/03"),
    *("2020-02-29T24:00:00", "2020-02-29T12:30:60", "0000-01-01", "9999-12-31", "2020-02"),
    *("29.02.2020", "1.2.2020", "31.02.2020", "02/29/2020", "13/13/2020", "1/2/20", "3 May 2020"),
    *([1.0], [], np.array(2.0), np.array([1.0]), {"a": 1}, 1j, object()),
]


@pytest.fixture(scope="module")
def preparation():
    kept = TablePreparation.fit(TABLES, keep=list(TABLES), warn=False)
    assert kept.columns == list(TABLES)
    return kept


def told(call):
    """What a call gives or raises, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = call()
        except InputError as error:
            found = str(error)
    return found, [str(one.message) for one in caught if one.category is UserWarning]


@pytest.mark.parametrize("place", range(len(TABLES)), ids=list(TABLES))
def test_every_cell_is_read_as_by_arrow(preparation, place):
    name = preparation.columns[place]
    only = TablePreparation((preparation.encoders[place],))
    reader = RowReader(only)
    quick = 0
    for cell in CELLS:
        row = {name: cell}
        want = told(lambda row=row: only.values(row))
        if isinstance(want[0], np.ndarray):
            rows = len(want[0])
            if rows != 1:
                want = f"each column has {rows} values: give one row", want[1]
        got = told(lambda row=row: np.array([reader.values(row)]))
        assert got[1] == want[1], cell
        if isinstance(want[0], str):
            assert got[0] == want[0], cell
        else:
            np.testing.assert_array_equal(got[0].view(np.int64), want[0].view(np.int64), str(cell))
        found, notes = told(lambda row=row: reader.quick(row))
        assert notes == []
        if found is not None:
            quick += 1
            np.testing.assert_array_equal(found, want[0][0], str(cell))
    assert quick >= 5


def test_whole_rows(preparation):
    reader = RowReader(preparation)
    values = preparation.values(TABLES, warn=False)
    for n in range(N):
        row = {name: column[n] for name, column in TABLES.items()}
        np.testing.assert_array_equal(reader.values(row), values[n])
        more = {"other": "x", **dict(reversed(row.items())), "more": 3}
        np.testing.assert_array_equal(reader.values(more), values[n])


def test_rows_of_the_training_table_are_quick(preparation):
    some = [e for e in preparation.encoders if e.name not in ("currency", "months", "long dates")]
    reader = RowReader(TablePreparation(tuple(some)))
    rows = [{e.name: TABLES[e.name][n] for e in some} for n in range(N)]
    assert sum(reader.quick(row) is not None for row in rows) > N / 2


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.pop("some"),
        lambda row: row.update(numbers=np.inf),
        lambda row: row.update(extra=object()),
        lambda row: row.update(extra=[1]),
        lambda row: row.update({7: 1, "7": 2}),
        lambda row: row.update(extra="\ud800"),
        lambda row: row.update(numbers=[1.0]),
    ],
)
def test_errors_are_those_of_tables(preparation, change):
    row = {name: column[0] for name, column in TABLES.items()}
    change(row)
    want = told(lambda: preparation.values(row))
    assert isinstance(want[0], str)
    assert told(lambda: RowReader(preparation).values(row)) == want
    assert RowReader(preparation).quick(row) is None


def test_more_rows_than_one():
    two = TablePreparation.fit({"a": [1.0, 2.0, 4.0]})
    with pytest.raises(InputError, match="each column has 2 values: give one row"):
        RowReader(two).values({"a": [1.0, 2.0]})


def test_a_model_of_an_array_takes_no_names():
    reader = RowReader(TablePreparation.fit(RNG.normal(size=(20, 3))))
    row = {"x0": 0.0, "x1": 0.0, "x2": 0.0}
    assert reader.quick(row) is None
    with pytest.raises(InputError, match="an array without names"):
        reader.values(row)


def test_it_needs_none_of_the_heavy_packages():
    code = (
        "import sys, json; from backhand.preprocess.one_row import RowReader;"
        "from backhand.preprocess.preparation import TablePreparation;"
        "r = RowReader(TablePreparation.from_dict(json.loads(sys.argv[1])));"
        "assert r.quick({'a': 1.5}) == [1.5];"
        "print({'pyarrow', 'sklearn', 'llvmlite', 'scipy', 'pandas'} & set(sys.modules))"
    )
    stored = json.dumps(TablePreparation.fit({"a": [1.0, 2.0, 4.0]}).to_dict())
    done = subprocess.run(
        [sys.executable, "-c", code, stored], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"

"""Cells of tables as modules read them, and what is no cell."""

from __future__ import annotations

import numpy as np
import pytest
from tests.export.test_programs import ensemble, strange, table

from backhand.preprocess.preparation import TablePreparation

from .modules import needs_node, ran, rows_of

pytestmark = needs_node


@pytest.fixture(scope="module")
def prepared():
    rng = np.random.default_rng(0)
    frame = table(rng, 400)
    return frame, TablePreparation.fit(frame), strange(rng, frame)


CELLS = {
    "number": [(" 3.5 ", 3.5), ("-1e2", -100.0), ("n/a", None), ("", None), (True, 1.0)],
    "some": [(" v1 ", "v1"), ("", None), ("V1", "never")],
    "flag": [("TRUE", True), ("0", False), (1, True), ("unknown", None)],
    "day": [
        ("2020-02-29", "2020-02-29T00:00:00"),
        ("2020-2-9", "2020-02-09"),
        ("2020-02-29 13:45+02:30", "2020-02-29T11:15:00"),
        ("2020-02-29T11:15:00.25Z", "2020-02-29T11:15:00.250"),
        ("NaT", None),
    ],
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_as_people_write_them(prepared, name, tmp_path):
    model = ensemble(prepared, 1)
    (base,) = rows_of(prepared[0][:1])
    pairs = [[{**base, name: given}, {**base, name: same}] for given, same in CELLS[name]]
    body = "return data.map((pair) => pair.map(m.prepare));"
    for a, b in ran(tmp_path, model, pairs, body):
        assert a == b
    known = {**base, name: CELLS[name][0][0]}
    gap = {**base, name: None}
    a, b = ran(tmp_path, model, [known, gap], "return data.map(m.prepare);")
    assert a != b


def test_dates_are_dates_too(prepared, tmp_path):
    model = ensemble(prepared, 1)
    (base,) = rows_of(prepared[0][:1])
    body = """\
const text = m.prepare({ ...data, time: "2021-03-04T05:06:07.089Z" });
return [text, m.prepare({ ...data, time: new Date(Date.UTC(2021, 2, 4, 5, 6, 7, 89)) })];"""
    a, b = ran(tmp_path, model, base, body)
    assert a == b


WRONG = [
    ("number", "three", 'column "number" needs a finite number, or null; got "three"'),
    ("number", {}, 'column "number" needs a finite number, or null; got "[object Object]"'),
    ("day", "29.2.2021", 'column "day" needs a Date or a text such as 2026-01-31, or null'),
    ("day", "2021-02-29", 'column "day" needs a Date or a text such as 2026-01-31, or null'),
    ("day", 18000, 'column "day" needs a Date or a text such as 2026-01-31, or null; got "18000"'),
]


def test_what_is_no_cell_is_refused(prepared, tmp_path):
    model = ensemble(prepared, 1)
    (base,) = rows_of(prepared[0][:1])
    rows = [{**base, name: cell} for name, cell, _ in WRONG]
    rows += [{k: v for k, v in base.items() if k != "tail"}, None, 3]
    body = "return data.map((row) => { try { m.predict(row); } catch (e) { return e.message; } });"
    found = ran(tmp_path, model, rows, body)
    wanted = [
        *(message for *_, message in WRONG),
        'column "tail" is not in the row: give null where its value is missing',
        *["a row is an object with a value for each column"] * 2,
    ]
    for message, start in zip(found, wanted, strict=True):
        assert message.startswith(start)

from __future__ import annotations

import dataclasses
import json

import pytest

from backhand.errors import InputError
from backhand.preprocess.readings import Reading

FULL = Reading("number", ",", ".", "€", words=("-",), strays=2, stray="abc", stray_row=7)


@pytest.mark.parametrize("reading", [FULL, Reading("date", form="D.M.Y"), Reading("text")])
def test_the_way_to_a_file_and_back(reading):
    back = Reading.from_dict(json.loads(json.dumps(reading.to_dict())))
    assert dataclasses.astuple(back) == dataclasses.astuple(reading)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("kind", "money", "unknown r: kind 'money'"),
        ("decimal", "", "decimal"),
        ("thousands", ",", "decimal and thousands are both ','"),
        ("form", "%Y", "form"),
        ("sign", 1, "sign: must be text"),
        ("words", "-", "words: must be a list"),
        ("words", [1], "words: must be text"),
        ("strays", -1, "strays: must be an integer of at least 0"),
        ("stray_row", True, "stray_row: must be an integer"),
        ("more", 1, "'more' is not known"),
    ],
)
def test_an_edited_reading_is_refused(entry, value, message):
    with pytest.raises(InputError, match=message):
        Reading.from_dict({**FULL.to_dict(), entry: value}, "r")


def test_people_are_told_how_a_column_is_read():
    assert FULL.summary == "numbers (decimal comma, thousands ., €)"
    assert Reading("date", form="D.M.Y").summary == "dates (D.M.Y)"
    assert Reading("empty").summary == "nothing"
    assert FULL.stray_note("c") == (
        "column 'c': '-' counts as missing; 2 cells are not a number with a decimal comma "
        "(the first in row 7: 'abc'); they count as missing"
    )
    one = Reading("date", form="Y-M-D", strays=1, stray="soon", stray_row=3)
    assert one.stray_note("c") == (
        "column 'c': 1 cell is not a date (Y-M-D) (row 3: 'soon'); it counts as missing"
    )
    assert Reading("number").stray_note("c") is None


def test_strays_make_no_difference_between_readings():
    assert dataclasses.replace(FULL, words=(), strays=0, stray="", stray_row=0) == FULL
    assert dataclasses.replace(FULL, sign="") != FULL

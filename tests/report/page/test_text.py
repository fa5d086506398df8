from __future__ import annotations

import math

import pytest

from backhand.report.page.text import LONGEST, day, shown


@pytest.mark.parametrize("value", [None, "", "  ", math.nan])
def test_nothing_has_a_name(value):
    assert shown(value) == "missing"


def test_cells_are_as_people_read_them():
    assert shown(1984.0) == "1984"
    assert shown("a" * 100) == "a" * (LONGEST - 1) + "…"
    assert day(0.5) == "1970-01-01"
    assert day(math.nan) == "missing"

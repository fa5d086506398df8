from __future__ import annotations

import numpy as np
import pytest

from backhand.report.page.mistakes import mistakes
from backhand.report.page.sampling import MOST_MISTAKES


def test_numbers(subject):
    of = subject("regression")
    found = mistakes(of)
    errors = np.abs(of.predictions - of.y)
    worst = of.numbers[np.argsort(-errors)][:MOST_MISTAKES]
    assert [one.row for one in found] == worst.tolist()
    for one in found:
        total = one.base + sum(driver.added for driver in one.drivers) + one.others + one.gap
        assert total == pytest.approx(one.answer)
        assert one.adds_up
        sizes = [abs(driver.added) for driver in one.drivers]
        assert sizes == sorted(sizes, reverse=True)


def test_classes(subject, fitted):
    of = subject("several")
    _, frame, y = fitted("several")
    found = mistakes(of)
    assert found
    for one in found:
        assert y[one.row] == one.actual != one.predicted
        assert one.answer >= one.of_actual
        cells = {driver.column: driver.value for driver in one.drivers}
        assert cells.get("few", frame.few[one.row]) == frame.few[one.row]
    certainty = [one.of_actual for one in found]
    assert certainty == sorted(certainty)

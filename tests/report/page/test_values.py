from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand.report.page.sampling import MOST_SCATTERED
from backhand.report.page.values import value_page


def test_errors_and_coverage(subject, fitted):
    of = subject("regression")
    model = fitted("regression")[0].model_
    of = dataclasses.replace(of, half_widths={c: model.half_width(c) for c in (0.5, 0.9)})
    found = value_page(of)
    assert found.errors.sum() == len(of)
    assert found.bias == pytest.approx(np.mean(of.predictions - of.y))
    assert not found.density
    assert len(found.predicted) == len(of)
    for one in found.coverage:
        inside = np.abs(of.predictions - of.y) <= one.half_width
        assert one.found == inside.mean()
        assert one.low < one.found < one.high
        # the rows are those that the widths come from: the next higher error
        assert 0 <= one.found - one.promised <= 2 / len(of)


def test_many_rows_are_counted_in_cells(subject):
    of = subject("regression")
    times = MOST_SCATTERED // len(of) + 1
    many = dataclasses.replace(
        of, y=np.tile(of.y, times), predictions=np.tile(of.predictions, times)
    )
    found = value_page(many)
    assert sum(cell[-1] for cell in found.density) == len(many.y)
    assert len(found.predicted) == MOST_SCATTERED

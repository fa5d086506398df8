from __future__ import annotations

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.report.page import subjects
from backhand.report.page.sampling import MOST_ROWS


@pytest.mark.parametrize("kind", ["binary", "several", "regression"])
def test_held_out_rows_are_answered_as_in_the_fit(subject, fitted, kind):
    """By those networks that had not learned from a row, with its kind's share."""
    of, (model, _, _) = subject(kind), fitted(kind)
    # of the fit, the logits have another order of summation in float32
    np.testing.assert_allclose(of.predictions, model.held_out_.predictions, rtol=1e-5, atol=1e-6)
    weights = subjects.held_out_weights(model.model_, model.members_)
    np.testing.assert_allclose(weights.sum(axis=0), 1.0, rtol=1e-12)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_given_rows_are_answered_by_the_model(fitted, kind):
    model, frame, y = fitted(kind)
    numbers = y if kind == "regression" else np.searchsorted(model.classes_, y)
    of = subjects.of_table(model.model_, frame, numbers)
    wanted = model.predict(frame) if kind == "regression" else model.predict_proba(frame)
    np.testing.assert_allclose(of.predictions, wanted, rtol=1e-6)
    assert of.rows_in_all == len(frame)
    assert of.columns["day"].text(0) == str(frame.day[0].date())
    assert of.columns["few"].text(0) == frame.few[0]
    missing = int(np.flatnonzero(frame.b.isna())[0])
    assert of.columns["b"].text(missing) == "missing"


def test_many_rows_are_sampled(fitted):
    model, frame, y = fitted("regression")
    times = MOST_ROWS // len(frame) + 2
    many = frame.loc[np.tile(frame.index, times)].reset_index(drop=True)
    of = subjects.of_table(model.model_, many, np.tile(y, times))
    assert (len(of), of.rows_in_all) == (MOST_ROWS, len(many))
    np.testing.assert_array_equal(of.y, np.tile(y, times)[of.numbers])


def test_rows_and_targets_must_fit(fitted):
    model, frame, y = fitted("regression")
    with pytest.raises(InputError, match="300 rows and 299 targets"):
        subjects.of_table(model.model_, frame, y[:-1])

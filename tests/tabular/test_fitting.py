"""From rows and targets to a model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from backhand import InputError
from backhand.preprocess.tables import columns_of
from backhand.tabular import fitting
from backhand.tabular.fitting import Labelled, Settings, fit_model


@pytest.fixture(scope="module")
def rows(table):
    frame, y = table
    return Labelled(columns_of(frame), y)


def test_the_score_is_of_rows_that_were_held_out(rows, recipe):
    fitted = fit_model(rows, None, Settings(recipe))
    total, times = np.zeros((2, len(rows.y))), np.zeros((2, len(rows.y)))
    for member in fitted.members:
        total[member.kind][member.validation_rows] += member.held_out
        times[member.kind][member.validation_rows] += 1
    which = times.min(axis=0) > 0
    assert which.sum() == 150  # two folds of a quarter
    shares = np.zeros(2)
    for member in fitted.members:
        for kept, weight in zip(fitted.model.members, fitted.model.weights, strict=True):
            shares[member.kind] += weight * (kept is member)
    mixed = shares @ (total[:, which] / times[:, which])
    mixed = np.clip(mixed, rows.y.min(), rows.y.max())
    wanted = -math.sqrt(np.mean((mixed - rows.y[which]) ** 2))
    assert fitted.score == pytest.approx(wanted)
    np.testing.assert_allclose(fitted.model.residuals, np.sort(abs(mixed - rows.y[which])))


def test_rows_that_are_given_to_judge_by_are_not_learned_from(rows, recipe, table):
    frame, y = table
    few = Labelled(columns_of(frame), y[:200], None, np.arange(200))
    judged = Labelled(columns_of(frame), y[200:], None, np.arange(200, 300))
    fitted = fit_model(few, None, Settings(recipe), judged)
    assert all(member.validation_rows == slice(200, 300) for member in fitted.members)
    changed = judged._replace(y=judged.y[::-1])
    other = fit_model(few, None, Settings(recipe), changed)
    assert other.model.preparation == fitted.model.preparation
    assert other.score < fitted.score
    assert fitted.model.highest == y[:200].max()


def test_many_rows_share_the_rows_that_judge(rows, recipe, monkeypatch):
    monkeypatch.setattr(fitting, "MOST_FOLDED", 200)
    fitted = fit_model(rows, None, Settings(recipe))
    assert all(member.validation_rows == slice(262, 300) for member in fitted.members)
    assert fitted.score > -1.5
    assert len(fitted.model.residuals) == 38


def test_a_handful_of_rows_is_learned_from_without_any_judge(recipe):
    table = columns_of({"a": [1.0, 2.0, 3.0, 4.0], "b": ["x", "y", "x", "y"]})
    fitted = fit_model(Labelled(table, np.array([1.0, 2.0, 3.0, 4.0])), None, Settings(recipe))
    assert math.isnan(fitted.score)
    assert fitted.model.residuals is None
    with pytest.raises(InputError, match="too few rows"):
        fitted.model.half_width(0.9)


def test_weights_of_any_scale_are_the_same_fit(rows, recipe):
    weight = np.random.default_rng(0).uniform(1, 2, len(rows.y))
    one = fit_model(rows._replace(weight=weight), None, Settings(recipe)).model
    other = fit_model(rows._replace(weight=weight * 2.0**40), None, Settings(recipe)).model
    np.testing.assert_array_equal(one.predict(rows.table), other.predict(rows.table))


@pytest.mark.parametrize("limit", [0, -1.0, "soon", True, math.nan])
def test_a_time_limit_is_a_number_of_seconds(rows, recipe, limit):
    with pytest.raises(InputError, match="time_limit"):
        fit_model(rows, None, Settings(recipe, time_limit=limit))


def test_a_threshold_comes_from_the_metric(rows, recipe):
    y = (rows.y > np.quantile(rows.y, 0.9)).astype(int)
    labels = np.array([False, True])
    plain = fit_model(rows._replace(y=y), labels, Settings(recipe)).model
    chosen = fit_model(rows._replace(y=y), labels, Settings(recipe, metric="recall")).model
    assert plain.threshold == 0.5
    assert chosen.threshold < 0.3


def test_rows_that_were_held_out_are_named_by_their_place(rows, recipe, table, monkeypatch):
    frame, y = table
    every = fit_model(rows, None, Settings(recipe)).held_out
    assert (every.y == y[every.rows]).all()
    score = -math.sqrt(np.mean((every.predictions - every.y) ** 2))
    assert fit_model(rows, None, Settings(recipe)).score == pytest.approx(score)
    which = np.arange(100, 300)
    some = Labelled(columns_of(frame), y[which], None, which)
    held_out = fit_model(some, None, Settings(recipe)).held_out
    assert held_out.rows.min() >= 100
    assert (held_out.y == y[held_out.rows]).all()
    judged = Labelled(columns_of(frame[:100]), y[:100], None, np.arange(50, 100))
    judged = judged._replace(y=y[50:100])
    held_out = fit_model(some, None, Settings(recipe), judged).held_out
    assert held_out.rows.tolist() == [*range(50, 100)]
    monkeypatch.setattr(fitting, "MOST_FOLDED", 100)  # rows are shuffled
    held_out = fit_model(some, None, Settings(recipe)).held_out
    assert len(set(held_out.rows.tolist())) == 25
    assert (held_out.y == y[held_out.rows]).all()


def test_callbacks_may_ask_for_the_columns(rows, recipe):
    class Asks:
        def prepared(self, preparation):
            seen.append(preparation)

        def __call__(self, now):
            seen.append(now.epoch)

    seen = []
    fitted = fit_model(rows, None, Settings(recipe, callbacks=[Asks()]))
    assert seen[0] is fitted.model.preparation
    assert set(seen[1:]) <= set(range(1, 13))


def test_the_score_of_classes_follows_the_threshold(table, recipe):
    frame, value = table
    y = (value > np.quantile(value, 0.9)).astype(int)
    rows = Labelled(columns_of(frame), y)
    fitted = fit_model(rows, np.array([0, 1]), Settings(recipe, metric="balanced_accuracy"))
    held_out, model = fitted.held_out, fitted.model
    assert model.threshold != 0.5
    chosen = model.chosen(held_out.predictions)
    assert fitted.score == balanced_accuracy_score(held_out.y, chosen)
    assert fitted.score > balanced_accuracy_score(held_out.y, held_out.predictions.argmax(axis=1))

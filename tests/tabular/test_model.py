"""What predicts, and its file."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from backhand import InputError
from backhand.preprocess.tables import columns_of
from backhand.tabular.fitting import Labelled, Settings, fit_model
from backhand.tabular.metrics import metric_of
from backhand.tabular.model import MOST_RESIDUALS, TableModel, kept_residuals


@pytest.fixture(scope="module")
def regression(table, recipe):
    frame, y = table
    return fit_model(Labelled(columns_of(frame), y), None, Settings(recipe)).model


@pytest.fixture(scope="module")
def classes(table, recipe):
    frame, value = table
    y = np.digitize(value, [-1.0, 1.5])
    labels = np.array(["007", "08", "9"])
    return fit_model(Labelled(columns_of(frame), y), labels, Settings(recipe)).model


def test_predictions_are_the_weighted_mean_of_the_members(regression, table):
    frame, _ = table
    x = regression.preparation.apply(frame)
    wanted = sum(
        weight * member.predictions(x)
        for member, weight in zip(regression.members, regression.weights, strict=True)
    )
    wanted = np.clip(wanted, regression.lowest, regression.highest)
    # a product of float32 with 64 terms or fewer, of outputs of a size near 1
    scale = regression.members[0].scale.std
    np.testing.assert_allclose(regression.predict(frame), wanted, atol=64 * 2.0**-24 * scale)
    np.testing.assert_array_equal(regression.predict_prepared(x), regression.predict(frame))


def test_predictions_stay_within_the_training_range(regression, table):
    frame, y = table
    wild = frame.assign(a=frame["a"] * 1e6)
    with pytest.warns(UserWarning, match="'a'"):
        found = regression.predict(wild)
    assert found.min() >= y.min()
    assert found.max() <= y.max()


def test_the_score_follows_the_threshold(table, recipe):
    frame, value = table
    y = (value > 1).astype(int)
    made = fit_model(Labelled(columns_of(frame), y), np.arange(2), Settings(recipe)).model
    p = made.predictions(frame)
    for threshold in (0.0, 0.3, 1.0):
        one = dataclasses.replace(made, threshold=threshold)
        wanted = np.mean((p[:, 1] >= threshold) == y)
        assert one.score(metric_of("accuracy", False), y, p) == pytest.approx(wanted)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        assert one.score(metric_of("log_loss", False), y, p) == pytest.approx(-loss)


def test_rows_are_taken_in_every_form(classes, table):
    frame, _ = table
    wanted = classes.predict_proba(frame)
    np.testing.assert_array_equal(classes.predict_proba(frame[frame.columns[::-1]]), wanted)
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    np.testing.assert_allclose(classes.predict_proba(rows), wanted, atol=1e-6)
    np.testing.assert_allclose(classes.predict_proba(rows[3]), wanted[3:4], atol=1e-6)
    with pytest.raises(InputError, match="'few' is missing"):
        classes.predict(frame.drop(columns="few"))


def test_labels_and_probabilities_agree(classes, table):
    p = classes.predict_proba(table[0])
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(classes.predict(table[0]), classes.classes[p.argmax(axis=1)])
    assert set(classes.predict(table[0])) == {"007", "08", "9"}


def test_a_threshold_decides_between_two(classes):
    two = dataclasses.replace(classes, classes=np.array([0, 1]), threshold=0.2)
    assert two.labels(np.array([[0.81, 0.19], [0.8, 0.2], [0.1, 0.9]])).tolist() == [0, 1, 1]


def test_intervals_cover_what_they_promise(regression, table):
    rng = np.random.default_rng(0)
    share = []
    for _ in range(200):
        errors = rng.standard_t(3, size=150)
        model = dataclasses.replace(regression, residuals=kept_residuals(errors[:99]))
        share.append(np.mean(np.abs(errors[99:]) <= model.half_width(0.9)))
    # each of 200 x 51 rows is covered with probability 0.9; the spread between sets of 99 is 0.03
    assert np.mean(share) == pytest.approx(0.9, abs=4 * 0.03 / np.sqrt(200) + 4 * 0.042 / 200**0.5)
    low, high = regression.predict_interval(table[0], 0.8).T
    np.testing.assert_allclose((low + high) / 2, regression.predict(table[0]))
    assert regression.half_width(0.5) < regression.half_width(0.9)
    assert regression.half_width(1 - 1e-9) == np.inf
    with pytest.raises(InputError, match="coverage"):
        regression.half_width(90)


def test_many_residuals_are_kept_as_quantiles():
    errors = np.random.default_rng(0).normal(size=5 * MOST_RESIDUALS)
    kept = kept_residuals(errors)
    assert len(kept) == MOST_RESIDUALS
    assert (np.diff(kept) >= 0).all()
    for share in (0.5, 0.9, 0.99):
        assert np.quantile(kept, share) == pytest.approx(np.quantile(abs(errors), share), rel=1e-2)


@pytest.mark.parametrize("name", ["regression", "classes"])
def test_a_file_holds_all_of_it(name, request, table):
    model = request.getfixturevalue(name)
    about = json.loads(json.dumps(model.to_dict()))
    again = TableModel.from_dict(about, {k: a.copy() for k, a in model.tensors().items()})
    np.testing.assert_array_equal(again.predict(table[0]), model.predict(table[0]))
    assert again.to_dict() == model.to_dict()
    assert repr(again) == repr(model)


def test_no_rows_have_no_predictions(regression, classes, table):
    none = table[0][:0]
    assert regression.predict(none).shape == (0,)
    assert classes.predict(none).shape == (0,)
    assert classes.predict_proba(none).shape == (0, len(classes.classes))


def test_a_file_that_was_edited_is_refused(regression):
    def changed(**entries):
        return {**json.loads(json.dumps(regression.to_dict())), **entries}

    tensors = regression.tensors()
    wrong = [
        (changed(temperature=-1.0), tensors, "temperature"),
        (changed(classes=["<U1", ["a", "b"]]), tensors, "outputs"),
        (changed(members=changed()["members"][:1]), tensors, "nothing uses"),
        (changed(), {**tensors, "stranger": np.zeros(3)}, "'stranger'"),
        (changed(), {k: a * np.nan for k, a in tensors.items()}, "not finite"),
        (changed(), {k: a for k, a in tensors.items() if not k.startswith("0.")}, "missing"),
    ]
    for about, arrays, message in wrong:
        with pytest.raises(InputError, match=message):
            TableModel.from_dict(about, arrays)


def test_one_class_needs_no_network(table, recipe):
    frame, _ = table
    rows = Labelled(columns_of(frame), np.zeros(len(frame), int))
    model = fit_model(rows, np.array(["only"]), Settings(recipe)).model
    assert model.members == ()
    assert set(model.predict(frame)) == {"only"}
    again = TableModel.from_dict(model.to_dict(), model.tensors())
    np.testing.assert_array_equal(again.predict_proba(frame), np.ones((len(frame), 1)))

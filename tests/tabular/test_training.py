"""The networks of an ensemble are trained."""

from __future__ import annotations

import dataclasses
import math
import time

import joblib
import numpy as np
import pytest

from backhand import InputError
from backhand.preprocess.preparation import TablePreparation
from backhand.tabular import training
from backhand.tabular.folds import folds_of
from backhand.tabular.member import MemberProgress
from backhand.tabular.metrics import metric_of
from backhand.tabular.recipes import LOG
from backhand.tabular.training import Task, train_members
from backhand.train.result import DivergedError


@pytest.fixture(scope="module")
def task(table):
    frame, y = table
    preparation = TablePreparation.fit(frame)
    x = preparation.apply(frame)
    folds = folds_of(None, len(y), 2, 0.25, 0)
    return Task(preparation, x, y, None, 0, metric_of(None, True), folds)


@pytest.fixture(scope="module")
def members(task, recipe):
    return train_members(task, recipe, seed=0)


def test_there_is_a_member_of_each_kind_on_each_fold(task, members):
    assert [member.kind for member in members] == [0, 1, 0, 1]
    for number, member in enumerate(members):
        np.testing.assert_array_equal(member.validation_rows, task.folds[number // 2][1])
        assert len(member.held_out) == len(member.validation_rows)
        np.testing.assert_array_equal(
            member.held_out, member.predictions(task.x[member.validation_rows])
        )


def test_they_learn(task, members):
    for member in members:
        errors = member.held_out - task.y[member.validation_rows]
        assert np.mean(errors**2) < 0.5 * task.y.var()


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_no_bit(task, recipe, members, threads):
    for a, b in zip(members, train_members(task, recipe, seed=0, threads=threads), strict=True):
        assert all((a.params[name] == b.params[name]).all() for name in a.params)


def test_workers_of_joblib_change_no_bit(task, recipe):
    task = dataclasses.replace(task, by_score=True)  # the score goes to the workers too
    with joblib.parallel_config(backend="loky", n_jobs=2):
        spread = train_members(task, recipe, seed=0)
    for a, b in zip(spread, train_members(task, recipe, seed=0), strict=True):
        assert all((a.params[name] == b.params[name]).all() for name in a.params)
        assert (a.held_out == b.held_out).all()
        assert a.result.best_epoch == b.result.best_epoch


@pytest.mark.parametrize("words", [{"callbacks": [print]}, {"deadline": 1e9}])
def test_what_needs_every_epoch_stays_on_threads(task, recipe, members, words, monkeypatch):
    monkeypatch.setattr(training, "fit_spread", None)
    name = {"callbacks": "callbacks", "deadline": "time_limit"}[next(iter(words))]
    with (
        joblib.parallel_config(backend="loky", n_jobs=2),
        pytest.warns(UserWarning, match=f"^{name} cannot be had on joblib's workers"),
    ):
        found = train_members(task, recipe, seed=0, threads=2, **words)
    for a, b in zip(found, members, strict=True):
        assert (a.held_out == b.held_out).all()


def test_a_member_has_the_bits_that_it_has_alone(task, recipe, members):
    alone = dataclasses.replace(recipe, networks=recipe.networks[:1])
    first = dataclasses.replace(task, folds=task.folds[:1])
    (one,) = train_members(first, alone, seed=0)
    assert all((one.params[name] == members[0].params[name]).all() for name in one.params)


def test_another_seed_is_another_ensemble(task, recipe, members):
    others = train_members(task, recipe, seed=1)
    assert (others[0].held_out != members[0].held_out).any()


def test_the_metric_chooses_the_epoch_where_it_is_asked_to(task, recipe):
    metric = metric_of("neg_median_absolute_error", True)
    chosen = dataclasses.replace(task, metric=metric, by_score=True)
    for member in train_members(chosen, recipe, seed=0):
        lines = member.result.history
        scores = [line.validation_score for line in lines]
        assert member.result.best_epoch == 1 + int(np.argmax(scores))
        errors = np.abs(member.held_out - task.y[member.validation_rows])
        assert -np.median(errors) == pytest.approx(max(scores), rel=1e-5)


def test_a_metric_that_the_rows_do_not_have_leaves_the_choice_to_the_loss(task, recipe):
    y = np.zeros(len(task.y), int)
    y[np.setdiff1d(np.arange(len(y)), task.folds[0][1])[:40]] = 1  # none of the judged rows
    folds = task.folds[:1]
    one = dataclasses.replace(
        task, y=y, classes=2, metric=metric_of("auc", False), by_score=True, folds=folds
    )
    for member in train_members(one, recipe, seed=0):
        lines = [line.validation_loss for line in member.result.history]
        assert member.result.best_epoch == 1 + int(np.argmin(lines))


def test_logarithms_are_learned_and_undone(task, recipe):
    kinds = tuple(dataclasses.replace(kind, target=LOG) for kind in recipe.networks[:1])
    y = np.exp(task.y / 4)
    positive = dataclasses.replace(task, y=y)
    for member in train_members(positive, dataclasses.replace(recipe, networks=kinds), seed=0):
        assert member.scale.log
        errors = member.held_out - y[member.validation_rows]
        assert np.mean(errors**2) < 0.5 * y.var()
        assert member.held_out.mean() == pytest.approx(y[member.validation_rows].mean(), rel=1e-3)


def test_callbacks_hear_of_every_epoch_and_may_end_the_fit(task, recipe):
    heard = []

    def listen(now):
        heard.append(now)
        return len(heard) >= 5

    members = train_members(task, recipe, seed=0, threads=1, callbacks=[listen])
    assert all(isinstance(now, MemberProgress) and now.members == 4 for now in heard)
    assert [now.member for now in heard[:5]] == [1] * 5
    assert [len(member.result.history) for member in members] == [5, 1, 1, 1]
    with pytest.raises(InputError, match="callbacks"):
        train_members(task, recipe, seed=0, callbacks=[3])


def test_a_deadline_takes_epochs(task, recipe):
    long = dataclasses.replace(recipe, lengths=((10**9, 100_000, 32),), patience=1.0)
    train_members(task, long, seed=0, deadline=time.monotonic() + 0.01)  # compiled from here on
    begun = time.monotonic()
    members = train_members(task, long, seed=0, deadline=begun + 2.0)
    assert time.monotonic() - begun < 6.0  # what a loaded machine needs
    assert all(8 <= len(member.result.history) < 100_000 for member in members)


def test_what_diverges_is_tried_again_with_a_smaller_rate(task, recipe, members, monkeypatch):
    factors, train = [], training._train

    def diverge_at_first(task, jobs, shared, rate_factor, *settings):
        factors.append(rate_factor)
        if len(factors) < 3:
            raise DivergedError("the loss is nan")
        return train(task, jobs, shared, 1.0, *settings)

    monkeypatch.setattr(training, "_train", diverge_at_first)
    for one, other in zip(train_members(task, recipe, seed=0), members, strict=True):
        np.testing.assert_array_equal(one.held_out, other.held_out)
    assert factors == [1.0, 0.25, 0.0625]


def test_what_always_diverges_is_an_error(task, recipe):
    wild = dataclasses.replace(recipe.networks[0], learning_rate=1e18)
    with pytest.raises(DivergedError):
        train_members(task, dataclasses.replace(recipe, networks=(wild,)), seed=0)


def test_class_weights_and_probabilities(table, recipe):
    frame, value = table
    y = (value > np.quantile(value, 0.9)).astype(int)
    preparation = TablePreparation.fit(frame)
    folds = folds_of(y, len(y), 2, 0.25, 0)
    plain = Task(preparation, preparation.apply(frame), y, None, 2, metric_of(None, False), folds)
    weighted = dataclasses.replace(plain, weight=np.where(y == 1, 9.0, 1.0))
    means = []
    for task in (plain, weighted):
        members = train_members(task, recipe, seed=0)
        for member in members:
            np.testing.assert_allclose(member.held_out.sum(axis=1), 1.0, atol=1e-6)
        means.append(np.mean([member.held_out[:, 1].mean() for member in members]))
    assert means[1] > means[0]
    assert math.isfinite(means[1])

"""Fits that are interrupted or killed, and go on: the same bits; and what is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import re

import numpy as np
import pytest

from backhand import Checkpoint, InputError, TabularClassifier, TabularRegressor
from backhand.tabular import checkpoints, training
from backhand.tabular.checkpoints import RECORD, FitCheckpoint, drop, recorded
from backhand.train.checkpoint import load_checkpoint
from backhand.train.result import DivergedError

from .conftest import same


def fitted(recipe, table, folder=None, every=1, **more):
    frame, value = table
    checkpoint = None if folder is None else Checkpoint(folder, every)
    given = {"random_state": 3, "threads": 1, **more}
    return TabularRegressor(recipe, **given).fit(frame, value, checkpoint=checkpoint)


@pytest.fixture(scope="module")
def whole(recipe, table):
    return fitted(recipe, table)


def killed_at(member, epoch, seen=None):
    def callback(now):
        if seen is not None:
            seen.append((now.member, now.epoch))
        if (now.member, now.epoch) == (member, epoch):
            raise RuntimeError("killed")

    return callback


@pytest.fixture
def killed(recipe, table, tmp_path):
    """A folder that a fit has left in the midst of its second network."""
    with pytest.raises(RuntimeError, match="killed"):
        fitted(recipe, table, tmp_path / "ck", callbacks=[killed_at(2, 5)])
    return tmp_path / "ck"


def test_a_fit_goes_on_and_finished_networks_are_not_trained_again(recipe, table, killed, whole):
    assert sorted(os.listdir(killed))[0] == RECORD
    seen = []
    again = fitted(recipe, table, killed, callbacks=[killed_at(0, 0, seen)])
    assert same(again, whole)
    assert again.held_out_score_ == whole.held_out_score_
    assert all(member > 1 for member, _ in seen)
    assert min(epoch for member, epoch in seen if member == 2) == 6
    assert [len(m.result.history) for m in again.members_] == [
        len(m.result.history) for m in whole.members_
    ]
    assert not killed.exists()


def test_a_short_fit_writes_nothing(recipe, table, tmp_path, whole):
    seen = []

    def look(now):
        seen.append((tmp_path / "ck").exists())

    assert same(fitted(recipe, table, tmp_path / "ck", "60s", callbacks=[look]), whole)
    assert seen
    assert not any(seen)


def test_ctrl_c_leaves_what_goes_on(recipe, table, tmp_path, whole):
    def interrupt(now):
        if now.epoch == 4:
            raise KeyboardInterrupt

    cut = fitted(recipe, table, tmp_path / "ck", "60s", callbacks=[interrupt])
    assert "interrupted" in {m.result.stopped for m in cut.members_}
    assert (tmp_path / "ck" / RECORD).exists()
    assert same(fitted(recipe, table, tmp_path / "ck"), whole)
    assert not (tmp_path / "ck").exists()


def test_the_seed_of_a_fit_that_was_given_none_holds(recipe, table, tmp_path):
    folder = tmp_path / "ck"
    with pytest.raises(RuntimeError, match="killed"):
        fitted(recipe, table, folder, callbacks=[killed_at(1, 3)], random_state=None)
    seed = recorded(str(folder))["seed"]

    class Drawn(np.random.RandomState):
        def randint(self, high):
            return seed

    again = fitted(recipe, table, folder, random_state=None)
    assert same(again, fitted(recipe, table, random_state=Drawn()))
    assert not folder.exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"random_state": 4}, "random_state: not the same"),
        ({"n_members": 1}, "n_members: None then, 1 now"),
        ({"metric": "r2"}, "metric: None then, 'r2' now"),
        ({"drop": "a"}, r"drop: \[\] then, \['a'\] now"),
        ({"time_limit": 9}, "time_limit=9 with a checkpoint: .* leave one of them out"),
    ],
)
def test_other_parameters_are_refused(recipe, table, killed, more, message):
    with pytest.raises(InputError, match=message):
        fitted(recipe, table, killed, **more)
    assert (killed / RECORD).exists()


def test_other_data_and_recipes_are_refused(recipe, table, killed):
    frame, value = table
    changed = frame.copy()
    changed.loc[7, "a"] += 1e-3
    for other in ((changed, value), (frame, value + 1.0), (frame[:-1], value[:-1])):
        with pytest.raises(InputError, match=r"of another fit \(data: not the same\)"):
            fitted(recipe, other, killed)
    longer = dataclasses.replace(recipe, patience=0.9)
    with pytest.raises(InputError, match="preset: "):
        fitted(longer, table, killed)
    labels = np.where(value > 0, "x", "y")
    with pytest.raises(InputError, match="estimator: 'TabularRegressor' then"):
        TabularClassifier(recipe, random_state=3).fit(frame, labels, checkpoint=killed)


def test_a_retry_with_a_smaller_rate_goes_on(recipe, table, tmp_path, monkeypatch):
    """The first try diverges after some epochs; a fit that is killed in the second goes on."""
    real = training.fit_several

    def diverging(*args, **more):
        for config in args[3]:
            assert config.learning_rate > 0
        if args[3][0].learning_rate == recipe.networks[0].learning_rate:
            real(*args, **more)
            raise DivergedError("as if")
        return real(*args, **more)

    monkeypatch.setattr(training, "fit_several", diverging)
    wanted = fitted(recipe, table)
    tries = []

    def kill_second(now):
        tries.append(now.epoch)
        if tries.count(1) > now.members and now.epoch == 6:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fitted(recipe, table, tmp_path / "ck", callbacks=[kill_second])
    assert any("try-1" in name for name in os.listdir(tmp_path / "ck"))
    seen = []
    again = fitted(recipe, table, tmp_path / "ck", callbacks=[lambda now: seen.append(now.epoch)])
    assert same(again, wanted)
    # without six epochs of one network, and what another one had done by then, which is less
    every = sum(len(m.result.history) for m in wanted.members_)
    assert every / 2 < len(seen) <= every - 6


def test_a_fit_that_diverges_for_good_leaves_nothing(recipe, table, tmp_path):
    kinds = tuple(dataclasses.replace(kind, learning_rate=1e30) for kind in recipe.networks)
    wild = dataclasses.replace(recipe, networks=kinds)
    with pytest.raises(DivergedError):
        fitted(wild, table, tmp_path / "ck")
    assert not (tmp_path / "ck").exists()


def test_what_cannot_be_written_is_told_once(recipe, table, tmp_path, whole):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="no checkpoint: .*; training goes on") as told:
        found = fitted(recipe, table, tmp_path / "file" / "ck")
    assert len(told) == 1
    assert same(found, whole)
    with pytest.raises(InputError, match="is a file: that of a fit is a folder"):
        fitted(recipe, table, tmp_path / "file")
    with pytest.raises(InputError, match="a path must be"):
        TabularRegressor(recipe).fit(*table, checkpoint=3)


def test_two_fits_that_write_to_one_folder_are_not_mixed(killed, tmp_path):
    names = [f"member-{number}.try-0.safetensors" for number in (0, 1)]
    state = load_checkpoint(killed / names[0])
    fits = [FitCheckpoint.of(tmp_path / "both") for _ in names]
    for seed, fit in enumerate(fits):
        fit.check(seed=seed)
        fit.save(names[seed], state)
    fits[0].save(names[0], state)  # beside the record of the other
    again = FitCheckpoint.of(tmp_path / "both")
    again.check(seed=1)
    assert again.state(names[1]) is not None
    with pytest.raises(InputError, match=r"member-0.* is of another fit"):
        again.state(names[0])


def test_a_damaged_record_is_refused(recipe, table, killed):
    text = (killed / RECORD).read_text()
    for damage in (text[:40], "[]", text.replace('"seed"', '"sead"'), "{}"):
        (killed / RECORD).write_text(damage)
        with pytest.raises(InputError, match=re.escape(RECORD)):
            fitted(recipe, table, killed)
    about = json.loads(text)
    (killed / RECORD).write_text(json.dumps(about | {"backhand": "0.0"}))
    with pytest.raises(InputError, match=r"backhand: '0\.0' then"):
        fitted(recipe, table, killed)


def test_a_kill_while_it_is_removed_costs_no_bit(recipe, table, killed, whole, monkeypatch):
    (killed / "mine.txt").write_text("")

    def dies(path):
        if os.path.basename(path) == RECORD:
            raise KeyboardInterrupt
        os.remove(path)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.os, "unlink", dies)
        with pytest.raises(KeyboardInterrupt):
            drop(str(killed))
    assert sorted(os.listdir(killed)) == [RECORD, "mine.txt"]
    assert same(fitted(recipe, table, killed), whole)
    assert os.listdir(killed) == ["mine.txt"]


def test_networks_without_a_record_are_not_ours(recipe, table, killed):
    (killed / RECORD).unlink()
    before = sorted(os.listdir(killed))
    with pytest.raises(InputError, match=r"has member-.* and no fit\.json, .*: remove it, or name"):
        fitted(recipe, table, killed)
    assert sorted(os.listdir(killed)) == before


def test_networks_with_a_checkpoint_stay_in_this_process(
    recipe, table, tmp_path, monkeypatch, whole
):
    monkeypatch.setattr(training, "has_workers", lambda: True)
    with pytest.warns(UserWarning, match="a checkpoint cannot be had on joblib's workers"):
        assert same(fitted(recipe, table, tmp_path / "ck"), whole)

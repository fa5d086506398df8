"""Steps of one shard: those of a training without shards, wherever turns divide them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand import Network, Rows, TrainConfig, fit
from backhand.train.local_steps import local_steps
from backhand.train.shards import Turn
from backhand.train.state import TrainState

NET = Network((3, 8, 2), loss="softmax_cross_entropy")
START = NET.init("lecun_normal", 0)
CONFIG = TrainConfig(epochs=1, batch_size=32, optimiser="adam", learning_rate=0.02, shuffle=False)
STATE = TrainState.at_start(START, CONFIG)
NUMBER = 3


def rows(count):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3)).astype(np.float32)
    weight = rng.uniform(0.5, 2, count).astype(np.float32)
    return Rows(x, (x.sum(axis=1) > 0).astype(int)[:, None], weight[:, None])


def turn(number=0, turns=1, state=STATE, share=1.0):
    return Turn(NET, CONFIG, state, number, turns, share)


def assert_same(params, others):
    for name, a in params.items():
        np.testing.assert_array_equal(a, others[name])


def test_one_shard_and_one_turn_are_a_training_on_rows_in_that_order():
    some = rows(300)
    order = np.random.default_rng((STATE.seed, 0, NUMBER)).permutation(300)
    whole = fit(NET, START, some.take(order), CONFIG)
    found = local_steps(turn(), some, NUMBER, threads=2)
    assert_same(found.params, whole.params)
    assert found.loss == whole.history[0].loss
    assert found.weight == pytest.approx(float(some.weight.sum()), rel=1e-6)
    assert found.rate == CONFIG.learning_rate


def test_turns_divide_an_epoch_and_change_no_bit():
    some = rows(300)
    whole = local_steps(turn(), some, NUMBER)
    first = local_steps(turn(0, 2), some, NUMBER)
    state = dataclasses.replace(STATE, params=first.params, arrays=first.arrays)
    second = local_steps(turn(1, 2, state), some, NUMBER)
    assert_same(second.params, whole.params)
    assert first.weight + second.weight == pytest.approx(whole.weight)


def test_shards_have_orders_of_their_own():
    some = rows(300)
    found = [local_steps(turn(), some, number).params["w1"] for number in (0, 1)]
    assert (found[0] != found[1]).any()


def test_a_turn_without_steps_leaves_everything_where_it_stood():
    for number in range(3):
        found = local_steps(turn(number, 4), rows(32), NUMBER)
        assert found.weight == 0
        assert_same(found.params, START)
    assert local_steps(turn(3, 4), rows(32), NUMBER).weight > 0
    assert local_steps(turn(), rows(0), NUMBER).weight == 0


def test_a_share_takes_that_many_rows():
    some = dataclasses.replace(rows(300), weight=None)
    assert local_steps(turn(share=0.1), some, NUMBER).weight == 30

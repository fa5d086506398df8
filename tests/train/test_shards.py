"""Training on shards: averages by weight, one shard as without, and a resumed training's bits."""

from __future__ import annotations

import numpy as np

from backhand import Network, Rows, TrainConfig, fit, load_checkpoint
from backhand.train import shards
from backhand.train.local_steps import LocalShards
from backhand.train.shards import Averaged, Stand, average, groups, taken

NET = Network((3, 8, 2), loss="softmax_cross_entropy")
START = NET.init("lecun_normal", 0)
CONFIG = TrainConfig(epochs=4, batch_size=64, optimiser="adam", learning_rate=0.02)


def rows(count, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return Rows(x, (x.sum(axis=1) > 0).astype(int))


def stand(value, weight):
    return Stand({"w": np.full(2, value, np.float32)}, {"m": np.ones(1)}, weight, value, 0.1)


def test_averages_are_by_weight_and_leave_out_shards_without_rows():
    found = average([stand(1.0, 30), stand(9.0, 0), stand(2.0, 10)])
    assert found.weight == 40
    assert found.loss == 1.25
    np.testing.assert_array_equal(found.params["w"], np.float32([1.25, 1.25]))
    assert found.params["w"].dtype == np.float32
    assert average([stand(1.0, 0), stand(2.0, 0)]).weight == 0


def test_averages_of_averages_are_those_of_all():
    every = [stand(float(n), n + 1) for n in range(40)]
    by_groups = average([average(group) for group in groups(every)])
    assert len(groups(every)) == 3
    np.testing.assert_allclose(by_groups.params["w"], average(every).params["w"], rtol=1e-6)


def test_parameters_go_towards_the_average_and_on_from_there():
    held = Averaged({"w": np.zeros(2, np.float32)}, {})
    held.follow(stand(1.0, 1))
    np.testing.assert_allclose(held.params["w"], 1 + shards.MOMENTUM, rtol=1e-6)
    assert held.params["w"].dtype == np.float32
    again = Averaged(held.params, held.state)
    np.testing.assert_array_equal(again.velocity["w"], held.velocity["w"])
    assert [*again.arrays] == ["m"]


def test_shards_learn_what_there_is_to_learn():
    parts = [rows(300, 1), rows(500, 2), rows(0, 3), rows(41, 4)]
    result = fit(NET, START, LocalShards(parts, 4), CONFIG, validation=rows(1000, 9))
    assert result.history[-1].validation_loss < 0.3
    assert result.stopped == "epochs"


def test_the_number_of_threads_and_the_time_of_day_change_no_bit():
    parts = [rows(300, 1), rows(500, 2)]
    runs = [fit(NET, START, LocalShards(parts, 2), CONFIG) for _ in range(2)]
    for name, a in runs[0].params.items():
        np.testing.assert_array_equal(a, runs[1].params[name])


def test_a_training_goes_on_from_a_checkpoint_to_the_bit(tmp_path):
    parts = LocalShards([rows(300, 1), rows(500, 2)], 2)
    whole = fit(NET, START, parts, CONFIG)
    count = 0

    class Cut(LocalShards):
        def exchange(self, turn):
            nonlocal count
            count += 1
            if count == 4:
                raise KeyboardInterrupt
            return super().exchange(turn)

    path = tmp_path / "net.state"
    fit(NET, START, Cut([rows(300, 1), rows(500, 2)], 2), CONFIG, checkpoint=path)
    state = load_checkpoint(path)
    assert state.part.blocks > 0
    resumed = fit(NET, None, parts, CONFIG, state=state)
    for name, a in whole.params.items():
        np.testing.assert_array_equal(a, resumed.params[name])


def test_fewer_rows_are_taken_in_each_epoch():
    parts = LocalShards([rows(300, 1), rows(500, 2)], 2)
    assert len(parts) == 800
    fewer = parts.first(80)
    assert len(fewer) == 80
    assert taken(500, fewer.share) == 50
    assert fit(NET, START, fewer, CONFIG).history[-1].loss > 0


def test_turns_divide_an_epoch():
    parts = LocalShards([rows(300), rows(6400)], 10)
    assert parts.batch_size(512) == 256
    assert parts.batch_size(32) == 16
    assert parts.batch_size(8) == 8
    assert parts.turns(64) == 10
    assert LocalShards([rows(5)], 10).turns(64) == 1

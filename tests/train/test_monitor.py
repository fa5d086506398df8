from __future__ import annotations

import json

import numpy as np
import pytest

from backhand import Network, Rows, TrainConfig, fit
from backhand.train import monitor
from backhand.train.monitor import EDGES, SHARE, Budget, Look, Monitor, look

RNG = np.random.default_rng(0)
X = RNG.normal(size=(512, 6))
T = RNG.integers(0, 3, 512)
NETWORK = Network((6, 16, 12, 3), activation="relu", loss="softmax_cross_entropy")
PARAMS = NETWORK.init("kaiming_normal", 0)


class Plenty(Budget):
    def allows(self):
        return True


def test_a_look_is_what_statistics_say():
    found = look(NETWORK, PARAMS, Rows(X[:64], T[:64]), 3)
    assert [(one.layer, one.units) for one in found.layers] == [(1, 16), (2, 12), (3, 3)]
    rows = NETWORK.statistics(PARAMS, X[:64], T[:64], engine="numpy")
    at = {(row.layer, row.buffer): row for row in rows}
    for one in found.layers:
        z, dz = at[one.layer, "z"], at[one.layer, "dz"]
        y = at.get((one.layer, "y"), z)
        assert (one.z_mean, one.z_std, one.dz_std) == (z.mean, z.std, dz.std)
        assert (one.y_mean, one.y_std, one.zeros) == (y.mean, y.std, y.zeros)
        assert one.dead == round(y.dead * one.units)
        assert sum(one.histogram) == 64 * one.units
        assert one.weights == pytest.approx(np.sqrt(np.mean(PARAMS[f"w{one.layer}"] ** 2)))
        assert one.update is None
    assert len(EDGES) == len(found.layers[0].histogram) + 1


def test_updates_are_changes_in_an_epoch():
    watch = Monitor(NETWORK, Rows(X, T), Plenty())
    kept = []
    config = TrainConfig(epochs=4, batch_size=64, learning_rate=0.01, optimiser="adam")
    fit(NETWORK, PARAMS, Rows(X, T), config, callbacks=[watch, lambda now: kept.append(now.params)])
    assert [one.epoch for one in watch.looks] == [1, 2, 3, 4]
    for before, after, one in zip(kept, kept[1:], watch.looks[1:], strict=False):
        change = np.sqrt(np.mean((after["w2"] - before["w2"]) ** 2) / np.mean(before["w2"] ** 2))
        assert one.layers[1].update == pytest.approx(change, rel=1e-5)


def test_looks_go_through_json():
    one = look(NETWORK, PARAMS, Rows(X[:64], T[:64]), 3)
    assert Look.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_of_many_looks_every_other_one_goes(monkeypatch):
    monkeypatch.setattr(monitor, "MOST_LOOKS", 10)
    watch = Monitor(NETWORK, Rows(X, T), Plenty())
    config = TrainConfig(epochs=23, batch_size=256, learning_rate=0.01)
    fit(NETWORK, PARAMS, Rows(X, T), config, callbacks=[watch])
    epochs = [one.epoch for one in watch.looks]
    assert (epochs[0], epochs[-1]) == (1, 23)
    assert len(epochs) <= 10


@pytest.mark.parametrize("fast", [1.0, 3.0], ids=["alone", "beside others"])
def test_looks_take_no_more_than_their_share(monkeypatch, fast):
    now = [0.0]
    for clock, speed in {"perf_counter": fast, "process_time": 1.0}.items():
        monkeypatch.setattr(monitor.time, clock, lambda speed=speed: speed * now[0])
    budget = Budget()
    for _ in range(1000):
        now[0] += 0.01
        if budget.allows():
            budget.spend(0.002)
            now[0] += 0.002
    assert 0.5 * SHARE < budget.spent / now[0] <= SHARE


def test_a_training_has_the_same_bits_with_a_monitor():
    config = TrainConfig(epochs=3, batch_size=64, learning_rate=0.01)
    plain = fit(NETWORK, PARAMS, Rows(X, T), config)
    watched = fit(
        NETWORK, PARAMS, Rows(X, T), config, callbacks=[Monitor(NETWORK, Rows(X, T), Plenty())]
    )
    for name, a in plain.params.items():
        assert a.tobytes() == watched.params[name].tobytes()

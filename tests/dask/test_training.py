"""Shards on a cluster: the bits of shards in this process, and a share of a worker's threads."""

from __future__ import annotations

import types

import numpy as np
import pytest
from tests.dask.cluster import cluster

from backhand import Network, TrainConfig, fit
from backhand.dask.training import DaskShards, threads
from backhand.train.local_steps import LocalShards
from backhand.train.rows import CheckedRows

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")  # Dask's own are no errors of ours


def half(values):
    return (values[:, None] / 2).astype(np.float32)


def test_they_learn_to_the_bit_as_shards_in_this_process(tmp_path):
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(count, 3)).astype(np.float32) for count in (200, 50, 90)]
    network = Network((3, 4, 1), loss="half_squared_error")
    config = TrainConfig(epochs=2, batch_size=32, optimiser="adam", learning_rate=0.02)
    start = network.init("lecun_normal", 0)
    local = LocalShards([CheckedRows(x, half(x[:, 0])) for x in parts], 2).first(100)
    with cluster(2, tmp_path, processes=False) as client:
        futures = client.scatter([(x, x[:, :1], None) for x in parts])
        spread = DaskShards(client, futures, [len(x) for x in parts], 2)
        found = fit(network, start, spread.scaled(half).first(100), config)
    wanted = fit(network, start, local, config)
    for name, a in wanted.params.items():
        np.testing.assert_array_equal(found.params[name], a)


@pytest.mark.parametrize(("running", "each"), [(0, 8), (1, 8), (3, 2), (9, 1)])
def test_tasks_divide_their_worker_s_threads(monkeypatch, running, each):
    state = types.SimpleNamespace(nthreads=8, executing_count=running)
    monkeypatch.setattr(distributed, "get_worker", lambda: types.SimpleNamespace(state=state))
    assert threads() == each

"""Networks on joblib's workers end with the bits that they have on threads."""

from __future__ import annotations

import contextlib
import dataclasses

import joblib
import numpy as np
import pytest

from backhand import DivergedError, Network, Rows, TrainConfig, fit_several
from backhand.train.spread import fit_spread, has_workers

NETWORK = Network((6, 20, 3), loss="softmax_cross_entropy", dropout=0.2)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 6)).astype("float32")
ROWS = Rows(X, (X[:, :1] > 0) + (X[:, 1:2] > 0.3).astype(int), np.linspace(1, 2, 300))
CONFIG = TrainConfig(epochs=4, batch_size=32, learning_rate=0.01)
STARTS = [NETWORK.init("kaiming_normal", seed) for seed in range(3)]


@contextlib.contextmanager
def loky():
    with joblib.parallel_config(backend="loky", n_jobs=2, max_nbytes=1000):  # bytes: rows are more
        yield


@contextlib.contextmanager
def dask():
    distributed = pytest.importorskip("distributed", reason="an extra that not everybody needs")
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": False}
    with (
        distributed.LocalCluster(**settings, dashboard_address=":0") as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        yield


@contextlib.contextmanager
def ray():
    module = pytest.importorskip("ray", reason="no dependency of the library")
    from ray.util.joblib import register_ray

    register_ray()
    module.init(num_cpus=2)
    try:
        with joblib.parallel_config(backend="ray", n_jobs=2):
            yield
    finally:
        module.shutdown()


@contextlib.contextmanager
def spark():
    module = pytest.importorskip("joblibspark", reason="no dependency of the library")
    from pyspark.sql import SparkSession

    module.register_spark()
    session = SparkSession.builder.master("local[2]").getOrCreate()
    try:
        with joblib.parallel_config(backend="spark", n_jobs=2):
            yield
    finally:
        session.stop()


OF_OTHERS = [pytest.mark.campaign, pytest.mark.filterwarnings("default")]  # whose code warns
ELSEWHERE = [loky, dask, *(pytest.param(one, marks=OF_OTHERS) for one in (ray, spark))]


def accuracy():
    # a function in a function is pickled whole: workers do not find this file
    return lambda z, t: float((z.argmax(1) == t[:, 0]).mean())


@pytest.mark.parametrize("backend", ELSEWHERE)
def test_bits_are_those_of_threads(backend):
    configs = [dataclasses.replace(CONFIG, seed=seed) for seed in range(3)]
    folds = [Rows(ROWS.x[n::3], ROWS.t[n::3], ROWS.weight[n::3]) for n in range(3)]
    held_out, scores = [ROWS, None, ROWS], [accuracy(), None, None]
    wild = dataclasses.replace(CONFIG, learning_rate=1e30, optimiser="sgd")
    with backend():
        assert has_workers()
        found = fit_spread([NETWORK] * 3, STARTS, folds, configs, held_out, scores)
        with pytest.raises(DivergedError, match="training 1: training diverged in epoch 1") as info:
            fit_spread([NETWORK] * 2, STARTS[:2], folds[:2], [CONFIG, wild], [None] * 2, [None] * 2)
    assert info.value.result.stopped == "diverged"
    wanted = fit_several(NETWORK, STARTS, folds, configs, validation=held_out, score=scores)
    for one, other in zip(found, wanted, strict=True):
        for ours, theirs in ((one.params, other.params), (one.state.arrays, other.state.arrays)):
            assert ours.keys() == theirs.keys()
            assert all(np.array_equal(a, theirs[name]) for name, a in ours.items())
        histories = [
            [dataclasses.replace(line, rows_per_second=0) for line in result.history]
            for result in (one, other)
        ]
        assert histories[0] == histories[1]
        assert (one.best_epoch, one.stopped) == (other.best_epoch, other.stopped)


def test_workers_are_those_that_somebody_has_named():
    assert not has_workers()
    for config in ({"n_jobs": 2}, {"backend": "threading", "n_jobs": 2}, {"backend": "loky"}):
        with joblib.parallel_config(**config):
            assert not has_workers()

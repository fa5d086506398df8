"""A cluster on this machine, a table, and small estimators; for tests and benchmarks."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import time

import numpy as np

from backhand.tabular.recipes import WAVES, Recipe, _with

COLUMNS = list("abcd")


@contextlib.contextmanager
def cluster(workers, folder, threads=1, settings=(), **more):
    """A client of a cluster with so many workers, each of which is restarted if it dies.

    ``settings`` are of Dask's configuration, and what else is given goes to
    `distributed.LocalCluster`.
    """
    from distributed import Client, LocalCluster

    import dask

    given = {
        "distributed.worker.memory.terminate": False,
        "distributed.nanny.pre-spawn-environ.BACKHAND_CACHE": os.environ.get("BACKHAND_CACHE", ""),
        "distributed.scheduler.allowed-failures": 10,
        "distributed.deploy.lost-worker-timeout": "10m",  # 15 s would be too few under load
        **dict(settings),
    }
    with (
        dask.config.set(given),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            dashboard_address=":0",
            local_directory=str(folder),
            silence_logs=50,
            **more,
        ) as made,
        Client(made) as client,
    ):
        yield client


def table(rows=4000, seed=0):
    """A pandas frame with features, classes ``y``, values ``v`` and weights ``w``."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    df = pd.DataFrame(rng.normal(size=(rows, 4)), columns=COLUMNS)
    df["k"] = rng.choice(["u", "v", "w"], rows)
    z = 2 * df.a + df.b * df.c + (df.k == "u")
    df["y"] = np.where(z + rng.logistic(size=rows) / 2 > 0, "yes", "no")
    df["v"] = z + rng.normal(size=rows) / 5
    df["w"] = rng.uniform(0.5, 2, rows)
    return df


FEATURES = [*COLUMNS, "k"]


def frame(partitions=6, rows=None):
    """A table as a frame of Dask's."""
    import dask.dataframe as dd

    return dd.from_pandas(table() if rows is None else rows, npartitions=partitions)


SMALL = {"hidden": (16,), "learning_rate": 0.02}


def recipe(epochs=2):
    """One small network."""
    return Recipe((_with(WAVES, 1, **SMALL),), lengths=((10**9, epochs, 64),))


def classifier(epochs=2, **more):
    from backhand.dask import DaskTabularClassifier

    return DaskTabularClassifier(recipe(epochs), random_state=0, **{"steps": 20, **more})


def regressor(epochs=2, **more):
    from backhand.dask import DaskTabularRegressor

    return DaskTabularRegressor(recipe(epochs), random_state=0, **{"steps": 20, **more})


def left_on(client):
    """What is still on workers, which let go a moment later than this process."""
    gc.collect()
    until = time.monotonic() + 10
    while (found := client.who_has()) and time.monotonic() < until:
        time.sleep(0.1)
    return dict(found)


def digest(model):
    """What tells two fitted models apart, to the bit."""
    found = hashlib.sha256()
    for name, a in sorted(model.model_.tensors().items()):
        found.update(name.encode() + np.ascontiguousarray(a).tobytes())
    return found.hexdigest()


def written(client):
    """Bytes that each worker has written to its disk, since what it holds did not fit."""

    def bytes_of(dask_worker):
        return dask_worker.data.cumulative_metrics.get(("disk-write", "bytes"), 0)

    return [*client.run(bytes_of).values()]

"""A cluster of processes on this machine, and a table; for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os

import numpy as np

COLUMNS = list("abcd")


@contextlib.contextmanager
def cluster(workers, folder, threads=1):
    """A client of a cluster with so many workers, each of which is restarted if it dies."""
    from distributed import Client, LocalCluster

    import dask

    given = {
        "distributed.worker.memory.terminate": False,
        "distributed.nanny.pre-spawn-environ.BACKHAND_CACHE": os.environ.get("BACKHAND_CACHE", ""),
        "distributed.scheduler.allowed-failures": 10,
    }
    with (
        dask.config.set(given),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            dashboard_address=":0",
            local_directory=str(folder),
            silence_logs=50,
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


def digest(model):
    """What tells two fitted models apart, to the bit."""
    import hashlib

    found = hashlib.sha256()
    for name, a in sorted(model.model_.tensors().items()):
        found.update(name.encode() + np.ascontiguousarray(a).tobytes())
    return found.hexdigest()

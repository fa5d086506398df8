"""Prepared rows that workers have no room for are spilled by Dask, and change no bit."""

from __future__ import annotations

import resource

import numpy as np
import pytest
from tests.dask.cluster import classifier, cluster, digest

pytest.importorskip("distributed")
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.campaign]

COLUMNS, ROWS, CHUNKS = 50, 20_000, 80
PREPARED = 4 * COLUMNS * ROWS * CHUNKS / 2**20
"""MB of all prepared rows."""

LIMIT = 400
"""MB of a worker, of which it takes about half before it has any rows."""


def chunk(block_info=None):
    number = block_info[None]["chunk-location"][0]
    return np.random.default_rng(number).normal(size=(ROWS, COLUMNS))


def peak(dask_worker):
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def fitted(folder, limit):
    """The digest of a fit, and each worker's largest size in MB."""
    import dask.array as da

    X = da.map_blocks(chunk, chunks=((ROWS,) * CHUNKS, (COLUMNS,)), dtype=np.float64)
    y = (X[:, 0] > 0).astype(int)
    with cluster(1, folder, memory_limit=f"{limit}MB") as client:
        model = classifier(1, client=client, shards=20, steps=10**9).fit(X, y)
        return digest(model), max(client.run(peak).values())


def test_rows_that_do_not_fit_are_spilled_and_change_no_bit(tmp_path):
    assert PREPARED > 0.7 * LIMIT
    little, most = fitted(tmp_path / "little", LIMIT)
    print(f"{PREPARED:.0f} MB prepared, {most:.0f} MB in a worker of {LIMIT} MB")
    much, most = fitted(tmp_path / "much", 8000)
    print(f"{PREPARED:.0f} MB prepared, {most:.0f} MB in one of 8000 MB")
    assert little == much

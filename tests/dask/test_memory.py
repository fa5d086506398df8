"""Workers that may hold next to nothing in memory: rows go to their disks and come back."""

from __future__ import annotations

import pytest
from tests.dask.cluster import FEATURES, classifier, cluster, digest, frame, left_on, table, written

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")  # Dask's own are no errors of ours


def test_rows_that_workers_spill_give_the_same_bits(two, tmp_path):
    X = frame(6, table(6000))
    wanted = digest(classifier(client=two).fit(X[FEATURES], X.y))
    assert sum(written(two)) == 0
    # of 2 GB, 40 kB before a worker spills, which is less than its rows
    settings = {"distributed.worker.memory.target": 2e-5, "distributed.worker.memory.spill": False}
    with cluster(2, tmp_path, settings=settings, memory_limit="2GB") as client:
        found = digest(classifier(client=client).fit(X[FEATURES], X.y))
        assert sum(written(client)) > 40_000
        assert left_on(client) == {}
    assert found == wanted
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"] == []

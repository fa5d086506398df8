"""One cluster of two worker processes for all tests, and a model that was fitted on it."""

from __future__ import annotations

import pytest
from tests.dask.cluster import FEATURES, classifier, cluster, frame


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    pytest.importorskip("distributed")
    with cluster(2, tmp_path_factory.mktemp("workers")) as client:
        yield client


@pytest.fixture(scope="session")
def fitted(two):
    X = frame()
    return classifier(client=two).fit(X[FEATURES], X.y)

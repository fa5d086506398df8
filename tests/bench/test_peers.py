"""Every contender that is installed trains an epoch."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.bench.peers import PEERS, made_problem, ours, torch_threads_restored


def test_the_problem_has_the_shapes():
    problem = made_problem((5, 4, 3), 8, 32)
    assert problem.x.shape == (32, 5)
    assert problem.x.dtype == np.float32
    assert set(problem.t) <= {0, 1, 2}


def test_ours_trains():
    ((how, epoch),) = ours(made_problem((5, 4, 3), 8, 32))
    assert how == ""
    assert np.isfinite(epoch())


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if peer.installed])
def test_peers_that_are_installed_train(name):
    peer = PEERS[name]
    assert peer.version
    with torch_threads_restored():
        labels = []
        for label, epoch in peer.contenders(made_problem((5, 4, 3), 8, 32)):
            epoch()
            labels.append(label)
    assert len(labels) == len(set(labels)) >= 1

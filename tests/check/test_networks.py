from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from backhand.check import verify
from backhand.check.networks import random_case
from backhand.errors import InputError
from backhand.network import Network


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["mean_squared_error", "softmax_cross_entropy", "poisson"])
def test_own_network_and_data(loss, dtype):
    network = Network((7, 5, 3), activation=["mish"], loss=loss, dtype=dtype)
    report = verify(network, *random_case(np.random.default_rng(0), network))
    assert report.passed
    assert {line.what for line in report} == {"dw1", "db1", "dw2", "db2", "dx"}
    assert "all passed" in str(report)
    assert max(map(len, str(report).splitlines())) <= 80


def test_rows_at_a_kink_are_left_out_and_told():
    network = Network((2, 3, 1), activation="relu", dtype="float64")
    params = network.init("kaiming_normal", 1)  # biases are 0, so a row of zeros lies at the kink
    x = np.array([[0.0, 0.0], [1.0, 2.0], [-1.0, 0.5]])
    report = verify(network, params, x, np.zeros(3))
    assert report
    assert "1 rows at a kink left out" in str(report)
    with pytest.raises(InputError, match="every row"):
        verify(network, params, x[:1], np.zeros(1))


def test_sparse_rows_are_refused_before_they_are_compared():
    network = Network((2, 3, 1), activation="tanh")
    params = network.init("glorot_uniform")
    with pytest.raises(InputError, match="x is sparse"):
        verify(network, params, csr_matrix(np.eye(2)), np.ones(2))


def test_an_overflow_fails_and_warns_of_nothing():
    network = Network((2, 3, 1), activation="identity")
    params = {name: np.full(shape, 3e38) for name, shape in network.shapes.items()}
    assert not verify(network, params, np.full((4, 2), 3e38), np.ones(4))

from __future__ import annotations

import base64

import numpy as np
import pytest

from backhand import Network
from backhand.layers import Activate, Linear, Residual
from backhand.report.walk.parameters import (
    activation_of,
    drawn,
    in_float64,
    packed,
    with_activation,
)


def test_packed():
    assert packed(np.array([0.1, np.inf, np.nan])) == [0.1, "inf", "nan"]
    assert packed(np.zeros((20, 2))) == {"zeros": 40}
    many = np.arange(40, dtype=np.float32) / 8
    assert np.array_equal(np.frombuffer(base64.b64decode(packed(many)["f4"]), "<f4"), many)
    assert np.array_equal(np.frombuffer(base64.b64decode(packed(many, True)["f2"]), "<f2"), many)
    assert packed(many / 3.0) == packed(many / np.float32(3.0))
    exact = many.astype(np.float64) / 3.0
    assert packed(exact) == exact.tolist()  # more digits than float32 has


def test_drawn_numbers_are_of_float16():
    network = in_float64(Network((5, 30, 2)))
    found = drawn(network, "kaiming_normal", np.ones((3, 5)))
    exact = network.init("kaiming_normal", 0)
    for name, a in found.items():
        assert np.array_equal(a.astype(np.float16), a)
        np.testing.assert_allclose(a, exact[name], rtol=2**-10, atol=1e-7)


def test_other_activations():
    network = Network(
        [Linear(4), Activate("relu"), Residual([Linear(4), Activate("relu")]), Linear(1)], inputs=3
    )
    assert activation_of(network).name == "relu"
    other = with_activation(network, "tanh")
    assert activation_of(other).name == "tanh"
    assert other.shapes == network.shapes
    assert activation_of(Network((3, 1))) is None
    assert activation_of(Network((3, 4, 4, 1), activation=["relu", "tanh"])) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_float64(dtype):
    network = Network((3, 4, 2), activation="silu", loss="softmax_cross_entropy", dtype=dtype)
    found = in_float64(network)
    assert found.dtype == "float64"
    assert found.loss is network.loss
    assert found.layers == network.layers

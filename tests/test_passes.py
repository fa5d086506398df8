from __future__ import annotations

import numpy as np
import pytest

from backhand import InputError, Network
from backhand.passes import LayerArray


def test_an_array_in_a_few_numbers():
    values = np.array([[0.0, 1.0, 2.0], [0.0, 3.0, 2.0]])
    found = LayerArray(2, "y", values)
    assert found.dead.tolist() == [True, False, True]
    one = found.statistics
    assert (one.layer, one.buffer, one.mean, one.zeros, one.dead) == (2, "y", 8 / 6, 2 / 6, 2 / 3)


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
def test_gradients_at_the_inputs(engine):
    rng = np.random.default_rng(0)
    network = Network((4, 6, 2), activation="tanh", dtype="float64", loss="mean_squared_error")
    params, x = network.init("kaiming_normal", 0), rng.normal(size=(5, 4))
    dz = rng.normal(size=(5, 2))
    dx = network.input_gradients(params, x, dz, engine)
    hidden = np.tanh(x @ params["w1"] + params["b1"])
    wanted = ((dz @ params["w2"].T) * (1 - hidden**2)) @ params["w1"].T
    np.testing.assert_allclose(dx, wanted, rtol=1e-11, atol=1e-13)
    with pytest.raises(InputError, match="needs that of the logits"):
        network.input_gradients(params, x, dz[:3], engine)


def test_passes_are_what_statistics_describe():
    rng = np.random.default_rng(0)
    network = Network((4, 6, 2), activation="relu", loss="mean_squared_error")
    params, x, t = network.init("kaiming_normal", 0), rng.normal(size=(5, 4)), np.ones((5, 2))
    found = [one.statistics for one in network.passes(params, x, t)]
    assert found == network.statistics(params, x, t)

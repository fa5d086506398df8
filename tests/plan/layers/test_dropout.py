"""Dropout: which units it drops, that a gradient goes the same way, and that rates are scalars."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.formulas import noise
from backhand.plan.layers import Activate, Dropout, Linear, MemberScale
from backhand.plan.step import forward_plan, gradient_plan
from backhand.run.arrays import walk


def dropped(layers, rows=300, inputs=4, step=6, **given):
    net = Network(layers, inputs=inputs, loss="mean_squared_error", dtype="float64")
    rng = np.random.default_rng(0)
    at = {"x": rng.standard_normal((rows, inputs)), "t": rng.standard_normal((rows, net.outputs))}
    at |= {"weight": np.ones((rows, 1)), "seed": 5, "step": step, **given}
    params = net.init("glorot_normal", 1)
    return net, walk(gradient_plan(net, dropout=True), {**at, **params}), params


def test_units_are_zero_or_scaled_up_and_their_gradients_too():
    _, at, _ = dropped([Linear(9), Activate("tanh"), Dropout(0.3), Linear(2)])
    kept = at["h1"] != 0
    assert abs(kept.mean() - 0.7) < 4 * np.sqrt(0.21 / kept.size)
    np.testing.assert_allclose(at["h1"], np.where(kept, at["y1"] / 0.7, 0.0), rtol=1e-15)
    np.testing.assert_allclose(at["dy1"], np.where(kept, at["dh1"] / 0.7, 0.0), rtol=1e-15)


def test_the_noise_of_a_chain_is_a_function_of_seed_step_layer_row_and_column():
    """Word for word as documented, so that it stays what it is."""
    _, at, _ = dropped([Linear(3), Activate("tanh"), Dropout(0.3), Linear(2)], rows=5, step=7)

    def mix(word):
        word = (word ^ word >> 16) * 0x7FEB352D % 2**32
        word = (word ^ word >> 15) * 0x846CA68B % 2**32
        return word ^ word >> 16

    for row in range(5):
        for column in range(3):
            key = mix(mix(mix(5) ^ 7) ^ 1 * 0x9E3779B1 % 2**32)
            key = mix(key ^ row * 0x9E3779B1 % 2**32)
            word = mix(key ^ column * 0x9E3779B1 % 2**32)
            assert (at["h1"][row, column] == 0) == (word < round(0.3 * 2**32))


def test_members_and_layers_drop_units_of_their_own():
    layers = [MemberScale(3), Linear(8), Dropout(0.5), Linear(8), Dropout(0.5), Linear(1)]
    _, at, _ = dropped(layers)
    first, second = at["h1"] == 0, at["h2"] == 0
    assert first.shape == (300, 3, 8)
    pairs = [(first[:, 0], first[:, 1]), (first[:, 1], first[:, 2]), (first, second)]
    for a, b in pairs:
        assert abs((a == b).mean() - 0.5) < 4 * np.sqrt(0.25 / a.size)


def test_the_rate_is_a_scalar_of_the_step():
    layers = [Linear(9), Dropout(0.3), Linear(2)]
    _, half, _ = dropped(layers, threshold1=noise.threshold(0.5), scale1=noise.kept_scale(0.5))
    _, other, _ = dropped([Linear(9), Dropout(0.5), Linear(2)])
    np.testing.assert_array_equal(half["h1"], other["h1"])
    assert abs((half["h1"] == 0).mean() - 0.5) < 0.05


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_it_acts_only_in_training(rate):
    net = Network([Linear(4), Dropout(rate), Linear(1)], inputs=2)
    assert "dropout" not in str(forward_plan(net))
    assert ("dropout" in str(forward_plan(net, dropout=True))) == (rate > 0)


def test_of_inputs_it_sends_no_gradient_that_nobody_needs():
    plan = gradient_plan(Network([Dropout(0.4), Linear(1)], inputs=2), dropout=True)
    assert "dropout_vjp" not in str(plan)
    wanted = gradient_plan(
        Network([Dropout(0.4), Linear(1)], inputs=2), dropout=True, wrt_input=True
    )
    assert "dx = dropout_vjp" in str(wanted)

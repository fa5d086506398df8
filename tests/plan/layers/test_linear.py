"""The linear layer, and the NTK parametrisation."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.plan.layers import Linear
from backhand.testing import assert_near


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("ntk", [False, True])
def test_it_is_a_product_with_a_factor_and_a_bias(bias, ntk, follows, rng):
    def recipe(m, p, x):
        for layer, inputs in ((1, 5), (2, 7)):
            x = x @ p[f"w{layer}"] / (inputs**0.5 if ntk else 1.0)
            x = x + p[f"b{layer}"] if bias else x
        return x

    layers = [Linear(7, bias=bias, ntk=ntk), Linear(2, bias=bias, ntk=ntk)]
    follows(layers, rng.standard_normal((6, 5)), recipe)


def test_an_ntk_layer_begins_with_unit_weights_whatever_the_scheme():
    net = Network([Linear(300, ntk=True), Linear(2)], inputs=200, dtype="float64")
    params = net.init("kaiming_normal", 1)
    assert_near(params["w1"].std(), 1.0, rtol=0.02)
    assert_near(params["w2"].std(), (2 / 300) ** 0.5, rtol=0.1)
    assert not params["b1"].any()
    z = net.forward(params, np.random.default_rng(0).standard_normal((50, 200)), engine="numpy")
    assert np.isfinite(z).all()


def test_factors_belong_to_weights_and_biases_each():
    net = Network([Linear(2, learning_rate=0.5, bias_learning_rate=0.1)], inputs=3)
    assert [(p.buffer.name, p.factors, p.penalised) for p in net.parameters] == [
        ("w1", (0.5, 1.0), True),
        ("b1", (0.1, 1.0), False),
    ]

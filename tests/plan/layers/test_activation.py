"""Activations with a learned strength, as RealMLP has them, and PReLU."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.plan.layers import Activate, Linear, PRelu


def mish(m, z):
    return z * m.tanh(m.log1p(m.exp(z)))


@pytest.mark.parametrize("strength", [False, True])
def test_a_strength_blends_the_activation_with_the_identity(strength, follows, rng):
    def recipe(m, p, x):
        z = x @ p["w1"] + p["b1"]
        a = p["a1"] if strength else 1.0
        return ((1 - a) * z + a * mish(m, z)) @ p["w2"] + p["b2"]

    layers = [Linear(7), Activate("mish", strength=strength), Linear(2)]
    follows(layers, rng.standard_normal((6, 5)), recipe)


def test_a_strength_begins_at_1_with_factors_of_its_own():
    net = Network([Linear(4), Activate("selu", True, 0.1, 0.2), Linear(1)], inputs=3)
    assert np.array_equal(net.init("glorot_normal")["a1"], np.ones(4))
    (a,) = [p for p in net.parameters if p.buffer.name == "a1"]
    assert (a.factors, a.penalised) == ((0.1, 0.2), True)


def test_prelu_has_a_slope_for_each_unit(follows, rng):
    def recipe(m, p, x):
        z = x @ p["w1"] + p["b1"]
        return m.where(z > 0, z, p["a1"] * z) @ p["w2"] + p["b2"]

    follows([Linear(7), PRelu(), Linear(2)], rng.standard_normal((6, 5)), recipe)
    net = Network([Linear(7), PRelu(0.1), Linear(2)], inputs=5)
    assert np.array_equal(net.init("glorot_normal")["a1"], np.full(7, 0.1, "float32"))


@pytest.mark.torch
def test_prelu_is_torchs(follows, rng):
    import torch

    def recipe(m, p, x):
        if m is np:
            z = x @ p["w1"] + p["b1"]
            return np.where(z > 0, z, p["a1"] * z)
        return torch.nn.functional.prelu(x @ p["w1"] + p["b1"], p["a1"])

    follows([Linear(3), PRelu()], rng.standard_normal((6, 5)), recipe)

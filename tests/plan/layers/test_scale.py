"""RealMLP's scaling layer."""

from __future__ import annotations

import numpy as np

from backhand import Network
from backhand.plan.layers import Linear, Scale


def test_it_is_a_factor_for_each_column(follows, rng):
    def recipe(m, p, x):
        return ((x * p["s0"]) @ p["w1"] + p["b1"]) * p["s1"]

    follows([Scale(), Linear(3), Scale()], rng.standard_normal((6, 4)), recipe)


def test_it_begins_at_1_and_has_factors_of_its_own():
    net = Network([Scale(6.0, 36.0), Linear(1)], inputs=4)
    assert np.array_equal(net.init("glorot_normal")["s0"], np.ones(4))
    assert net.parameters[0].factors == (6.0, 36.0)
    assert net.parameters[0].penalised

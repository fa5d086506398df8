"""PBLD and PLR, each column with parameters of its own, as the recipes have them."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.plan.layers import Columns, Concat, Linear, Periodic
from backhand.testing import assert_near


def stacked(m, parts):
    return np.concatenate(parts, -1) if m is np else m.cat(parts, -1)


def pbld(m, p, x):
    """[x, W2' cos(2 pi w1 x + b1) + b2] for each column."""
    found = []
    for i in range(x.shape[1]):
        waves = m.cos(2 * np.pi * p["freq0"][i] * x[:, i : i + 1] + p["phase0"][i])
        found += [x[:, i : i + 1], waves @ p["mix0"][i] + p["offset0"][i]]
    return stacked(m, found)


def plr(m, p, x):
    """relu(linear([cos, sin](2 pi w x))) for each column."""
    found = []
    for i in range(x.shape[1]):
        angle = 2 * np.pi * p["freq0"][i] * x[:, i : i + 1]
        z = stacked(m, [m.cos(angle), m.sin(angle)]) @ p["mix0"][i] + p["offset0"][i]
        found.append(m.where(z > 0, z, 0 * z))
    return stacked(m, found)


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize(
    ("layer", "recipe"),
    [
        (Periodic(), pbld),
        (Periodic(frequencies=1, width=2), pbld),
        (Periodic(frequencies=17, width=9, sigma=2.0), pbld),
        (Periodic("plr", 5, 3), plr),
        (Periodic("plr", 1, 1), plr),
    ],
)
def test_they_are_as_the_recipes_have_them(layer, recipe, columns, follows, rng):
    x = rng.standard_normal((9, columns))
    net, _ = follows([layer], x, recipe)
    assert net.outputs == columns * layer.width
    follows([layer, Linear(2)], x, lambda m, p, x: recipe(m, p, x) @ p["w1"] + p["b1"])


def test_beside_other_columns_they_lie_where_they_belong(follows, rng):
    def recipe(m, p, x):
        z = stacked(m, [x[:, 3:4], pbld(m, p, x[:, :3])])
        return z @ p["w1"] + p["b1"]

    layers = [Concat([Columns(3, 1), Columns(0, 3, [Periodic()])]), Linear(2)]
    follows(layers, rng.standard_normal((9, 4)), recipe)


def test_parameters_begin_as_in_realmlp():
    net = Network([Periodic(learning_rate=0.1), Linear(1)], inputs=200, dtype="float64")
    params = net.init("glorot_normal", 1)
    assert {name: params[name].shape for name in params if name.endswith("0")} == {
        "freq0": (200, 16),
        "phase0": (200, 16),
        "mix0": (200, 16, 3),
        "offset0": (200, 3),
    }
    assert_near(params["freq0"].std(), 0.1, rtol=0.05)
    for name, limit in {"phase0": np.pi, "mix0": 0.25, "offset0": 0.25}.items():
        assert 0.98 * limit < np.abs(params[name]).max() <= limit
    factors = {p.buffer.name: (p.factors, p.penalised) for p in net.parameters}
    for name in ("freq0", "phase0", "mix0", "offset0"):  # weight decay covers these biases
        assert factors[name] == ((0.1, 1.0), True)

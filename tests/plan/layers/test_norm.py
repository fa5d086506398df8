"""Layer norm and RMS norm inside networks, against torch's."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.plan.layers import LayerNorm, Linear, MemberScale, RmsNorm


def layer_norm(m, x, g, b, epsilon):
    if m is not np:
        return m.nn.functional.layer_norm(x, x.shape[-1:], g, b, epsilon)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon) * g + b


def rms_norm(m, x, g, epsilon):
    if m is not np:
        return m.nn.functional.rms_norm(x, x.shape[-1:], g, epsilon)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * g


@pytest.mark.parametrize("units", [1, 2, 9])
def test_they_are_torchs(units, follows, rng):
    x = rng.standard_normal((6, 5))

    def layer(m, p, x):
        x = layer_norm(m, x, p["g0"], p["shift0"], 1e-5)
        return layer_norm(m, x @ p["w1"] + p["b1"], p["g1"], p["shift1"], 0.1)

    follows([LayerNorm(), Linear(units), LayerNorm(0.1)], x, layer, atol=1e-10)

    def rms(m, p, x):
        return rms_norm(m, rms_norm(m, x, p["g0"], 1e-5) @ p["w1"] + p["b1"], p["g1"], 0.1)

    follows([RmsNorm(), Linear(units), RmsNorm(0.1)], x, rms, atol=1e-10)


def test_each_members_row_is_normed_by_itself(follows, rng):
    def recipe(m, p, x):
        return layer_norm(m, x[:, None] * p["r0"], p["g0"], p["shift0"], 1e-5)

    follows([MemberScale(3), LayerNorm()], rng.standard_normal((6, 5)), recipe)


def test_they_begin_as_the_plain_norms_without_decay():
    net = Network([LayerNorm(), RmsNorm(), Linear(1)], inputs=3)
    params = net.init("glorot_normal")
    assert [params[n].tolist() for n in ("g0", "shift0", "g0_2")] == [[1] * 3, [0] * 3, [1] * 3]
    assert not any(p.penalised for p in net.parameters if p.buffer.name != "w1")

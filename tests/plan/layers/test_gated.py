"""The gated linear unit."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.plan.layers import GatedLinear, Linear


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("ntk", [False, True])
def test_one_half_gates_the_other(bias, ntk, follows, rng):
    def recipe(m, p, x):
        z = x @ p["w1"] / (5**0.5 if ntk else 1.0) + (p["b1"] if bias else 0.0)
        u, v = z[:, :6], z[:, 6:]
        return (u * v / (1 + m.exp(-v))) @ p["w2"] + p["b2"]

    follows([GatedLinear(6, bias, ntk), Linear(2)], rng.standard_normal((6, 5)), recipe)


@pytest.mark.torch
def test_it_is_u_times_torchs_silu(follows, rng):
    import torch

    def recipe(m, p, x):
        z = torch.as_tensor(x) @ torch.as_tensor(p["w1"]) + torch.as_tensor(p["b1"])
        y = z[:, :3] * torch.nn.functional.silu(z[:, 3:])
        return y.numpy() if m is np else y

    follows([GatedLinear(3)], rng.standard_normal((6, 5)), recipe)

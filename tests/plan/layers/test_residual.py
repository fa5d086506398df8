"""Residual blocks, columns, and branches side by side."""

from __future__ import annotations

import re

import numpy as np

from backhand import Network
from backhand.plan.layers import Activate, Chain, Columns, Concat, Linear, MemberScale, Residual
from backhand.plan.step import forward_plan


def dense(p, x, layer):
    return x @ p[f"w{layer}"] + p[f"b{layer}"]


def test_a_residual_block_adds_its_input(follows, rng):
    def recipe(m, p, x):
        h = dense(p, x, 1)
        inner = m.tanh(dense(p, h, 2))
        inner = inner + dense(p, inner, 3)
        h = h + dense(p, inner, 4)
        return dense(p, h, 5)

    inner = [Linear(6), Activate("tanh"), Residual([Linear(6)]), Linear(4)]
    layers = [Linear(4), Residual(inner), Linear(2)]
    follows(layers, rng.standard_normal((6, 5)), recipe)


def test_of_inputs_and_of_members_too(follows, rng):
    def recipe(m, p, x):
        x = x + m.tanh(dense(p, x, 1))
        x = x[:, None] * p["r1"]
        return x + dense(p, x, 2)

    layers = [Residual([Linear(5), Activate("tanh")]), MemberScale(3), Residual([Linear(5)])]
    follows(layers, rng.standard_normal((6, 5)), recipe)


def side_by_side(m, *parts):
    return np.concatenate(parts, 1) if m is np else m.cat(parts, 1)


def test_branches_lie_side_by_side_in_their_order(follows, rng):
    def recipe(m, p, x):
        z = dense(p, x, 1)
        parts = m.tanh(dense(p, z, 2)), z[:, 1:4], dense(p, z, 3), z
        return dense(p, side_by_side(m, *parts), 4)

    branches = [Chain([Linear(2), Activate("tanh")]), Columns(1, 3), Linear(4), Chain([])]
    layers = [Linear(5), Concat(branches), Linear(3)]
    follows(layers, rng.standard_normal((6, 5)), recipe)


def test_columns_may_overlap_and_be_left_out(follows, rng):
    def recipe(m, p, x):
        parts = dense(p, x[:, 1:4], 1), x[:, 2:5], m.tanh(x[:, 2:3])
        return dense(p, side_by_side(m, *parts), 2)

    branches = [
        Columns(1, 3, [Linear(4)]),
        Columns(2, 3),
        Columns(2, 2, [Columns(0, 1, [Activate("tanh")])]),
    ]
    follows([Concat(branches), Linear(2)], rng.standard_normal((6, 7)), recipe)


def test_what_is_computed_is_copied_nowhere():
    net = Network(
        [Linear(4), Concat([Linear(3), Chain([Concat([Linear(2), Chain([])])])]), Linear(1)],
        inputs=5,
    )
    text = str(forward_plan(net))
    assert "copy" not in text
    assert re.search(r"^z1 = x @ w1 \+ b1 +\(N, 4\) joined3_2\[5:9\]$", text, re.MULTILINE)
    inputs = Network([Concat([Chain([]), Linear(2)]), Linear(1)], inputs=5)
    assert str(forward_plan(inputs)).count("= copy(") == 1  # the caller's x stays where it is

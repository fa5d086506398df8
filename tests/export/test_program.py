"""Stages, what they are written with, and what answers stand for."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.export.program import (
    StageBuilder,
    folded,
    link_stage,
    network_stage,
    program_of_network,
    row_buffer,
)
from backhand.formulas import scaling, sums
from backhand.plan.layers import Linear, MemberLinear, MemberScale, Periodic

X = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
NETWORKS = {
    "chain": Network((3, 5, 2), activation="tanh", loss="softmax_cross_entropy"),
    "one": Network((3, 1), loss="binary_cross_entropy", dtype="float64"),
    "periodic": Network([Periodic("pbld", 4, 3), Linear(2)], inputs=3),
    "members": Network(
        [MemberScale(4, "normal"), MemberLinear(4, 3)], inputs=3, loss="softmax_cross_entropy"
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_its_stages(name):
    network = NETWORKS[name]
    params = network.init("lecun_normal", 1)
    program = program_of_network(network, params)
    z = network.forward(params, X.astype(network.dtype), engine="numpy")
    (logits,) = program.logits(X)
    np.testing.assert_array_equal(logits, z)
    np.testing.assert_array_equal(program.answers(X), network.expected(z))
    np.testing.assert_array_equal(program.decided(X), program.answers(X))
    assert program.dtype == network.dtype
    assert program.stages == (program.networks[0], program.answer)


def test_what_follows_from_constants_is_worked_out():
    builder, x = StageBuilder(), row_buffer("x", 3)
    a, b = builder.constant("a", [1.0, 2.0, 3.0]), builder.constant("b", [0.5, 0.5, 0.5])
    factor = builder.map(sums.add, a, b)
    stage = builder.stage("s", "float32", [x], builder.map(scaling.scale, x, factor))
    less = folded(stage)
    assert [node.formula for node in less.nodes] == [scaling.scale]
    assert list(less.constants) == [factor]
    np.testing.assert_array_equal(less.run(X), stage.run(X))
    assert stage.run(X).dtype == np.float32


def test_columns_beside_one_another():
    builder, x = StageBuilder(), row_buffer("x", 1)
    both = builder.beside(builder.map(sums.add, x, x), x)
    got = builder.stage("s", "float64", [x], both).run(X[:, :1])
    np.testing.assert_array_equal(got, np.stack([2.0 * X[:, 0], X[:, 0]], axis=1))


def test_stages_have_the_dtype_of_their_network():
    network = NETWORKS["one"]
    stage = network_stage(network, network.init("lecun_normal"), "network7")
    assert (stage.name, stage.dtype, link_stage(network).dtype) == (
        "network7",
        "float64",
        "float64",
    )

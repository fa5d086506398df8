"""Every layer, activation and loss as ONNX, in both dtypes."""

from __future__ import annotations

import numpy as np
import pytest
from tests.campaigns import share_of

from backhand import Network
from backhand.check.examples import EXAMPLES
from backhand.check.networks import random_network, random_parameters
from backhand.export.onnx.comparison import compare_samples
from backhand.export.program import Decision, Program, Stage, program_of_network, row_buffer
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.plan.buffers import BATCH, Buffer, Role
from backhand.plan.nodes import Cumulate, Map, MemberSum, Product

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

DTYPES = ["float32", "float64"]


def checked(program, rows=50):
    """Write a program, have onnx look at it, and run it beside itself; the model."""
    from backhand.export.onnx.writing import onnx_model

    model = onnx_model(program)
    onnx.checker.check_model(model, full_check=True)
    compare_samples(program, model.SerializeToString(), rows)
    assert {domain.domain for domain in model.opset_import} == {""}
    return model


def with_parameters(network, seed=0):
    return program_of_network(network, random_parameters(np.random.default_rng(seed), network))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXAMPLES)
def test_layers(name, dtype):
    layers, inputs = EXAMPLES[name]
    checked(with_parameters(Network(layers, inputs=inputs, loss="half_squared_error", dtype=dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, dtype):
    checked(
        with_parameters(Network((3, 9, 2), activation=name, loss="half_squared_error", dtype=dtype))
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_answers(name, dtype):
    checked(with_parameters(Network((3, 5, 2), loss=name, dtype=dtype)))


@pytest.mark.parametrize("seed", range(20))
def test_random_networks(seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, seed, DTYPES[seed % 2])
    checked(with_parameters(network, seed))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(1000, 1000 + share_of(500)))
def test_many_random_networks(seed):
    test_random_networks(seed)


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_rows_of_any_number(rows):
    layers, inputs = EXAMPLES["batch_ensemble"]
    checked(with_parameters(Network(layers, inputs=inputs, loss="softmax_cross_entropy")), rows)
    layers, inputs = EXAMPLES["piecewise_linear"]
    checked(with_parameters(Network(layers, inputs=inputs, loss="half_squared_error")), rows)


def test_nodes_that_networks_have_not_yet():
    """Scaled products with transposed matrices, sums of members, and running sums."""
    rng = np.random.default_rng(0)
    x = row_buffer("x", 6)
    w, v = (Buffer(name, (2, 3, 5), role=Role.PARAMETER) for name in "wv")
    u, t = Buffer("u", (2, 5, 3), role=Role.PARAMETER), Buffer("t", (4, 5), role=Role.PARAMETER)
    sums, members = Buffer("sums", w.axes), x.view("members", 0, 3, 2)
    first, second = (Buffer(name, (BATCH, 2, 5)) for name in ("first", "second"))
    third, total = Buffer("third", (BATCH, 2, 4)), Buffer("total", (BATCH, 4))
    nodes = (
        Cumulate(w, sums, True, v),
        Product(members, False, sums, False, first, scale=0.3),
        Product(members, False, u, True, second, bias=None),
        Map(lambda xp, a, b: a + b, (first, second), (both := Buffer("both", first.axes),)),
        Product(both, False, t, True, third),
        MemberSum(third, total),
    )
    constants = {b: rng.standard_normal(b.axes) for b in (w, v, u, t)}
    network = Stage("network1", "float64", (x,), nodes, constants, total)
    z, y = Buffer("z", total.axes), Buffer("y", total.axes)
    answer = Stage("answer", "float64", (z,), (Map(lambda xp, a: a, (z,), (y,)),), {}, y)
    for rows in (0, 20):
        model = checked(Program("nodes", 6, (network,), answer, Decision("numbers")), rows)
    assert {"CumSum", "ReduceSum"} <= {node.op_type for node in model.graph.node}


def test_what_is_computed_twice_is_written_once():
    model = checked(
        with_parameters(Network((3, 4, 2), activation="mish", loss="half_squared_error"))
    )
    seen = [(n.op_type, tuple(n.input), str(n.attribute)) for n in model.graph.node]
    assert len(seen) == len(set(seen))


def test_names_are_those_of_the_plan():
    model = checked(with_parameters(Network((3, 4, 2), loss="half_squared_error")))
    kept = {tensor.name for tensor in model.graph.initializer}
    assert {"network1.w1", "network1.b1", "network1.w2", "network1.b2"} <= kept
    made = {node.output[0] for node in model.graph.node}
    assert {"network1.z1", "network1.y1", "network1.z2"} <= made

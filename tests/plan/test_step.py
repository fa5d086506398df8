"""The plan of a step: as a person reads it, and with faults planted in it."""

from __future__ import annotations

import dataclasses
import functools
import itertools

import numpy as np
import pytest

from backhand import InputError, Network, Rows, TrainConfig, fit
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.formulas.optimisers import OPTIMISERS, clipping
from backhand.plan.nodes import Matmul, NormaliseWeights, Update
from backhand.plan.step import Plan, forward_plan, gradient_plan, loss_plan, training_plan
from backhand.run.arrays import parameter_buffers, walk
from backhand.testing import assert_near

NET = Network(
    (3, 4, 5, 2),
    activation=["elu:alpha=0.5", "silu"],
    loss="softmax_cross_entropy",
    dropout=[0.25, 0],
)


def test_a_training_step_reads_as_one_would_write_it():
    assert (
        str(training_plan(NET, OPTIMISERS["momentum"]))
        == """\
x = all_x[order]
t = all_t[order]
weight = all_weight[order]
z1 = x @ w1 + b1
y1 = elu(z1, alpha=0.5)
words1 = noise(seed, step, layer=1)
h1 = dropout(y1, words1, rate=0.25)
z2 = h1 @ w2 + b2
y2 = silu(z2)
z3 = y2 @ w3 + b3
share = share(weight, outputs=1)
value = softmax_cross_entropy(z3, t)
loss = total(value, share)
grad = softmax_cross_entropy_grad(z3, t)
dz3 = share_vjp(grad, share)
dw3 = y2.T @ dz3
db3 = dz3.sum(0)
dy2 = dz3 @ w3.T
dz2 = silu_vjp(z2, y2, dy2)
dw2 = h1.T @ dz2
db2 = dz2.sum(0)
dh1 = dz2 @ w2.T
dy1 = dropout_vjp(dh1, words1, rate=0.25)
dz1 = elu_vjp(z1, _, dy1, alpha=0.5)
dw1 = x.T @ dz1
db1 = dz1.sum(0)
w3, v_w3 = momentum(w3, dw3, ...)
b3, v_b3 = momentum(b3, db3, ...)
w2, v_w2 = momentum(w2, dw2, ...)
b2, v_b2 = momentum(b2, db2, ...)
w1, v_w1 = momentum(w1, dw1, ...)
b1, v_b1 = momentum(b1, db1, ...)"""
    )


def test_a_sparse_step_differs_in_what_is_gathered_alone():
    net = Network((3, 4, 2))
    dense = str(training_plan(net, OPTIMISERS["adam"])).splitlines()
    thin = str(training_plan(net, OPTIMISERS["adam"], sparse=True)).splitlines()
    assert thin[0] == "x = all_x[order] (stored entries)"
    assert thin[1:] == dense[1:]


def test_dropout_is_for_training_and_dx_is_on_demand():
    assert "dropout" not in str(forward_plan(NET)) + str(loss_plan(NET)) + str(gradient_plan(NET))
    assert "h1 = dropout(y1" in str(forward_plan(NET, dropout=True))
    assert str(gradient_plan(NET, wrt_input=True)) == str(gradient_plan(NET)) + (
        "\ndx = dz1 @ w1.T"
    )
    assert str(gradient_plan(NET)).startswith(str(loss_plan(NET)))
    assert str(loss_plan(NET)).startswith(str(forward_plan(NET)))


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [("huber", 2), ("half_squared_error", 1), ("softmax_cross_entropy", 1)],
)
def test_one_share_with_the_outputs_that_a_loss_averages(loss, outputs):
    shares = [
        n
        for n in gradient_plan(Network((3, 2), loss=loss)).nodes
        if isinstance(n, NormaliseWeights)
    ]
    assert [node.outputs for node in shares] == [outputs]


def test_weights_have_l2_and_biases_do_not():
    nodes = training_plan(NET, OPTIMISERS["adam"]).nodes
    updates = {n.parameter: n for n in nodes if isinstance(n, Update)}
    assert {name: node.decayed for name, node in updates.items()} == {
        **dict.fromkeys(("w1", "w2", "w3"), True),
        **dict.fromkeys(("b1", "b2", "b3"), False),
    }
    assert updates["w2"].state == ("m_w2", "v_w2")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_buffer_is_written_once_and_before_it_is_read(activation, loss):
    net = Network((3, 4, 5, 2), activation=activation, loss=loss, dropout=0.5)
    written = {"x", "t", "weight", *parameter_buffers([(0, 0)] * 3)}
    for node in gradient_plan(net, dropout=True, wrt_input=True).nodes:
        fields = {f.name: getattr(node, f.name) for f in dataclasses.fields(node)}
        for name in ("left", "right", "bias", "source", "weight", "share"):
            assert fields.get(name) is None or fields[name] in written, node
        assert {name for name in fields.get("inputs", ()) if name} <= written, node
        assert node.out not in written, node
        written.add(node.out)
    assert {"dw1", "db1", "dw2", "db2", "dw3", "db3", "dx", "loss"} <= written


# planted faults ---------------------------------------------------------------------------------


def transposed_dw(node):
    if isinstance(node, Matmul) and node.out == "dw2":
        return Matmul(node.right, True, node.left, False, out="dw2")
    return node


def no_mean(node):
    if isinstance(node, NormaliseWeights):
        return dataclasses.replace(node, formula=lambda weight, outputs: weight / outputs)
    return node


def sign_of_dx(node):
    if isinstance(node, Matmul) and node.out == "dy1":
        return dataclasses.replace(node, left="minus_dz2")
    return node


def slopes(net, buffers, names, h=1e-5):
    """Central differences of the loss by some elements of each buffer."""
    plan, found = loss_plan(net), {}
    for name in names:
        found[name] = a = np.empty_like(buffers[name])
        for index in itertools.product(*map(range, a.shape)):
            losses = []
            for sign in (1, -1):
                moved = buffers[name].copy()
                moved[index] += sign * h
                losses.append(walk(plan, {**buffers, name: moved})["loss"])
            a[index] = (losses[0] - losses[1]) / (2 * h)
    return found


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        (None, set()),
        (transposed_dw, {"w2"}),
        (no_mean, {"w1", "b1", "w2", "b2", "x"}),
        (sign_of_dx, {"w1", "b1", "x"}),
    ],
)
def test_a_planted_fault_shows_where_it_must(fault, wrong, rng):
    net = Network((3, 4, 4), activation="tanh", loss="softmax_cross_entropy", dtype="float64")
    plan = gradient_plan(net, wrt_input=True)
    if fault:
        plan = Plan(net, tuple(map(fault, plan.nodes)))
    buffers = {
        **parameter_buffers([(w, b + 0.1) for w, b in net.init("lecun_normal", 1)]),
        "x": rng.standard_normal((5, 3)),
        "t": rng.integers(0, 4, (5, 1)),
        "weight": np.ones((5, 1)),
    }
    at = dict(buffers)
    if fault is sign_of_dx:
        at["minus_dz2"] = -walk(gradient_plan(net), buffers)["dz2"]
    at = walk(plan, at)
    found = set()
    for name, slope in slopes(net, buffers, ("w1", "b1", "w2", "b2", "x")).items():
        try:
            assert_near(at[f"d{name}"], slope, rtol=1e-6, atol=1e-9)
        except AssertionError:
            found.add(name)
    assert found == wrong


def test_a_formula_with_filled_in_arguments_prints_its_name():
    relu = dataclasses.replace(
        ACTIVATIONS["relu"], forward=functools.partial(ACTIVATIONS["relu"].forward)
    )
    lines = str(forward_plan(Network((3, 4, 2), activation=relu)))
    assert "y1 = relu(z1)" in lines


@pytest.mark.parametrize("limit", [1e-39, 1e39])
def test_a_limit_of_gradients_that_the_dtype_does_not_hold(limit):
    optimiser = clipping(OPTIMISERS["sgd"], limit)
    for engine in ("llvm", "numpy"):
        network = Network((2, 1), loss="mean_squared_error", dtype="float32")
        settings = TrainConfig(epochs=1, optimiser="sgd", clip_norm=limit, engine=engine)
        rows = Rows(np.ones((4, 2)), np.ones((4, 1)))
        with pytest.raises(InputError, match=r"clip_norm=1e.39 is beyond what float32"):
            fit(network, network.init("lecun_normal", 0), rows, settings)
    wide = Network((2, 1), loss="mean_squared_error", dtype="float64")
    assert training_plan(wide, optimiser).nodes

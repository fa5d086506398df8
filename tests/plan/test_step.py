"""The plan of a step: as a person reads it, and with faults planted in it."""

from __future__ import annotations

import dataclasses
import functools
import itertools

import numpy as np
import pytest

from backhand import InputError, Network
from backhand.check.networks import random_network
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.formulas.optimisers import OPTIMISERS, clipping
from backhand.plan.buffers import Buffer
from backhand.plan.layers import Activate, Columns, Concat, Embedding, Linear, Periodic, Scale
from backhand.plan.nodes import NormaliseWeights, Product, Update
from backhand.plan.step import (
    forward_plan,
    gradient_plan,
    groups_of,
    loss_plan,
    propagation_plan,
    training_plan,
)
from backhand.run.arrays import Values, perform, walk
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near

NET = Network(
    (3, 4, 5, 2),
    activation=["elu:alpha=0.5", "silu"],
    loss="softmax_cross_entropy",
    dropout=[0.25, 0],
)


def lines_of(plan):
    """The plan without its column of shapes."""
    return [line.partition("  ")[0] for line in str(plan).splitlines()]


def test_a_training_step_reads_as_one_would_write_it():
    assert (
        str(training_plan(NET, OPTIMISERS["momentum"]))
        == """\
x = all_x[order]                                                    (N, 3)
t = all_t[order]                                                    (N, 1)
weight = all_weight[order]                                          (N, 1)
z1 = x @ w1 + b1                                                    (N, 4)
y1 = elu(z1, alpha=0.5)                                             (N, 4)
words1 = noise(seed, step, layer=1)                                 (N, 4)
h1 = dropout(y1, words1, threshold=threshold1, scale=scale1)        (N, 4)
z2 = h1 @ w2 + b2                                                   (N, 5)
y2 = silu(z2)                                                       (N, 5)
z3 = y2 @ w3 + b3                                                   (N, 2)
share = share(weight, outputs=1)                                    (N, 1)
value = softmax_cross_entropy(z3, t)                                (N, 1)
loss = total(value, share)                                          ()
grad = softmax_cross_entropy_grad(z3, t)                            (N, 2)
dz3 = share_vjp(grad, share)                                        (N, 2)
dw3 = y2.T @ dz3                                                    (5, 2)
db3 = dz3.sum(0)                                                    (2,)
dy2 = dz3 @ w3.T                                                    (N, 5)
dz2 = silu_vjp(z2, y2, dy2)                                         (N, 5)
dw2 = h1.T @ dz2                                                    (4, 5)
db2 = dz2.sum(0)                                                    (5,)
dh1 = dz2 @ w2.T                                                    (N, 4)
dy1 = dropout_vjp(dh1, words1, threshold=threshold1, scale=scale1)  (N, 4)
dz1 = elu_vjp(z1, _, dy1, alpha=0.5)                                (N, 4)
dw1 = x.T @ dz1                                                     (3, 4)
db1 = dz1.sum(0)                                                    (4,)
w3, v_w3 = momentum(w3, dw3, ...)                                   (5, 2)
b3, v_b3 = momentum(b3, db3, ...)                                   (2,)
w2, v_w2 = momentum(w2, dw2, ...)                                   (4, 5)
b2, v_b2 = momentum(b2, db2, ...)                                   (5,)
w1, v_w1 = momentum(w1, dw1, ...)                                   (3, 4)
b1, v_b1 = momentum(b1, db1, ...)                                   (4,)"""
    )


def test_columns_side_by_side_are_shown_where_they_lie():
    branches = [Columns(0, 2, [Periodic(width=3)]), Columns(2, 1, [Embedding(5, 2)])]
    net = Network([Concat(branches), Scale(), Linear(1)], inputs=3)
    assert (
        str(forward_plan(net))
        == """\
wave0 = cosine(x_columns_each, freq0, phase0)  (N, 2, 16)
embedded0_each = copy(x_columns_each)          (N, 2, 1) joined0[0:1 of every 3]
embedded0_each_2 = wave0 @ mix0 + offset0      (N, 2, 2) joined0[1:3 of every 3]
embedded0_2 = table0[x_columns_2]              (N, 2) joined0[6:8]
scaled0 = scale(joined0, s0)                   (N, 8)
z1 = scaled0 @ w1 + b1                         (N, 1)"""
    )


def test_a_sparse_step_differs_only_in_what_is_gathered():
    net = Network((3, 4, 2))
    dense = lines_of(training_plan(net, OPTIMISERS["adam"]))
    thin = lines_of(training_plan(net, OPTIMISERS["adam"], sparse=True))
    assert thin[0] == "x = all_x[order] (stored entries)"
    assert thin[1:] == dense[1:]


def test_dropout_is_for_training_and_dx_is_on_demand():
    forward, loss, gradient = map(lines_of, (forward_plan(NET), loss_plan(NET), gradient_plan(NET)))
    assert not [line for line in gradient if "dropout" in line]
    assert any(
        line.startswith("h1 = dropout(y1") for line in lines_of(forward_plan(NET, dropout=True))
    )
    assert lines_of(gradient_plan(NET, wrt_input=True)) == [*gradient, "dx = dz1 @ w1.T"]
    assert gradient[: len(loss)] == loss
    assert loss[: len(forward)] == forward


def test_propagation_goes_to_the_inputs_and_computes_no_gradient_of_a_parameter():
    plan = propagation_plan(NET)
    dlogits = ["dy2 = dz3 @ w3.T", "dz2 = silu_vjp(z2, y2, dy2)", "dy1 = dz2 @ w2.T"]
    assert lines_of(plan) == [
        *lines_of(forward_plan(NET)),
        *dlogits,
        "dz1 = elu_vjp(z1, _, dy1, alpha=0.5)",
        "dx = dz1 @ w1.T",
    ]
    assert plan.gradients == ()
    assert plan.dlogits.name == "dz3"


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
    updates = {n.parameter.name: n for n in nodes if isinstance(n, Update)}
    assert {name: node.penalised for name, node in updates.items()} == {
        **dict.fromkeys(("w1", "w2", "w3"), True),
        **dict.fromkeys(("b1", "b2", "b3"), False),
    }
    assert [b.name for b in updates["w2"].state] == ["m_w2", "v_w2"]
    assert {node.group for node in updates.values()} == {0}


def test_parameters_with_factors_are_updated_in_groups():
    net = Network(
        [
            Scale(6.0, 36.0),
            Linear(4, bias_learning_rate=0.1),
            Activate("selu", strength=True, learning_rate=0.1, decay=0.1),
            Linear(2, learning_rate=0.5),
        ],
        inputs=3,
    )
    assert groups_of(net) == ((1.0, 1.0), (6.0, 36.0), (0.1, 1.0), (0.1, 0.1), (0.5, 1.0))
    nodes = training_plan(net, OPTIMISERS["adamw"]).nodes
    groups = {n.parameter.name: n.group for n in nodes if isinstance(n, Update)}
    assert groups == {"s0": 1, "w1": 0, "b1": 2, "a1": 3, "w2": 4, "b2": 0}


def check_order(plan):
    """Every buffer is written once, before it is read; and what is computed is of use."""
    there = {plan.x, plan.t, plan.weight, *(p.buffer for p in plan.parameters)}
    there.update(scalar.buffer for scalar in plan.scalars)
    columns = {}
    read = {plan.logits, plan.loss, plan.dx, *(g for _, g in plan.gradients)}
    for node in plan.nodes:
        for buffer in node.reads:
            base = buffer.home
            whole = base in there or len(columns.get(base, ())) == base.width
            assert whole or set(buffer.base_columns) <= columns.get(base, set()), str(node)
        for buffer in node.writes:
            assert buffer not in there, str(node)
            there.add(buffer)
            if buffer.base is not None:
                taken = columns.setdefault(buffer.base, set())
                assert not taken & set(buffer.base_columns), str(node)
                taken.update(buffer.base_columns)
        read.update(node.reads)
    read.update([buffer.base for buffer in read if buffer is not None])
    for node in plan.nodes:
        assert any(b in read or b.base in read for b in node.writes), f"nobody reads {node}"


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_buffer_is_written_once_and_before_it_is_read(activation, loss):
    net = Network((3, 4, 5, 2), activation=activation, loss=loss, dropout=0.5)
    plan = gradient_plan(net, dropout=True, wrt_input=True)
    check_order(plan)
    assert [g.name for _, g in plan.gradients] == ["dw3", "db3", "dw2", "db2", "dw1", "db1"]
    assert (plan.dx.name, plan.loss.name) == ("dx", "loss")
    assert {"w1", "x", "h1", "dy1", "threshold1", "loss"} <= set(plan.buffers)


@pytest.mark.parametrize("number", range(40))
def test_of_random_layers_too(number):
    rng = np.random.default_rng(number)
    net = random_network(rng, number)
    check_order(gradient_plan(net, dropout=True, wrt_input=True))
    check_order(gradient_plan(net, dropout=True))
    check_order(forward_plan(net))


def test_no_two_buffers_have_one_label():
    plan = forward_plan(Network((3, 4, 2)))
    other = dataclasses.replace(plan.nodes[0], out=Buffer("z2", ("N", 4)))
    with pytest.raises(InputError, match=r"two buffers are called z2: z2 \(N, 2\) and another"):
        _ = dataclasses.replace(plan, nodes=(other, *plan.nodes[1:])).buffers


def test_dx_of_categories_is_zero():
    net = Network([Embedding(3, 4), Linear(2)], inputs=1, dtype="float64")
    params, x = net.init("glorot_normal"), np.array([[0.0], [2.0]])
    _, grads, dx = net.loss_and_grads(params, x, np.ones((2, 2)), wrt_input=True)
    np.testing.assert_array_equal(dx, np.zeros((2, 1)))
    assert grads["table0"].shape == (3, 4)
    assert not grads["table0"][1].any()


def test_a_loss_that_follows_a_schedule_reads_a_scalar_of_the_step():
    # softmax cross-entropy with label smoothing is not there yet, so a parameter of huber's does
    net = Network((3, 2), loss="huber:delta=0.7")
    plan = training_plan(net, OPTIMISERS["sgd"], scheduled=("delta",))
    assert "value = huber(z1, t, delta=delta1)" in lines_of(plan)
    assert [(s.buffer.name, s.source, s.setting) for s in plan.scalars] == [
        ("delta1", "delta", 0.7)
    ]
    at = {"z1": np.array([[3.0, -0.1]]), "t": np.zeros((1, 2)), "share": np.ones((1, 1))}
    (node,) = [n for n in plan.nodes if n.writes[0].name == "value"]
    values = Values({**at, "delta1": 0.7}, NUMPY)
    perform(node, values)
    want = net.loss.value(NUMPY, at["z1"], at["t"], delta=0.7)
    np.testing.assert_array_equal(values.at["value"], want)


# planted faults ---------------------------------------------------------------------------------


def transposed_dw(node):
    if isinstance(node, Product) and node.out.name == "dw2":
        return Product(node.right, True, node.left, False, node.out)
    return node


def no_mean(node):
    if isinstance(node, NormaliseWeights):
        return dataclasses.replace(node, formula=lambda weight, outputs: weight / outputs)
    return node


def sign_of_dx(node):
    if isinstance(node, Product) and node.out.name == "dy1":
        return dataclasses.replace(node, scale=-1.0)
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
        plan = dataclasses.replace(plan, nodes=tuple(map(fault, plan.nodes)))
    params = net.init("lecun_normal", 1)
    buffers = {
        **{name: a + 0.1 * (a.ndim == 1) for name, a in params.items()},
        "x": rng.standard_normal((5, 3)),
        "t": rng.integers(0, 4, (5, 1)),
        "weight": np.ones((5, 1)),
    }
    at = walk(plan, buffers)
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
    assert "y1 = relu(z1)" in lines_of(forward_plan(Network((3, 4, 2), activation=relu)))


@pytest.mark.parametrize("limit", [1e-39, 1e39])
def test_a_limit_of_gradients_that_the_dtype_does_not_hold(limit):
    optimiser = clipping(OPTIMISERS["sgd"], limit)
    narrow = Network((2, 1), loss="mean_squared_error", dtype="float32")
    with pytest.raises(InputError, match=r"clip_norm=1e.39 is beyond what float32"):
        training_plan(narrow, optimiser)
    wide = Network((2, 1), loss="mean_squared_error", dtype="float64")
    assert training_plan(wide, optimiser).nodes

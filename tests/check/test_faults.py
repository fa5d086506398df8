"""Planted faults: each is caught by the comparison that is meant for it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from backhand.check import autodiff, check_activation, check_loss, verify
from backhand.check.examples import EXAMPLES
from backhand.check.kernels import check_activation_kernel
from backhand.check.networks import random_case
from backhand.formulas import activations
from backhand.formulas.activations import ACTIVATIONS, Activation
from backhand.formulas.losses import LOSSES
from backhand.network import Network
from backhand.plan.nodes import Cumulate, Map, NormaliseWeights, Product
from backhand.plan.step import gradient_plan, loss_plan
from backhand.run.arrays import walk


def failures(lines):
    return {line.kind for line in lines if not line.passed}


@pytest.fixture
def square_case():
    """A network whose dw is square, so that its transpose has the right shape."""
    network = Network((6, 6, 6, 2), activation="tanh", dtype="float64")
    return network, random_case(np.random.default_rng(3), network)


def planted(network, change):
    plan = gradient_plan(network, wrt_input=True)
    return dataclasses.replace(plan, nodes=tuple(map(change, plan.nodes)))


def test_no_fault_passes(square_case):
    network, case = square_case
    assert verify(network, *case)
    assert verify(network, *case, plan=planted(network, lambda node: node))


@pytest.mark.parametrize("name", ["relu", "silu", "tanh"])
def test_flipped_sign_in_a_vjp_is_caught_by_autodiff(name):
    right = ACTIVATIONS[name]

    def flipped(xp, z, y, dy):
        return -right.vjp(xp, z, y, dy)

    lines = list(check_activation(dataclasses.replace(right, vjp=flipped)))
    assert "autodiff" in failures(lines)
    assert all(line.passed for line in check_activation(right))


def test_constant_mistyped_forward_and_backward_is_caught_by_the_oracle(monkeypatch):
    # both directions share the constant, so autodiff has nothing to say
    monkeypatch.setattr(activations, "SQRT_HALF", 0.7017)
    assert failures(check_activation(ACTIVATIONS["gelu"])) == {"oracle"}


def wave(xp, z):
    return z + xp.cos_turns(z) * xp.sin_turns(0.3 * z)


def wave_vjp(xp, z, y, dy):
    falling = xp.sin_turns(z) * xp.sin_turns(0.3 * z)
    rising = 0.3 * xp.cos_turns(z) * xp.cos_turns(0.3 * z)
    return dy * (1.0 + math.tau * (rising - falling))


WAVE = Activation("wave", wave, wave_vjp, ("z",), definition="z + cospi(2*z) * sinpi(0.6*z)")


def test_a_formula_in_turns_passes_and_a_slope_per_radian_is_caught():
    assert all(line.passed for line in check_activation(WAVE))
    assert all(line.passed for line in check_activation_kernel(WAVE, "float32"))

    def wrong(xp, z, y, dy):
        return dy + (wave_vjp(xp, z, y, dy) - dy) / math.tau

    found = failures(check_activation(dataclasses.replace(WAVE, vjp=wrong)))
    assert found == {"oracle", "autodiff"}


def test_missing_1_over_n_is_caught(square_case):
    network, case = square_case

    def change(node):
        if isinstance(node, NormaliseWeights):
            return dataclasses.replace(node, formula=lambda weight, outputs: weight)
        return node

    report = verify(network, *case, plan=planted(network, change))
    assert not report
    assert all(not line.passed for line in report)  # it scales every gradient


@pytest.mark.parametrize("layer", [1, 2])
def test_transposed_dw_is_caught_and_named(square_case, layer):
    network, case = square_case

    def change(node):
        if isinstance(node, Product) and node.out.name == f"dw{layer}":
            return dataclasses.replace(node, left=node.right, right=node.left)
        return node

    report = verify(network, *case, plan=planted(network, change))
    assert {line.what for line in report if not line.passed} == {f"dw{layer}"}


def test_wrong_loss_gradient_is_caught():
    right = LOSSES["huber"]
    wrong = dataclasses.replace(right, grad=lambda xp, z, t, delta: z - t)
    assert failures(check_loss(wrong)) == {"oracle", "autodiff"}


# layers -----------------------------------------------------------------------------------------


def with_a_wrong_result(formula, place, factor):
    def wrong(xp, *args, **keywords):
        found = formula(xp, *args, **keywords)
        if not isinstance(found, tuple):
            return found * factor
        return tuple(a * factor if k == place else a for k, a in enumerate(found))

    return wrong


def faults_of(node, at):
    """The node with a sign flipped, a factor left out or what else can be forgotten."""
    if isinstance(node, Map):
        for place in range(len(node.outs)):
            if not at[node.outs[place].name].any():
                continue  # zeros of columns that nobody reads have no sign
            for factor in (-1.0, 1.001):
                wrong = with_a_wrong_result(node.formula, place, factor)
                yield dataclasses.replace(node, formula=wrong)
    if isinstance(node, Product):
        yield dataclasses.replace(node, scale=-node.scale)
        if node.scale != 1:
            yield dataclasses.replace(node, scale=1.0)
    if isinstance(node, Cumulate):
        yield dataclasses.replace(node, reverse=not node.reverse)
        yield dataclasses.replace(node, plus=None)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_fault_in_the_backward_pass_of_a_layer_is_caught(name, monkeypatch):
    monkeypatch.setattr(autodiff, "available", lambda: {"autograd": autodiff.by_autograd})
    layers, inputs = EXAMPLES[name]
    network = Network(layers, inputs=inputs, loss="huber", dtype="float64")
    case = random_case(np.random.default_rng(len(name)), network)
    assert verify(network, *case)
    plan = gradient_plan(network, wrt_input=True)
    backward = plan.nodes[len(loss_plan(network).nodes) + 2 :]  # grad and its share are the loss's
    params, x, t, weight = case
    at = walk(plan, {**params, "x": x, "t": t, "weight": weight[:, None]})
    tried = 0
    for node in backward:
        for fault in faults_of(node, at):
            nodes = tuple(fault if other is node else other for other in plan.nodes)
            report = verify(network, *case, plan=dataclasses.replace(plan, nodes=nodes))
            assert not report, f"{node} as {fault}"
            tried += 1
    assert tried >= 2

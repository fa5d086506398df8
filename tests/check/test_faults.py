"""Planted faults: each is caught by the comparison that is meant for it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from backhand.check import check_activation, check_loss, verify
from backhand.check.kernels import check_activation_kernel
from backhand.check.networks import random_case
from backhand.formulas import activations
from backhand.formulas.activations import ACTIVATIONS, Activation
from backhand.formulas.losses import LOSSES
from backhand.network import Network
from backhand.plan.nodes import Matmul, NormaliseWeights
from backhand.plan.step import Plan, gradient_plan


def failures(lines):
    return {line.kind for line in lines if not line.passed}


@pytest.fixture
def square_case():
    """A network whose dw is square, so that its transpose has the right shape."""
    network = Network((6, 6, 6, 2), activation="tanh", dtype="float64")
    return network, random_case(np.random.default_rng(3), network)


def planted(network, change):
    plan = gradient_plan(network, wrt_input=True)
    return Plan(network, tuple(change(node) for node in plan.nodes))


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
        if isinstance(node, Matmul) and node.out == f"dw{layer}":
            return dataclasses.replace(node, left=node.right, right=node.left)
        return node

    report = verify(network, *case, plan=planted(network, change))
    assert {line.what for line in report if not line.passed} == {f"dw{layer}"}


def test_wrong_loss_gradient_is_caught():
    right = LOSSES["huber"]
    wrong = dataclasses.replace(right, grad=lambda xp, z, t, delta: z - t)
    assert failures(check_loss(wrong)) == {"oracle", "autodiff"}

from __future__ import annotations

import dataclasses

import pytest

from backhand.check import check_activation
from backhand.check.kernels import check_activation_kernel
from backhand.cli import check
from backhand.formulas.activations import ACTIVATIONS


@pytest.fixture(autouse=True)
def two_formulas(monkeypatch):
    """All comparisons are for the tests of `check`, and for `backhand check` in `.ci/run`."""

    def run_checks(seed, networks):
        for activation in (ACTIVATIONS["relu"], ACTIVATIONS["tanh"]):
            yield from check_activation(activation, seed)
            yield from check_activation_kernel(activation, "float32", seed)

    monkeypatch.setattr(check, "run_checks", run_checks)


def test_all_pass_in_a_few_lines_that_fit_the_terminal(backhand):
    code, out, _ = backhand("check", "--networks", "14")
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 7
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("Compares formulas with mathematics")
    assert "all passed" in lines[-1]
    assert "FAIL" not in out


def test_a_planted_fault_fails_the_command(backhand, monkeypatch):
    right = ACTIVATIONS["tanh"]
    wrong = dataclasses.replace(right, vjp=lambda xp, z, y, dy: dy * (1.0 + y * y))
    monkeypatch.setitem(ACTIVATIONS, "tanh", wrong)
    code, out, _ = backhand("check", "--networks", "1", "--full")
    assert code == 1
    assert "FAIL  tanh_vjp against autograd: worst error" in out
    assert "want" in out
    assert "FAILED" in out.splitlines()[-1]
    assert "relu_vjp float32" in out

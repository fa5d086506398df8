from __future__ import annotations

import dataclasses

import pytest

from backhand.cli import check
from backhand.formulas.activations import ACTIVATIONS
from backhand.proof import check_activation


@pytest.fixture(autouse=True)
def two_formulas(monkeypatch):
    """All comparisons are for the tests of `proof`, and for `backhand check` in `.ci/run`."""

    def run_checks(seed, networks):
        for name in ("relu", "tanh"):
            yield from check_activation(ACTIVATIONS[name], seed)

    monkeypatch.setattr(check, "run_checks", run_checks)


def test_all_pass(backhand):
    code, out, _ = backhand("check", "--networks", "14")
    assert code == 0
    assert "all passed" in out
    assert "FAIL" not in out


def test_a_planted_fault_fails_the_command(backhand, monkeypatch):
    right = ACTIVATIONS["tanh"]
    wrong = dataclasses.replace(right, vjp=lambda xp, z, y, dy: dy * (1.0 + y * y))
    monkeypatch.setitem(ACTIVATIONS, "tanh", wrong)
    code, out, _ = backhand("check", "--networks", "1")
    assert code == 1
    assert "FAIL" in out
    assert "FAILED" in out.splitlines()[-1]

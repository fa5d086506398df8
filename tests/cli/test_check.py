from __future__ import annotations

import dataclasses

from backhand.formulas.activations import ACTIVATIONS


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

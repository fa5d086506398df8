"""The whole check passes, and covers every formula."""

from __future__ import annotations

import re

import pytest

from backhand.check import autodiff
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES


@pytest.fixture
def lines(checks):
    return checks


def test_everything_passes(lines):
    assert [str(line) for line in lines if not line.passed] == []


@pytest.mark.parametrize("name", [*ACTIVATIONS, *LOSSES])
def test_every_formula_meets_an_independent_oracle_and_autodiff(lines, name):
    derivative = f"{name}_vjp" if name in ACTIVATIONS else f"{name}_grad"
    found = {(line.kind, line.what, line.oracle) for line in lines}
    for dtype in ("float32", "float64"):
        assert ("oracle", f"{name} {dtype}", "mpmath") in found
        assert ("oracle", f"{derivative} {dtype}", "mpmath") in found
    for oracle in autodiff.available():
        assert ("autodiff", derivative, oracle) in found


def test_every_formula_is_in_a_whole_network(lines):
    networks = [line.what for line in lines if re.match(r"\d+-", line.what)]
    words = {word for what in networks for word in what.replace(",", " ").split()}
    assert {*ACTIVATIONS, *LOSSES} <= words

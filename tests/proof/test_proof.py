"""The whole proof passes, and covers every formula."""

from __future__ import annotations

import pytest

from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.proof import run_checks


@pytest.fixture(scope="module")
def lines():
    return list(run_checks(networks=24))


def test_everything_passes(lines):
    assert [str(line) for line in lines if not line.passed] == []


@pytest.mark.parametrize("name", [*ACTIVATIONS, *LOSSES])
def test_every_formula_meets_an_independent_oracle_and_autodiff(lines, name):
    kinds = {line.kind for line in lines if line.what.split()[0].startswith(name)}
    assert {"oracle", "autodiff"} <= kinds


@pytest.mark.parametrize("name", [*ACTIVATIONS, *LOSSES])
def test_every_formula_is_in_a_whole_network(lines, name):
    assert any(name in line.what and "-" in line.what.split()[0] for line in lines)

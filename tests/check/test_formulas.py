from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand.check import check_optimiser
from backhand.check.formulas import activation_vjp, points
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.optimisers import OPTIMISERS


def test_points_keep_away_from_kinks_and_reach_far():
    z = points(np.random.default_rng(0), kinks=(0.0,))
    assert np.abs(z).min() > 1e-4
    assert np.abs(z).max() == 1e4


def test_a_vjp_gets_only_what_it_declares():
    relu = dataclasses.replace(ACTIVATIONS["relu"], saves=())
    with pytest.raises(TypeError):
        activation_vjp(relu, np.ones(3), np.ones(3))


@pytest.mark.torch
@pytest.mark.parametrize("optimiser", OPTIMISERS.values(), ids=OPTIMISERS)
def test_a_wrong_optimiser_is_caught(optimiser):
    pytest.importorskip("torch", reason="torch is not installed")
    wrong = dataclasses.replace(
        optimiser, scalars=lambda s, r, **k: optimiser.scalars(s, 1.01 * r, **k)
    )
    assert all(line.passed for line in check_optimiser(optimiser))
    assert not any(line.passed for line in check_optimiser(wrong))

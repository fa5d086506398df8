"""Per-step scalars: groups of parameters, settings that follow schedules."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.formulas import noise
from backhand.formulas.optimisers import OPTIMISERS, choose_optimiser
from backhand.plan.layers import Activate, Dropout, Linear, Scale
from backhand.plan.scalars import group_scalars, in_group, names_of, step_scalars
from backhand.plan.step import training_plan

LAYERS = [Scale(6.0, 36.0), Linear(4, bias_learning_rate=0.1), Activate("tanh"), Dropout(0.3)]
NET = Network([*LAYERS, Linear(4), Activate("tanh"), Dropout(0.5), Linear(2)], inputs=3)
STEPS, RATES = np.arange(4.0), np.array([0.1, 0.2, 0.3, 0.4])


def scalars(spec="adamw:weight_decay=0.02", **words):
    optimiser = choose_optimiser(spec)
    return step_scalars(training_plan(NET, optimiser), optimiser, STEPS, RATES, **words)


@pytest.mark.parametrize("spec", OPTIMISERS)
def test_every_scalar_that_a_plan_reads_is_there_in_its_kind(spec):
    optimiser = OPTIMISERS[spec]
    plan = training_plan(NET, optimiser)
    reals, words = names_of(plan, optimiser)
    found = step_scalars(plan, optimiser, STEPS, RATES, l2=0.25)
    assert set(found) == {*reals, *words}
    assert words == ("threshold1", "threshold2")
    assert {"l2", "scale1", "scale2"} < set(reals)
    assert found["l2"] == 0.25
    assert found["threshold1"] == noise.threshold(0.3)
    assert found["scale2"] == 2.0
    own = optimiser.scalars(STEPS + 1, RATES, **optimiser.keywords)
    for name, value in group_scalars(optimiser, 0, found).items():
        np.testing.assert_array_equal(value, own[name])


def test_factors_scale_rates_and_decay_of_their_groups_only():
    found = scalars()
    optimiser = choose_optimiser("adamw")
    # groups: the rest, the scaling layer, biases (which are never decayed)
    wanted = {0: (1.0, 0.02), 1: (6.0, 36 * 0.02), 2: (0.1, 0.02)}
    for group, (factor, decay) in wanted.items():
        own = optimiser.scalars(
            STEPS + 1, RATES * factor, **{**optimiser.keywords, "weight_decay": decay}
        )
        for name, value in own.items():
            np.testing.assert_allclose(found[in_group(name, group)], value, rtol=1e-15)
    assert in_group("rate", 0) == "rate"
    assert in_group("rate", 2) == "rate.2"
    assert "rate.3" not in found


def test_settings_follow_schedules_step_by_step():
    half = np.array([1.0, 0.5, 0.25, 0.0])
    found = scalars(factors={"dropout": half, "weight_decay": half})
    assert found["threshold1"] == [noise.threshold(0.3 * f) for f in half]
    np.testing.assert_allclose(found["scale2"], 1 / (1 - 0.5 * half), rtol=1e-15)
    assert found["threshold2"][-1] == 0
    for number, factor in enumerate(half):
        alone = scalars(f"adamw:weight_decay={0.02 * factor}")
        for name in scalars():
            if name.startswith(("threshold", "scale")):
                continue
            one = np.broadcast_to(alone[name], 4)[number]
            np.testing.assert_allclose(np.broadcast_to(found[name], 4)[number], one, rtol=1e-15)


def test_a_schedule_of_what_an_optimiser_has_not_changes_nothing():
    plain, same = scalars("sgd"), scalars("sgd", factors={"weight_decay": np.full(4, 0.5)})
    assert plain.keys() == same.keys()
    assert all(np.array_equal(plain[name], same[name]) for name in plain)


def test_part_of_the_steps_are_these_of_all():
    optimiser = OPTIMISERS["adam"]
    plan = training_plan(NET, optimiser)
    whole, part = scalars("adam"), step_scalars(plan, optimiser, STEPS[2:], RATES[2:])
    for name, value in whole.items():
        np.testing.assert_allclose(np.broadcast_to(value, 4)[2:], part[name], rtol=1e-15)

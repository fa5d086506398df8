"""Learning-rate schedules against torch's, and at their edges."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from backhand.formulas.schedules import SCHEDULES, choose_schedule
from backhand.testing import assert_near

ALL = pytest.mark.parametrize("name", SCHEDULES)


def factors(spec, steps):
    schedule = choose_schedule(spec)
    return schedule.factor(np, np.arange(float(steps)), steps, **schedule.keywords)


def torchs(make, steps):
    import torch

    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(torch.optim.lr_scheduler, optimiser)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return np.array(rates)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Detected call")
@pytest.mark.parametrize("steps", [5, 10, 97, 1000])
def test_one_cycle_is_torchs(steps):
    want = torchs(lambda m, o: m.OneCycleLR(o, 1.0, total_steps=steps + 1), steps + 1)
    assert_near(factors("one_cycle", steps + 1), want, rtol=1e-9, atol=1e-12)


@pytest.mark.torch
def test_one_cycle_with_other_parameters_is_torchs():
    words = {"pct_start": 0.2, "div_factor": 10, "final_div_factor": 100}
    want = torchs(lambda m, o: m.OneCycleLR(o, 1.0, total_steps=50, **words), 50)
    got = factors("one_cycle:rise=0.2,start=0.1,final=0.01", 50)
    assert_near(got, want, rtol=1e-9, atol=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("steps", [2, 17, 300])
def test_cosine_without_warmup_is_torchs(steps):
    want = torchs(lambda m, o: m.CosineAnnealingLR(o, steps - 1, eta_min=0.1), steps)
    assert_near(factors("cosine:warmup=0,final=0.1", steps), want, rtol=1e-9, atol=1e-12)


@ALL
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 100])
def test_short_trainings_have_sensible_rates(name, steps):
    got = factors(name, steps)
    assert got.shape == (steps,)
    assert (got >= 0).all()
    assert (got <= 1).all()
    assert got[0] > 0 or name == "coslog4", "the first step would do nothing"


@pytest.mark.parametrize("spec", ["cosine:warmup=0", "cosine:warmup=1", "one_cycle:rise=0"])
@pytest.mark.parametrize("steps", [1, 2, 50])
def test_edges_of_the_parameters(spec, steps):
    got = factors(spec, steps)
    assert np.isfinite(got).all()
    assert 0 < got.max() <= 1 + 1e-12


@ALL
def test_steps_one_by_one_are_the_steps_together(name):
    schedule, together = SCHEDULES[name], factors(name, 40)
    one = [schedule.factor(np, np.array([float(s)]), 40, **schedule.keywords)[0] for s in range(40)]
    assert np.array_equal(one, together)


def test_cosine_rises_to_one_then_falls_to_its_end():
    got = factors("cosine:warmup=0.1,final=0.01", 200)
    top = int(got.argmax())
    assert top == 20
    assert_near(got[top], 1.0, rtol=1e-12)
    assert (np.diff(got[: top + 1]) > 0).all()
    assert (np.diff(got[top:]) < 0).all()
    assert_near(got[-1], 0.01, rtol=1e-9)


def test_one_cycle_peaks_inside_and_ends_far_below_its_start():
    got = factors("one_cycle", 100)
    assert_near(got[[0, 29, 99]], [1 / 25, 1.0, 1e-4 / 25], rtol=1e-9, atol=0)


def test_constant_and_inverse_scaling():
    assert np.array_equal(factors("constant", 5), np.ones(5))
    assert_near(factors("inverse_scaling:power=2", 4), [1, 1 / 4, 1 / 9, 1 / 16], rtol=1e-14)


@ALL
def test_a_training_that_goes_on_past_its_end_keeps_the_last_rate(name):
    schedule = SCHEDULES[name]
    beyond = schedule.factor(np, np.array([39.0, 60.0]), 40, **schedule.keywords)
    assert (beyond >= 0).all()
    if name in ("cosine", "one_cycle"):
        assert beyond[0] == beyond[1]


def test_coslog4_is_zero_at_both_ends_and_between_its_four_waves():
    """Holzmueller et al. 2024: 1/2 (1 - cos(2 pi log2(1 + 15 t)))."""
    steps = 15 * 8
    got = factors("coslog4", steps)
    zeros = [0, steps // 15, 3 * steps // 15, 7 * steps // 15]
    assert_near(got[zeros], np.zeros(4), atol=1e-12)
    progress = np.arange(steps) / steps
    want = [float(mpmath.sin(mpmath.pi * mpmath.log(1 + 15 * p, 2)) ** 2) for p in progress]
    assert_near(got, want, rtol=1e-9, atol=1e-12)
    peaks = (2 ** (np.arange(4) + 0.5) - 1) / 15  # about 0.028, 0.122, 0.310, 0.688
    for start, peak in zip(zeros, peaks, strict=True):
        wave = got[start : start + 8 * (1 + start // 8) + 1]
        assert abs((start + wave.argmax()) / steps - peak) <= 1 / steps
        assert wave.max() > 0.98
    ends = SCHEDULES["coslog4"].factor(np, np.array([0.0, float(steps)]), steps)
    assert_near(ends, np.zeros(2), atol=1e-12)


def test_flat_cos_is_one_for_half_and_then_half_a_cosine():
    got = factors("flat_cos", 200)
    assert np.array_equal(got[:101], np.ones(101))
    assert_near(got[[125, 150, 175]], [(2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4], rtol=1e-12)
    assert (np.diff(got[100:]) < 0).all()
    end = SCHEDULES["flat_cos"].factor(np, np.array([200.0]), 200)
    assert_near(end, [0.0], atol=1e-15)

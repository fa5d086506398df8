"""Update rules against torch.optim, and what must hold of them."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from backhand.formulas.entry import BELOW_ONE
from backhand.formulas.optimisers import OPTIMISERS, choose_optimiser, l2_penalised, l2_penalty
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near

ALL = pytest.mark.parametrize("optimiser", OPTIMISERS.values(), ids=list(OPTIMISERS))
TORCH = {  # torch's words for ours
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "adam:beta1=0.8,beta2=0.99,epsilon=1e-6": {"betas": (0.8, 0.99), "eps": 1e-6},
    "adamw:weight_decay=0.3": {"weight_decay": 0.3},
    "sgd": {},
    "adam": {},
    "adamw": {},
}


def run(optimiser, w, gradients, rates, l2=0.0):
    """The parameter after some steps; neither it nor the state may be changed in place."""
    state = [np.zeros_like(w) for _ in optimiser.state]
    for step, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        before = [a.copy() for a in (w, *state)]
        g = l2_penalised(NUMPY, w, g, l2)
        scalars = optimiser.scalars(step, rate, **optimiser.keywords)
        new = optimiser.update(NUMPY, w, g, *state, **scalars)
        assert all(np.array_equal(a, b) for a, b in zip(before, (w, *state), strict=True))
        assert len(new) == 1 + len(optimiser.state)
        w, *state = new
    return w


@pytest.mark.torch
@pytest.mark.parametrize(
    ("spec", "l2"),
    # torch's AdamW has no L2 in the loss: there weight_decay is another thing
    [(s, l2) for s in TORCH for l2 in (0.0, 0.1) if l2 == 0 or not s.startswith("adamw")],
)
def test_twenty_steps_are_torchs_with_a_changing_rate(spec, l2, rng):
    import torch

    optimiser, words = choose_optimiser(spec), dict(TORCH[spec])
    w, rates = rng.standard_normal((4, 3)), rng.uniform(0.001, 0.1, 20)
    gradients = rng.standard_normal((20, 4, 3)) * 10.0 ** rng.integers(-9, 1, (20, 4, 3))
    if l2:
        words["weight_decay"] = l2
    parameter = torch.nn.Parameter(torch.tensor(w))
    peer = getattr(torch.optim, optimiser.torch)([parameter], lr=1.0, **words)
    for g, rate in zip(gradients, rates, strict=True):
        peer.param_groups[0]["lr"] = rate
        parameter.grad = torch.tensor(g)
        peer.step()
    got = run(optimiser, w, gradients, rates, l2)
    assert_near(got, parameter.detach().numpy(), rtol=1e-12, atol=1e-15)


@ALL
def test_scalars_of_all_steps_at_once_are_those_of_each(optimiser, rng):
    steps, rates = np.arange(1, 30.0), rng.random(29)
    together = optimiser.scalars(steps, rates, **optimiser.keywords)
    for i in (0, 1, 28):
        one = optimiser.scalars(float(steps[i]), float(rates[i]), **optimiser.keywords)
        for name, value in one.items():
            assert_near(np.broadcast_to(together[name], 29)[i], value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999, 1 - 1e-9, 1 - 1e-15, BELOW_ONE])
def test_bias_corrections_are_right_after_any_number_of_steps(beta):
    """Exactly 1 in the end, without powers below the smallest normal number on the way."""
    adam = choose_optimiser(f"adam:beta1={beta!r},beta2={beta!r}")
    steps = np.array([1, 2, 37, 400, 7000, 10**6, 10**12], float)
    with np.errstate(all="raise"):
        scalars = adam.scalars(steps, 1.0, **adam.keywords)
    for i, step in enumerate(steps):
        with mpmath.workdps(50):
            seen = 1 - mpmath.mpf(beta) ** step
            want = float(1 / seen), float(1 / mpmath.sqrt(seen))
        got = scalars["rate"][i], scalars["rsqrt_correction2"][i]
        # of the power one unit in the last place, which counts for more the less has been seen
        assert_near(got, want, rtol=2e-16 * (2 + float(1 / seen)), atol=0)


@ALL
def test_float32_stays_float32(optimiser, rng):
    w = rng.standard_normal((4, 3)).astype("float32")
    got = run(optimiser, w, [w] * 3, [0.1] * 3)
    assert got.dtype == np.float32
    want = run(optimiser, w.astype("float64"), [w.astype("float64")] * 3, [0.1] * 3)
    assert_near(got, want, rtol=1e-5, atol=1e-6)


@ALL
def test_goes_downhill(optimiser):
    w = run_quadratic(optimiser)
    assert abs(w).max() < 0.2


def run_quadratic(optimiser, steps=300):
    w, state = np.array([3.0, -2.0]), [np.zeros(2) for _ in optimiser.state]
    for step in range(1, steps + 1):
        scalars = optimiser.scalars(step, 0.03, **optimiser.keywords)
        w, *state = optimiser.update(NUMPY, w, w, *state, **scalars)
    return w


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_without_momentum_it_is_sgd(name, rng):
    gradients = rng.standard_normal((5, 3))
    plain = run(OPTIMISERS["sgd"], np.ones(3), gradients, [0.1] * 5)
    got = run(choose_optimiser(f"{name}:momentum=0"), np.ones(3), gradients, [0.1] * 5)
    assert np.array_equal(got, plain)


def test_adams_step_does_not_see_the_gradients_size(rng):
    adam, gradients = choose_optimiser("adam:epsilon=0"), rng.standard_normal((5, 3))
    one = run(adam, np.ones(3), gradients, [0.1] * 5)
    assert_near(run(adam, np.ones(3), 1e-6 * gradients, [0.1] * 5), one, rtol=1e-12)
    assert_near(run(adam, np.zeros(3), gradients[:1], [0.1]), -0.1 * np.sign(gradients[0]), 1e-12)


def test_adamw_leaves_biases_alone(rng):
    adamw, g = OPTIMISERS["adamw"], rng.standard_normal(3)
    scalars = {**adamw.scalars(1, 0.1, **adamw.keywords), **dict(adamw.weights_only)}
    got = adamw.update(NUMPY, np.ones(3), g, np.zeros(3), np.zeros(3), **scalars)[0]
    assert np.array_equal(got, run(OPTIMISERS["adam"], np.ones(3), [g], [0.1]))


def test_l2_gradient_is_the_penaltys_slope(rng):
    w, h = rng.standard_normal(5), 1e-6
    slope = (l2_penalty(NUMPY, w + h, 0.3) - l2_penalty(NUMPY, w - h, 0.3)) / (2 * h)
    assert_near(l2_penalised(NUMPY, w, 0 * w, 0.3), slope, rtol=1e-8)

"""Losses against scipy and torch, and what must hold of any loss."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from backhand.formulas import losses
from backhand.formulas.losses import LOSSES, choose_loss
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near, assert_near_zero, assert_shape

ALL = pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
ELEMENT = [loss for loss in LOSSES.values() if not loss.by_row]


def targets(loss, rng, shape):
    if loss.target == "class":
        return rng.integers(0, shape[1], (shape[0], 1))
    if loss.target == "probability":
        return rng.choice([0.0, 1.0, 0.3], shape)
    if loss.target == "positive":
        return rng.gamma(2.0, 1.0, shape)
    return rng.poisson(2.0, shape).astype(float)


def value(loss, z, t):
    return loss.value(NUMPY, z, t, **loss.keywords)


def grad(loss, z, t):
    return loss.grad(NUMPY, z, t, **loss.keywords)


def log_likelihood(z, t):
    return t * scipy.special.log_expit(z) + (1 - t) * scipy.special.log_expit(-z)


SCIPY = {
    "mean_squared_error": lambda z, t: (z - t) ** 2,
    "mean_absolute_error": lambda z, t: abs(z - t),
    "huber:delta=1.5": lambda z, t: scipy.special.huber(1.5, z - t),
    "binary_cross_entropy": lambda z, t: -log_likelihood(z, t),
    "softmax_cross_entropy": lambda z, t: (
        -np.take_along_axis(scipy.special.log_softmax(z, axis=1), t, axis=1)
    ),
    "poisson": lambda z, t: scipy.special.kl_div(t, np.exp(z)),
}


@pytest.mark.parametrize("spec", SCIPY)
def test_value_is_scipys(spec, rng):
    loss = choose_loss(spec)
    z = 4 * rng.standard_normal((200, 5))
    t = targets(loss, rng, z.shape)
    assert_near(value(loss, z, t), SCIPY[spec](z, t), rtol=1e-12, atol=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize(
    "spec", [*(name for name, loss in LOSSES.items() if loss.torch), "huber:delta=0.5"]
)
@pytest.mark.parametrize("outputs", [2, 7])
def test_batch_loss_and_gradient_are_torchs(spec, outputs, rng):
    import torch

    loss = choose_loss(spec)
    z = 4 * rng.standard_normal((31, outputs))
    t = targets(loss, rng, z.shape)
    if loss.target == "real":
        kinks = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])  # where the conventions must agree too
        z[:5] = t[:5] + kinks[:, None]
    a = torch.tensor(z, requires_grad=True)
    peer = getattr(torch.nn.functional, loss.torch)
    want = peer(a, torch.tensor(t[:, 0] if loss.by_row else t), **loss.keywords)
    want.backward()
    share = losses.share(np.ones((31, 1)), 1 if loss.by_row else outputs)
    assert_near(losses.total(value(loss, z, t), share), want.item(), rtol=1e-12)
    got = losses.share_vjp(grad(loss, z, t), share)
    assert_near(got, a.grad.numpy(), rtol=1e-11, atol=1e-14)


@pytest.mark.torch
def test_poisson_has_torchs_gradient_and_no_constant(rng):
    import torch

    z, t = rng.standard_normal((9, 3)), rng.poisson(2.0, (9, 3)).astype(float)
    a = torch.tensor(z, requires_grad=True)
    torch.nn.functional.poisson_nll_loss(a, torch.tensor(t), reduction="sum").backward()
    assert_near(grad(LOSSES["poisson"], z, t), a.grad.numpy(), rtol=1e-12)


@ALL
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stable_far_out(loss, dtype, rng):
    z = np.array(np.meshgrid(*[[-1e4, -88.5, 0, 88.5, 1e4]] * 3), dtype).reshape(3, -1).T
    for _ in range(3):
        t = targets(loss, rng, z.shape)
        t = t if loss.by_row else t.astype(dtype)
        v, g = value(loss, z, t), grad(loss, z, t)
        assert_shape(v, (len(z), 1) if loss.by_row else z.shape)
        assert_shape(g, z.shape)
        assert v.dtype == g.dtype == dtype, "a formula changed the precision"
        assert np.isfinite(v).all()
        assert np.isfinite(g).all()
        # a value that rounding takes below zero would be a tiny one: relative to z's size
        assert (v >= -1e-6).all()


@ALL
def test_gradient_is_the_slope(loss, rng):
    z = 3 * rng.standard_normal((40, 4))
    t = targets(loss, rng, z.shape)
    h = 1e-6
    for k in range(4):
        step = h * (np.arange(4) == k)
        slope = (value(loss, z + step, t) - value(loss, z - step, t)) / (2 * h)
        slope = slope if loss.by_row else slope[:, [k]]
        assert_near(grad(loss, z, t)[:, [k]], slope, rtol=1e-6, atol=1e-7)


# a smoothed or focal loss is not least where p is the share of the ones: p is what it is read as
PROPER = [loss for loss in ELEMENT if "smoothed" not in loss.name and "focal" not in loss.name]


@pytest.mark.parametrize("loss", [e for e in PROPER if e.name != "quantile"], ids=lambda e: e.name)
def test_the_inverse_link_gives_the_target_that_the_logits_expect(loss, rng):
    z = np.append(3 * rng.standard_normal((20, 3)), [[-40.0, 0.0, 20.0]], axis=0)
    mean = loss.inverse_link(NUMPY, z)
    assert_near_zero(grad(loss, z, mean), atol=1e-12)


def test_the_inverse_link_of_softmax_gives_the_distribution_that_the_logits_expect(rng):
    loss = LOSSES["softmax_cross_entropy"]
    z = 5 * rng.standard_normal((20, 4))
    p = loss.inverse_link(NUMPY, z)
    assert_near(p.sum(1), np.ones(20), rtol=1e-14)
    classes = [grad(loss, z, np.full((20, 1), c)) * p[:, [c]] for c in range(4)]
    assert_near_zero(sum(classes), atol=1e-14)
    assert_near_zero(grad(loss, z, np.zeros((20, 1), int)).sum(1), atol=1e-14)
    shifted = value(loss, z + 1000, np.zeros((20, 1), int))
    assert_near(shifted, value(loss, z, np.zeros((20, 1), int)), rtol=1e-10, atol=1e-10)


def test_conventions_at_kinks():
    at = np.array([[-1.0], [0.0], [1.0]])
    assert grad(LOSSES["mean_absolute_error"], at, np.zeros((3, 1))).ravel().tolist() == [-1, 0, 1]
    assert grad(LOSSES["huber"], at, np.zeros((3, 1))).ravel().tolist() == [-1, 0, 1]


@pytest.mark.parametrize("name", ["mean_absolute_error", "huber", "mean_squared_error"])
def test_nan_logits_have_nan_gradients(name):
    z = np.array([[np.nan, 1.0]])
    assert np.isnan(grad(LOSSES[name], z, np.zeros((1, 2)))).tolist() == [[True, False]]


def test_half_squared_error_sums_its_outputs():
    assert LOSSES["half_squared_error"].outputs == "sum"
    z, t = np.array([[3.0, 5.0]]), np.array([[1.0, 1.0]])
    assert value(LOSSES["half_squared_error"], z, t).tolist() == [[2.0, 8.0]]


def test_poisson_goes_on_as_a_tangent():
    loss, zero = LOSSES["poisson"], np.zeros((1, 1))
    near = np.array([[30 - 1e-9], [30.0], [30 + 1e-9]])
    assert_near(value(loss, near, zero), np.full((3, 1), np.exp(30.0)), rtol=1e-8)
    far = np.array([[31.0], [1e4]])
    assert_near(grad(loss, far, zero), np.full((2, 1), np.exp(30.0)), rtol=1e-14)
    assert_near_zero(value(loss, np.log([[1e-3, 4.0, 1e6]]), np.array([[1e-3, 4.0, 1e6]])), 1e-8)


@pytest.mark.parametrize("spec", ["gamma", "tweedie:power=1.2", "tweedie", "tweedie:power=1.9"])
def test_deviance_is_scikit_learns(spec, rng):
    from sklearn.metrics import mean_gamma_deviance, mean_tweedie_deviance

    loss = choose_loss(spec)
    z = rng.standard_normal((50, 1))
    t = targets(loss, rng, z.shape)
    if loss.name == "gamma":
        want = mean_gamma_deviance(t, np.exp(z))
    else:
        want = mean_tweedie_deviance(t, np.exp(z), power=loss.keywords["power"])
    assert_near(2 * value(loss, z, t).mean(), want, rtol=1e-12)


@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 0.9])
def test_quantile_is_scikit_learns_and_least_at_the_quantile(level, rng):
    from sklearn.metrics import mean_pinball_loss

    loss = choose_loss(f"quantile:level={level}")
    z, t = rng.standard_normal((50, 1)), rng.standard_normal((50, 1))
    want = mean_pinball_loss(t, z, alpha=level)
    assert_near(value(loss, z, t).mean(), want, rtol=1e-12)
    slopes = grad(loss, np.full(t.shape, 0.3), t)
    assert_near(slopes.mean(), (t < 0.3).mean() - level, rtol=1e-12)


def test_focal_without_focus_is_cross_entropy(rng):
    z, c, p = rng.standard_normal((9, 3)), rng.integers(0, 3, (9, 1)), rng.random((9, 3))
    for name, plain, t in (
        ("focal", "softmax_cross_entropy", c),
        ("binary_focal", "binary_cross_entropy", p),
    ):
        loss = LOSSES[name].with_(gamma=0)
        assert_near(value(loss, z, t), value(LOSSES[plain], z, t), rtol=1e-12)
        assert_near(grad(loss, z, t), grad(LOSSES[plain], z, t), rtol=1e-12, atol=1e-15)


def test_binary_focal_is_focal_of_two_logits(rng):
    z, t = rng.standard_normal((9, 1)), rng.integers(0, 2, (9, 1))
    both = np.concatenate([np.zeros_like(z), z], axis=1)
    assert_near(value(LOSSES["binary_focal"], z, t), value(LOSSES["focal"], both, t), rtol=1e-12)


@pytest.mark.torch
def test_smoothed_binary_cross_entropy_is_torchs_of_two_logits(rng):
    import torch

    loss = choose_loss("smoothed_binary_cross_entropy:label_smoothing=0.3")
    z, t = rng.standard_normal((9, 1)), rng.integers(0, 2, (9, 1))
    both = torch.tensor(np.concatenate([np.zeros_like(z), z], axis=1))
    want = torch.nn.functional.cross_entropy(both, torch.tensor(t[:, 0]), label_smoothing=0.3)
    assert_near(value(loss, z, t).mean(), want.item(), rtol=1e-12)

"""Gradients clipped by their norm: as PyTorch in both executors, with the same bits anywhere."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand import InputError, MLPClassifier, Network, Rows, TrainConfig, fit
from backhand.engines import executor
from backhand.formulas.optimisers import OPTIMISERS, clipping
from backhand.run.llvm.machine.target import NAMED, Target
from backhand.testing import assert_near
from backhand.train.result import DivergedError

from ..problems import scalars_of

ROWS, BATCH, EPOCHS, RATE, L2 = 90, 32, 3, 0.05, 0.01


def problem(dtype, widths=(7, 20, 33, 3)):
    rng = np.random.default_rng(0)
    network = Network(widths, activation="tanh", loss="softmax_cross_entropy", dtype=dtype)
    x = rng.standard_normal((ROWS, widths[0])).astype(dtype)
    return network, network.init("kaiming_normal", 0), x, rng.integers(0, 3, (ROWS, 1))


def trained(optimiser, engine="llvm", threads=1, dtype="float64", x_of=lambda x: x, **more):
    network, params, x, t = problem(dtype, **more)
    trainer = executor(engine).trainer(network, params, optimiser, 0, threads)
    steps = -(-ROWS // BATCH)
    for epoch in range(EPOCHS):
        numbers = np.arange(steps) + float(steps * epoch)
        scalars = scalars_of(network, optimiser, numbers, RATE, L2)
        order = np.random.default_rng(epoch).permutation(ROWS)
        trainer.epoch(x_of(x), t, None, order, BATCH, scalars, steps * epoch)
    return np.concatenate([a.ravel() for a in trainer.params.values()])


@pytest.mark.torch
@pytest.mark.parametrize("engine", ["llvm", "numpy"])
@pytest.mark.parametrize("limit", [0.05, 0.5, 1e6])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_steps_are_torchs(name, limit, engine):
    import torch

    _, params, x, t = problem("float64")
    held = [torch.tensor(a, requires_grad=True) for a in params.values()]
    peer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[name](held, lr=RATE)
    clipped = 0
    for epoch in range(EPOCHS):
        order = np.random.default_rng(epoch).permutation(ROWS)
        for first in range(0, ROWS, BATCH):
            rows = order[first : first + BATCH]
            y = torch.tensor(x[rows])
            for layer in range(3):
                y = y @ held[2 * layer] + held[2 * layer + 1]
                y = torch.tanh(y) if layer < 2 else y
            loss = torch.nn.functional.cross_entropy(y, torch.tensor(t[rows, 0]))
            loss = loss + 0.5 * L2 * sum((w * w).sum() for w in held[::2])
            peer.zero_grad()
            loss.backward()
            norm = torch.sqrt(sum((a.grad**2).sum() for a in held))
            clipped += bool(norm > limit)
            if norm > limit:  # torch's clip_grad_norm_ adds 1e-6 to the norm
                for a in held:
                    a.grad *= limit / norm
            peer.step()
    assert (clipped > 0) == (limit < 1e6)
    got = trained(clipping(OPTIMISERS[name], limit), engine)
    # nine steps of Adam magnify rounding by the inverse of the gradients' size
    assert_near(got, torch.cat([a.detach().ravel() for a in held]).numpy(), atol=1e-9)


@pytest.mark.parametrize(
    ("name", "dtype", "widths"),
    [  # each layout with each optimiser and each dtype
        ("nesterov", "float32", (7, 20, 33, 3)),
        ("adamw", "float64", (7, 20, 33, 3)),
        ("nesterov", "float64", (5, 3)),
        ("adamw", "float32", (5, 3)),
        ("nesterov", "float64", (3, 130, 3)),
        ("adamw", "float32", (3, 130, 3)),
    ],
)
def test_the_same_bits_on_any_threads_and_instructions(name, dtype, widths, monkeypatch):
    optimiser = clipping(OPTIMISERS[name], 0.2)
    want = trained(optimiser, dtype=dtype, widths=widths)
    for threads in (2, 3, 8):
        assert np.array_equal(trained(optimiser, threads=threads, dtype=dtype, widths=widths), want)
    host = Target.host()
    for target in map(Target.named, NAMED):
        if target.is_host_family and target.vector_bytes <= host.vector_bytes:
            monkeypatch.setattr(Target, "host", lambda target=target: target)
            assert np.array_equal(trained(optimiser, dtype=dtype, widths=widths), want)
    arrays = trained(optimiser, "numpy", dtype=dtype, widths=widths)
    assert_near(want, arrays, atol=200 * np.finfo(dtype).eps)


def test_a_limit_that_is_never_reached_changes_no_bit():
    for name in OPTIMISERS:
        plain = OPTIMISERS[name]
        assert np.array_equal(trained(clipping(plain, 1e9)), trained(plain))
        assert not np.array_equal(trained(clipping(plain, 0.05)), trained(plain))


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_long_gradients_in_float32_still_give_steps(engine):
    """Their squares overflow in float32, while the loss is finite."""
    network = Network((1, 1), loss="mean_squared_error")
    params = {"w1": np.zeros((1, 1), np.float32), "b1": np.zeros(1, np.float32)}
    optimiser = clipping(OPTIMISERS["sgd"], 1.0)
    trainer = executor(engine).trainer(network, params, optimiser, 0, 1)
    x, t, rows = np.full((4, 1), 1e9, np.float32), np.full((4, 1), 1e12, np.float32), np.arange(4)
    loss = trainer.epoch(x, t, None, rows, 4, scalars_of(network, optimiser, 1, 1.0), 0)
    assert np.isfinite(loss)
    moved = np.concatenate([a.ravel() for a in trainer.params.values()])
    assert np.linalg.norm(moved) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_gradients_without_a_direction_end_training(engine):
    """Their sum of squares is infinite though the loss is not: nothing stands still silently."""
    network = Network((1, 1), loss="mean_absolute_error", dtype="float64")
    settings = TrainConfig(epochs=3, batch_size=4, optimiser="sgd", clip_norm=1.0, engine=engine)
    rows = Rows(np.full((4, 1), 1e170), np.ones((4, 1)))
    with pytest.raises(DivergedError, match="diverged in epoch 1"):
        fit(network, {"w1": np.zeros((1, 1)), "b1": np.zeros(1)}, rows, settings)


def test_through_fit_and_the_estimators():
    network, params, x, t = problem("float32")
    settings = TrainConfig(
        epochs=3, batch_size=BATCH, optimiser="sgd", learning_rate=1e4, clip_norm=1e-4
    )
    after = fit(network, params, Rows(x, t), settings).params
    moves = [a - after[name] for name, a in params.items()]
    moved = np.sqrt(sum((move**2).sum() for move in moves))
    assert 0 < moved <= 9 * 1e4 * 1e-4  # so many steps, none longer than rate times limit
    model = MLPClassifier((5,), clip_norm=0.1, max_iter=3, random_state=0, tol=0.0)
    other = MLPClassifier((5,), max_iter=3, random_state=0, tol=0.0)
    with pytest.warns(Warning, match="Maximum iterations"):
        a, b = (m.fit(100 * x, t[:, 0]).coefs_[0] for m in (model, other))
    assert not np.array_equal(a, b)


@pytest.mark.parametrize("limit", [0, -1.0, np.nan, np.inf, True, "1"])
def test_a_limit_that_makes_no_sense(limit):
    with pytest.raises(InputError, match=r"clip_norm must be .* above 0, or None, got"):
        TrainConfig(clip_norm=limit)


def test_what_it_does_not_go_with():
    _, _, x, t = problem("float32")
    with pytest.raises(InputError, match=r"clip_norm=0.1 needs solver 'adam'"):
        MLPClassifier(solver="lbfgs", clip_norm=0.1).fit(x, t[:, 0])
    optimiser = clipping(OPTIMISERS["adam"], 0.1)
    assert not dataclasses.replace(optimiser, clip_norm=np.inf).clips

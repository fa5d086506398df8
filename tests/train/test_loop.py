"""Epochs of the loop: scikit-learn's updates and penalty, and going on with the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from backhand import MLPClassifier, Network, Rows, TrainConfig
from backhand.estimators.parameters import optimiser_of
from backhand.run.namespaces import NUMPY, stored_rows
from backhand.train import rows as module
from backhand.train.lbfgs import squares
from backhand.train.loop import TrainLoop
from backhand.train.penalty import Penalty
from backhand.train.rows import parts

NET = Network((3, 4, 2), loss="half_squared_error", dtype="float64")
ORDER = np.arange(50)
WEIGHTS = ("w1", "w2")


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_updates_are_scikit_learns_while_the_rate_changes(solver, nesterov, momentum):
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3, 4))
    theirs = w.copy()
    optimiser = optimiser_of(
        MLPClassifier(
            solver=solver, momentum=momentum, nesterovs_momentum=nesterov, epsilon=1e-2, beta_1=0.8
        )
    )
    if solver == "adam":
        reference = AdamOptimizer([theirs], 0.1, beta_1=0.8, epsilon=1e-2)
    else:
        reference = SGDOptimizer([theirs], 0.1, "invscaling", momentum, nesterov)
    state = [np.zeros_like(w) for _ in optimiser.state]
    rate = 0.1
    for step in range(1, 8):
        g = rng.normal(size=w.shape)
        reference.update_params([theirs], [g])
        scalars = optimiser.scalars(float(step), rate, **optimiser.keywords)
        w, *state = optimiser.update(NUMPY, w, g, *state, **scalars)
        assert np.allclose(w, theirs, rtol=1e-12, atol=0)
        reference.iteration_ends(7 * step)
        rate = 0.1 if solver == "adam" else reference.learning_rate


def start(batch_size, alpha=3.0):
    config = TrainConfig(epochs=100, batch_size=batch_size, learning_rate=1e-2, engine="numpy")
    params = NET.init("glorot_uniform", 0)
    return TrainLoop(NET, params, config, 50, penalty=Penalty(alpha)), params


def data(weighted=False):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    return Rows(x, t, rng.uniform(0.5, 2, (50, 1)) if weighted else None)


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_from_a_snapshot_it_goes_on_with_the_same_bits(engine):
    config = TrainConfig(epochs=9, batch_size=20, schedule="cosine", engine=engine, clip_norm=0.1)
    one = TrainLoop(NET, NET.init("glorot_uniform", 0), config, 50)
    one.epoch(data())
    state = one.snapshot()
    two = TrainLoop(NET, state.params, config, 50, state=state)
    for _ in range(2):
        assert one.epoch(data()) == two.epoch(data())
    for name, a in one.params.items():
        assert np.array_equal(a, two.params[name])


def test_the_state_of_another_network_is_refused():
    one, _ = start(20)
    one.epoch(data())
    other = Network((3, 5, 2), loss="half_squared_error", dtype="float64")
    with pytest.raises(ValueError, match="another network"):
        TrainLoop(other, other.init("glorot_uniform", 0), one.config, 50, state=one.snapshot())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("averaged", [1, 2])
def test_the_penalty_of_a_single_batch_is_exact(weighted, averaged):
    loop, params = start(50)
    loop._penalty = Penalty(3.0, averaged)
    rows = data(weighted)
    before = squares(params, WEIGHTS)
    loss = loop.epoch(rows, ORDER)
    total = 50 if rows.weight is None else rows.weight.sum()
    want = NET.batch_loss(params, *rows) / averaged + 0.5 * 3.0 * before / total
    assert np.isclose(loss, want, rtol=1e-12)


def test_the_penalty_of_several_batches_is_close():
    loop, params = start(20)
    single, _ = start(20)
    step_by_step = 0.0
    for first in range(0, 50, 20):
        rows = ORDER[first : first + 20]
        step_by_step += single.epoch(data(), rows) * len(rows) / 50
    change = 0.5 * 3.0 * 3 * (squares(params, WEIGHTS) - squares(single.params, WEIGHTS)) / 50
    error = loop.epoch(data(), ORDER) - step_by_step
    assert change > 0
    assert abs(error) < 0.05 * change  # the straight line against the first or last value alone


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_parts_are_bounded_and_complete(monkeypatch, form):
    monkeypatch.setattr(module, "EVALUATED_AT_ONCE", 7)
    x = sparse.random(23, 10, density=0.3, format=form, random_state=0)
    pieces = [p.toarray() for _, p in parts(stored_rows(x))]
    assert max(map(len, pieces)) == 7
    assert np.array_equal(np.concatenate(pieces), x.toarray())

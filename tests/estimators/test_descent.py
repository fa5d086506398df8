from __future__ import annotations

import copy

import numpy as np
import pytest
from scipy import sparse
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from backhand import MLPClassifier, Network
from backhand.estimators import descent as module
from backhand.estimators.descent import Data, Descent, optimiser_of, parts, squares
from backhand.formulas.schedules import choose_schedule
from backhand.run.namespaces import NUMPY, stored_rows


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


def start(rows: int = 50) -> tuple[Descent, Network, list, Data]:
    rng = np.random.default_rng(0)
    net = Network((3, 4, 2), loss="half_squared_error", dtype="float64")
    data = Data(rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2)), None)
    descent = Descent(
        optimiser_of(MLPClassifier()), choose_schedule("constant"), 1e-2, "numpy", seed=0
    )
    params = net.init("glorot_uniform", 0)
    descent.start_at(net, params)
    return descent, net, params, data


def test_a_copy_goes_on_with_the_same_bits():
    one, net, _, data = start()
    order = np.arange(50)
    one.epoch(data, order, 20, 0.1, 100)
    two = copy.deepcopy(one)
    assert two.trainer is None
    two.start_at(net, one.params)
    assert one.epoch(data, order, 20, 0.1, 100) == two.epoch(data, order, 20, 0.1, 100)
    assert all(np.array_equal(a.w, b.w) for a, b in zip(one.params, two.params, strict=True))


def test_the_state_of_another_network_is_refused():
    one, _, _, _ = start()
    other = Network((3, 5, 2), loss="half_squared_error", dtype="float64")
    with pytest.raises(ValueError, match="another network"):
        one.start_at(other, other.init("glorot_uniform", 0))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_penalty_of_a_single_batch_is_exact(weighted):
    descent, net, params, data = start()
    weight = np.random.default_rng(1).uniform(0.5, 2, (50, 1)) if weighted else None
    data = data._replace(weight=weight)
    before = squares(params)
    loss, penalty = descent.epoch(data, np.arange(50), 50, 3.0, 1)
    total = 50 if weight is None else weight.sum()
    assert np.isclose(penalty, 0.5 * 3.0 * before / total, rtol=1e-12)
    assert np.isclose(loss, net.batch_loss(params, *data), rtol=1e-12)


def test_the_penalty_of_several_batches_is_close():
    descent, net, params, data = start()
    order = np.arange(50)
    step_by_step, at = 0.0, copy.deepcopy(descent)
    at.start_at(net, params)
    for first in range(0, 50, 20):
        rows = order[first : first + 20]
        step_by_step += at.epoch(data, rows, 20, 3.0, 100)[1] * len(rows) / 50
    change = 0.5 * 3.0 * 3 * (squares(params) - squares(at.params)) / 50
    error = descent.epoch(data, order, 20, 3.0, 100)[1] - step_by_step
    assert change > 0
    assert abs(error) < 0.05 * change  # the straight line against the first or last value alone


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_parts_are_bounded_and_complete(monkeypatch, form):
    monkeypatch.setattr(module, "EVALUATED_AT_ONCE", 7)
    x = sparse.random(23, 10, density=0.3, format=form, random_state=0)
    pieces = [p.toarray() for _, p in parts(stored_rows(x))]
    assert max(map(len, pieces)) == 7
    assert np.array_equal(np.concatenate(pieces), x.toarray())

"""From a recipe and prepared columns to a network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand.preprocess.preparation import TablePreparation
from backhand.tabular.network import code_counts, network_of, with_unseen
from backhand.tabular.recipes import PIECES, WAVES


@pytest.fixture(scope="module", params=[WAVES, PIECES], ids=lambda kind: kind.embedding)
def made(request, table):
    frame, _ = table
    preparation = TablePreparation.fit(frame)
    x = preparation.apply(frame)
    kind = dataclasses.replace(request.param, hidden=(8, 9))
    network = network_of(kind, preparation, x, 3, "softmax_cross_entropy")
    return preparation, x, network


def test_every_input_is_read(made):
    preparation, x, network = made
    assert network.inputs == preparation.width == x.shape[1]
    assert network.outputs == 3
    params = network.init("data_kinks", 0, x)
    t = np.arange(len(x)) % 3
    _, _, dx = network.loss_and_grads(params, x, t, wrt_input=True)
    codes = len(preparation.inputs.codes)
    assert codes == 1  # the towns
    assert (np.abs(dx[:, :-codes]).max(axis=0) > 0).all()
    changed = x.copy()
    changed[:, -1] = (changed[:, -1] + 1) % len(preparation.frequencies[0])
    assert (network.forward(params, changed) != network.forward(params, x)).any(axis=1).all()


def test_hidden_layers_begin_with_unit_spread(made):
    _, x, network = made
    params = network.init("data_kinks", 0, x)
    z = [s for s in network.statistics(params, x) if s.buffer == "z"]
    assert len(z) == 3
    assert all(0.6 < s.std < 1.7 for s in z)


def test_a_code_without_rows_gets_the_mean_of_the_others(made):
    preparation, x, network = made
    params = network.init("data_kinks", 0, x)
    (table,) = (name for name in network.shapes if name.startswith("table"))
    codes = x[:, -1].astype(int)
    some = x[codes != 2]
    counts = np.bincount(some[:, -1].astype(int), minlength=len(params[table]))
    found = with_unseen(network, params, code_counts(preparation, some), [counts + 1])
    wanted = (counts / counts.sum()) @ params[table].astype(np.float64)
    np.testing.assert_allclose(found[table][2], wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(found[table][counts > 0], params[table][counts > 0])
    rare = np.where(np.arange(len(counts)) == 3, 0, 9)  # too few rows to have trained it
    assert counts[3] > 0
    found_rare = with_unseen(network, params, code_counts(preparation, some), [rare])[table]
    assert (found_rare[3] != params[table][3]).all()
    for name in set(params) - {table}:
        np.testing.assert_array_equal(found[name], params[name])


def test_only_categories_are_a_table_too():
    rng = np.random.default_rng(0)
    frame = {"c": rng.choice(["x", "y", "z"], 50).tolist()}
    preparation = TablePreparation.fit(frame)
    x = preparation.apply(frame)
    network = network_of(WAVES, preparation, x, 1, "mean_squared_error")
    assert network.forward(network.init("data_kinks", 0, x), x).shape == (50, 1)

"""Category embeddings against torch's, and rows that nobody has looked up."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.plan.layers import Columns, Concat, Embedding, Linear
from backhand.testing import assert_near


@pytest.mark.torch
@pytest.mark.parametrize(("values", "width"), [(1, 1), (4, 3), (13, 16), (3, 17)])
def test_it_is_torchs(values, width, follows, rng):
    import torch

    def recipe(m, p, x):
        table, places = torch.as_tensor(p["table0"]), torch.as_tensor(x[:, 1]).long()
        y = torch.nn.functional.embedding(places.detach(), table)
        numbers = torch.as_tensor(x[:, :1])
        z = torch.cat([numbers, y], 1) @ torch.as_tensor(p["w1"]) + torch.as_tensor(p["b1"])
        return z.numpy() if m is np else z

    x = rng.standard_normal((20, 2))
    x[:, 1] = rng.integers(0, values, 20)
    branches = [Columns(0, 1), Columns(1, 1, [Embedding(values, width)])]
    follows([Concat(branches), Linear(2)], x, recipe)


def test_gradients_are_added_up_row_by_row_and_zero_elsewhere():
    net = Network([Embedding(5, 2)], inputs=1, loss="half_squared_error", dtype="float64")
    x = np.array([[3.0], [1.0], [3.0]])
    params = {"table0": np.zeros((5, 2))}
    t = -np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    _, grads = net.loss_and_grads(params, x, t, engine="numpy")
    want = np.zeros((5, 2))
    want[3], want[1] = -(t[0] + t[2]) / 3, -t[1] / 3
    assert_near(grads["table0"], want, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64", "bool"])
def test_categories_may_come_in_any_kind_of_number(dtype):
    net = Network([Embedding(2, 3), Linear(1)], inputs=1)
    params = net.init("glorot_normal")
    x = np.array([[0], [1], [1]])
    want = net.forward(params, x.astype(float), engine="numpy")
    assert np.array_equal(net.forward(params, x.astype(dtype), engine="numpy"), want)


def test_it_begins_normal_with_factors():
    net = Network([Embedding(300, 200, 0.5, 2.0, 3.0), Linear(1)], inputs=1, dtype="float64")
    table = net.init("glorot_normal", 1)["table0"]
    assert_near(table.std(), 0.5, rtol=0.02)
    assert net.parameters[0].factors == (2.0, 3.0)

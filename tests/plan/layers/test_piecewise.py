"""Piecewise-linear embeddings, version B, as the recipe has them."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network, Rows, TrainConfig, fit
from backhand.errors import InputError
from backhand.plan.layers import Linear, PiecewiseLinear
from backhand.testing import assert_near

EDGES = ((-1.5, -0.2, 0.3, 1.0), (-1.0, 1.0), (-2.0, 0.1, 0.9))


def ple(m, p, x):
    """(w0 x + c0) + V PLE(x): component t clamped, but the first not below, the last not above."""
    found = []
    for i, edges in enumerate(EDGES):
        column = x[:, i : i + 1]
        total = p["slope0"][i] * column + p["offset0"][i]
        last = len(edges) - 2
        for t in range(last + 1):
            component = (column - edges[t]) / (edges[t + 1] - edges[t])
            if t > 0:
                component = m.where(component > 0, component, 0 * component)
            if t < last:
                component = m.where(component < 1, component, 0 * component + 1)
            total = total + component * p["bins0"][i, t]
        found.append(total)
    return np.concatenate(found, 1) if m is np else m.cat(found, 1)


@pytest.mark.parametrize("width", [1, 4, 17])
def test_it_is_as_the_recipe_has_it(width, follows, rng):
    x = rng.standard_normal((50, 3)) * 2  # in every bin, and beyond the ends
    net, _ = follows([PiecewiseLinear(EDGES, width)], x, ple)
    assert net.outputs == 3 * width
    layers = [PiecewiseLinear(EDGES, width), Linear(2)]
    follows(layers, x, lambda m, p, x: ple(m, p, x) @ p["w1"] + p["b1"])


def test_at_an_edge_both_bins_give_the_same():
    net = Network([PiecewiseLinear(EDGES, 4)], inputs=3, dtype="float64")
    rng = np.random.default_rng(0)
    params = net.init("glorot_normal")
    params["bins0"] = rng.standard_normal(params["bins0"].shape)
    at = np.array([[-0.2, 0.0, 0.1], [0.3, 0.0, 0.9]])
    left, right = (np.nextafter(at, end) for end in (-np.inf, np.inf))
    z = net.forward(params, at, engine="numpy")
    assert_near(z, net.forward(params, left, engine="numpy"), rtol=1e-12, atol=1e-13)
    assert_near(z, net.forward(params, right, engine="numpy"), rtol=1e-12, atol=1e-13)


def test_it_begins_linear():
    net = Network([PiecewiseLinear(EDGES, 16), Linear(1)], inputs=3, dtype="float64")
    params = net.init("glorot_normal", 1)
    assert not params["bins0"].any()
    for name in ("slope0", "offset0"):
        assert 0.2 < np.abs(params[name]).max() <= 0.25
    assert params["edges0"].shape == (3, 2)
    assert params["spans0"].shape == (3, 3, 2)


def test_bins_hold_about_equally_many_rows(rng):
    x = np.stack([rng.exponential(size=1000), rng.integers(0, 3, 1000), np.full(1000, 7.0)], 1)
    layer = PiecewiseLinear.from_quantiles(x, 10, width=5, learning_rate=0.1)
    assert (layer.width, layer.learning_rate) == (5, 0.1)
    first, second, third = layer.edges
    assert len(first) == 11
    counts, _ = np.histogram(x[:, 0], first)
    assert counts.min() >= 95
    assert (first[0], first[-1]) == (x[:, 0].min(), x[:, 0].max())
    assert second == (0.0, 1.0, 2.0)
    assert third == (7.0, 8.0)


@pytest.mark.parametrize(
    ("x", "bins", "said"),
    [
        (np.zeros((0, 2)), 4, r"x \(0, 2\) must be rows and columns of finite numbers"),
        (np.zeros(3), 4, r"x \(3,\) must be"),
        (np.array([[np.nan]]), 4, r"x \(1, 1\) must be"),
        (np.array([["a"]]), 4, "x has dtype"),
        (np.zeros((3, 1)), 0, "bins must be a whole number of at least 1, got 0"),
    ],
)
def test_rows_without_quantiles_are_told(x, bins, said):
    with pytest.raises(InputError, match=said):
        PiecewiseLinear.from_quantiles(x, bins)


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_columns_of_unlike_numbers_of_bins_are_trained(engine):
    network = Network([PiecewiseLinear(((-1.0, 0.0, 1.0), (-1.0, 1.0)), 4), Linear(1)], inputs=2)
    x = np.random.default_rng(0).uniform(-2, 2, (60, 2)).astype("f4")
    config = TrainConfig(epochs=60, batch_size=10, learning_rate=0.02, engine=engine)
    found = fit(network, network.init("lecun_normal"), Rows(x, abs(x[:, :1])), config)
    assert found.history[-1].loss < 0.2 * found.history[0].loss


def test_bins_of_distinct_values_tell_rare_ones_apart():
    x = np.concatenate([np.zeros(990), np.arange(1.0, 11.0)])[:, None]  # nearly always 0
    (rows,) = PiecewiseLinear.from_quantiles(x, 10).edges
    (both,) = PiecewiseLinear.from_quantiles(x, 10, distinct=10).edges
    assert rows == (0.0, 10.0)
    np.testing.assert_allclose(both, range(11), rtol=1e-15)


def test_edges_that_rounding_parts_count_once():
    x = np.concatenate([np.zeros(50), np.full(50, 1e-9), np.ones(50)])[:, None]
    (edges,) = PiecewiseLinear.from_quantiles(x, 2, distinct=2).edges
    assert edges == (0.0, 1.0)

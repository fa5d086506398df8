"""Initialisers: the moments of what is drawn, and what each scheme promises."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.errors import InputError
from backhand.formulas.initialisers import INITIALISERS
from backhand.testing import assert_near, assert_near_zero

D, K = 300, 200
VARIANCE = {  # of a weight
    "lecun_normal": 1 / D,
    "kaiming_normal": 2 / D,
    "kaiming_uniform": 2 / D,
    "glorot_normal": 2 / (D + K),
    "glorot_uniform": 2 / (D + K),
}


def draw(scheme, d=D, k=K, seed=0, **kwargs):
    return Network((d, k), dtype="float64").init(scheme, seed, **kwargs)[0].w


@pytest.mark.parametrize("scheme", VARIANCE)
def test_moments(scheme):
    w = draw(scheme)
    n, sd = w.size, VARIANCE[scheme] ** 0.5
    assert_near_zero(w.mean() / sd, atol=4 / n**0.5)
    assert_near(w.std() / sd, 1.0, rtol=4 / n**0.5, atol=0)
    kurtosis = ((w / sd) ** 4).mean()
    if "uniform" in scheme:
        assert abs(w).max() <= 3**0.5 * sd
        assert_near(kurtosis, 9 / 5, rtol=0.03)
    else:
        assert_near(kurtosis, 3.0, rtol=0.06)


@pytest.mark.torch
@pytest.mark.parametrize("scheme", ["kaiming_normal", "kaiming_uniform", "glorot_uniform"])
def test_spread_is_torchs(scheme):
    import torch

    a = torch.empty(K, D)  # torch has (out, in)
    make = getattr(torch.nn.init, scheme.replace("glorot", "xavier") + "_")
    make(a, nonlinearity="relu") if "kaiming" in scheme else make(a)
    assert_near(draw(scheme).std(), a.std().item(), rtol=0.02)


@pytest.mark.parametrize(("d", "k"), [(40, 40), (40, 7), (7, 40), (1, 5), (5, 1)])
def test_orthogonal(d, k):
    w = draw("orthogonal", d, k)
    gram = w.T @ w if d >= k else w @ w.T
    assert_near_zero(gram - np.eye(min(d, k)), atol=1e-13)


def test_orthogonal_is_uniform_over_rotations():
    # a QR whose signs are left to LAPACK would have a diagonal of one sign
    diagonals = np.array([np.diag(draw("orthogonal", 6, 6, seed)) for seed in range(200)])
    assert_near_zero(diagonals.mean(0), atol=4 / (200 * 6) ** 0.5)


@pytest.mark.parametrize("activation", ["relu", "tanh", "shifted_relu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lsuv_gives_every_layer_unit_variance_on_the_data(activation, dtype, rng):
    net = Network((30, 50, 20, 60, 4), activation=activation, dtype=dtype)
    x = 7 * rng.standard_normal((500, 30)) + 3
    params = net.init("lsuv", seed=1, x=x)
    stds = [s.std for s in net.statistics(params, x) if s.buffer == "z"]
    assert_near(stds, np.ones(4), rtol=1e-5)
    assert {w.dtype.name for w, _ in params} == {dtype}


def test_lsuv_needs_data_and_bears_rows_that_are_all_alike():
    net = Network((3, 4, 1))
    with pytest.raises(InputError, match="'lsuv' needs a batch of data: pass x="):
        net.init("lsuv")
    with pytest.raises(InputError, match=r"x has shape \(5, 2\)"):
        net.init("lsuv", x=np.zeros((5, 2)))
    params = net.init("lsuv", x=np.zeros((5, 3)))
    assert all(np.isfinite(w).all() for w, _ in params)
    assert np.array_equal(params[0].w, Network((3, 4, 1)).init("orthogonal")[0].w)


@pytest.mark.parametrize("scheme", [n for n, e in INITIALISERS.items() if not e.data_driven])
def test_same_seed_same_parameters(scheme):
    net = Network((5, 8, 3), dtype="float32")
    one, again, other = net.init(scheme, 3), net.init(scheme, 3), net.init(scheme, 4)
    assert all(np.array_equal(a.w, b.w) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one[0].w, other[0].w)
    assert all(not layer.b.any() for layer in one)
    assert {a.dtype.name for layer in one for a in layer} == {"float32"}


@pytest.mark.parametrize(
    ("scheme", "activation", "each_layer"),
    [
        ("kaiming_normal", "relu", 1.0),
        ("lecun_normal", "relu", 0.5),
        ("lecun_normal", "identity", 1.0),
    ],
)
def test_what_happens_to_the_second_moment_from_layer_to_layer(scheme, activation, each_layer, rng):
    net = Network((400,) * 6, activation=activation)
    x = rng.standard_normal((400, 400))
    stats = [s for s in net.statistics(net.init(scheme, 0), x) if s.buffer == "z"]
    moments = [s.std**2 + s.mean**2 for s in stats]
    assert_near((moments[-1] / moments[0]) ** (1 / 4), each_layer, rtol=0.1)

"""Initialisers: the moments of what is drawn, and what each scheme promises."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.errors import InputError
from backhand.formulas.initialisers import (
    INITIALISERS,
    constant,
    normal,
    of_groups,
    ones,
    random_signs,
    same_for_members,
    standard_normal,
    uniform,
    uniform_by_inputs,
    zeros,
)
from backhand.plan.layers import Activate, Linear, MemberLinear, MemberScale, Periodic
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
    return Network((d, k), dtype="float64").init(scheme, seed, **kwargs)["w1"]


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
    assert {a.dtype.name for a in params.values()} == {dtype}


def test_lsuv_needs_data_and_bears_rows_that_are_all_alike():
    net = Network((3, 4, 1))
    with pytest.raises(InputError, match="'lsuv' needs a batch of data: pass x="):
        net.init("lsuv")
    with pytest.raises(InputError, match=r"x has shape \(5, 2\)"):
        net.init("lsuv", x=np.zeros((5, 2)))
    params = net.init("lsuv", x=np.zeros((5, 3)))
    assert all(np.isfinite(a).all() for a in params.values())
    assert np.array_equal(params["w1"], Network((3, 4, 1)).init("orthogonal")["w1"])


@pytest.mark.parametrize("scheme", [n for n, e in INITIALISERS.items() if not e.data_driven])
def test_same_seed_same_parameters(scheme):
    net = Network((5, 8, 3), dtype="float32")
    one, again, other = net.init(scheme, 3), net.init(scheme, 3), net.init(scheme, 4)
    assert all(np.array_equal(a, again[name]) for name, a in one.items())
    assert not np.array_equal(one["w1"], other["w1"])
    assert not any(a.any() for name, a in one.items() if name.startswith("b"))
    assert {a.dtype.name for a in one.values()} == {"float32"}


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


# kinks among the data ---------------------------------------------------------------------------


def test_data_kinks_give_every_unit_unit_variance_and_its_zero_among_the_rows(rng):
    """RealMLP's initialisation."""
    x = rng.standard_normal((400, 6)) * [1, 5, 0.1, 2, 1, 1] + 3.0
    layers = [Linear(50, ntk=True), Activate("selu"), Linear(40, ntk=True), Activate("selu")]
    net = Network([*layers, Linear(3, ntk=True)], inputs=6, dtype="float64")
    params = net.init("data_kinks", seed=2, x=x)
    h = x
    for layer in (1, 2, 3):
        w, b = params[f"w{layer}"], params[f"b{layer}"]
        z = h @ w / np.sqrt(h.shape[1])
        assert_near(z.std(0), np.ones(z.shape[1]), rtol=1e-9)
        # each bias is minus a weighted mean of pre-activations: the kink lies within the data
        assert (-b >= z.min(0)).all()
        assert (-b <= z.max(0)).all()
        assert 0.2 < np.std(-b - z.mean(0)) < 0.9  # means of five by weights: sd about 0.58
        z = z + b
        h = 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * (np.exp(z) - 1))


def test_data_kinks_leave_units_alone_that_are_the_same_for_every_row():
    net = Network((3, 4, 1))
    params = net.init("data_kinks", x=np.zeros((5, 3)))
    assert all(np.isfinite(a).all() for a in params.values())


@pytest.mark.parametrize("scheme", ["lsuv", "data_kinks"])
def test_data_driven_schemes_leave_embeddings_and_heads_as_they_are_drawn(scheme, rng):
    layers = [Periodic(), MemberScale(3), Linear(5), Activate("tanh"), MemberLinear(3, 2)]
    net = Network(layers, inputs=4, dtype="float64")
    x = rng.standard_normal((50, 4))
    plain = net.init("orthogonal" if scheme == "lsuv" else "lecun_normal", 3)
    driven = net.init(scheme, 3, x=x)
    for name in ("freq0", "phase0", "mix0", "offset0", "r0"):
        assert np.array_equal(plain[name], driven[name]), name
    limit = 1 / np.sqrt(5)
    assert np.abs(driven["w2"]).max() <= limit


# draws of other parameters ----------------------------------------------------------------------


def test_draws_have_the_moments_that_they_say():
    rng = np.random.default_rng(0)
    big = (200, 300)
    assert (zeros(rng, big), ones(rng, big), constant(0.25)(rng, big)) == (0.0, 1.0, 0.25)
    for draw, sd in ((standard_normal, 1.0), (normal(0.1), 0.1)):
        a = draw(rng, big)
        assert_near(a.std(), sd, rtol=0.01)
        assert_near((a**4).mean() / sd**4, 3.0, rtol=0.05)
    for draw, limit in ((uniform(0.3), 0.3), (uniform_by_inputs(16), 0.25)):
        a = draw(rng, big)
        assert_near(np.abs(a).max(), limit, rtol=1e-3)
        assert np.abs(a).max() <= limit
        assert_near((a**2).mean(), limit**2 / 3, rtol=0.02)
    a = random_signs(rng, big)
    assert set(np.unique(a)) == {-1.0, 1.0}
    assert abs(a.mean()) < 4 / np.sqrt(a.size)


def test_members_share_one_draw_of_their_biases_and_groups_one_factor():
    rng = np.random.default_rng(0)
    b = np.broadcast_to(same_for_members(9)(rng, (4, 7)), (4, 7))
    assert (b == b[0]).all()
    assert len(np.unique(b[0])) == 7
    r = of_groups(standard_normal, (3, 1, 2))(rng, (4, 6))
    assert r.shape == (4, 6)
    assert (r[:, :3] == r[:, :1]).all()
    assert (r[:, 4] == r[:, 5]).all()
    assert len(np.unique(r)) == 4 * 3


@pytest.mark.torch
def test_heads_begin_as_torchs_linear_layers():
    import torch

    net = Network([MemberScale(50), MemberLinear(50, 40)], inputs=30)
    params = net.init("glorot_normal", 1)
    peer = torch.nn.Linear(30, 40)
    limit = max(peer.weight.abs().max().item(), peer.bias.abs().max().item())
    for name in ("w1", "b1"):
        assert_near(np.abs(params[name]).max(), limit, rtol=0.05)
        assert_near(params[name].std(), limit / np.sqrt(3), rtol=0.05)

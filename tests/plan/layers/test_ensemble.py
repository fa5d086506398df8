"""Members that share weights: TabM, TabM-mini and BatchEnsemble by hand."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.plan.layers import (
    Activate,
    BatchEnsemble,
    Linear,
    MemberLinear,
    MemberScale,
)
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near

K = 3


def of_each(m, members):
    return np.stack(members, 1) if m is np else m.stack(members, 1)


def heads(m, p, members, layer):
    w, b = p[f"w{layer}"], p[f"b{layer}"]
    return of_each(m, [x @ w[i] + b[i] for i, x in enumerate(members)])


@pytest.mark.parametrize("width", [1, 5, 17])
def test_tabm_is_k_networks_with_one_matrix(width, follows, rng):
    """l_i(x_i) = s_i * (W (r_i * x_i)) + b_i in every hidden layer, and heads of their own."""

    def recipe(m, p, x):
        members = []
        for i in range(K):
            h = x
            for layer in (1, 2):
                h = ((p[f"r{layer}"][i] * h) @ p[f"w{layer}"]) * p[f"s{layer}"][i]
                h = m.tanh(h + p[f"b{layer}"][i])
            members.append(h)
        return heads(m, p, members, 3)

    layers = [BatchEnsemble(K, width, "signs"), Activate("tanh"), BatchEnsemble(K, width)]
    follows([*layers, Activate("tanh"), MemberLinear(K, 2)], rng.standard_normal((7, 4)), recipe)


@pytest.mark.parametrize("first", [False, True])
def test_tabm_mini_is_one_network_with_k_inputs(first, follows, rng):
    def recipe(m, p, x):
        x = x @ p["w1"] + p["b1"] if first else x
        n = int(first)
        members = [m.tanh((x * p[f"r{n}"][i]) @ p[f"w{n + 1}"] + p[f"b{n + 1}"]) for i in range(K)]
        return heads(m, p, members, n + 2)

    layers = [MemberScale(K), Linear(5), Activate("tanh"), MemberLinear(K, 2)]
    follows([Linear(4)] * first + layers, rng.standard_normal((7, 4)), recipe)


def test_the_loss_is_the_mean_of_the_members_losses_and_not_that_of_their_mean(rng):
    for loss in ("softmax_cross_entropy", "mean_squared_error", "poisson"):
        layers = [MemberScale(K, "normal"), Linear(5), Activate("tanh"), MemberLinear(K, 3)]
        net = Network(layers, inputs=4, loss=loss, dtype="float64")
        alone = Network((3, 3), loss=loss, dtype="float64")  # its first layer hands x on
        params, x = net.init("glorot_normal", 1), rng.standard_normal((8, 4))
        by_row = net.loss.by_row
        t = rng.integers(0, 3, (8, 1)) if by_row else rng.poisson(2.0, (8, 3)).astype(float)
        weight = rng.uniform(0.5, 2, 8)
        z = net.forward(params, x, engine="numpy")
        assert z.shape == (8, K, 3)
        losses = [alone.loss_at(z[:, i], t, weight) for i in range(K)]
        assert_near(
            net.batch_loss(params, x, t, weight, engine="numpy"), np.mean(losses), rtol=1e-12
        )
        assert_near(net.loss_at(z, t, weight), np.mean(losses), rtol=1e-12)
        of_mean = alone.loss_at(z.mean(1), t, weight)
        assert abs(of_mean - np.mean(losses)) > 1e-3
        want = np.mean([alone.loss.inverse_link(NUMPY, z[:, i]) for i in range(K)], axis=0)
        assert_near(net.predict(params, x), want, rtol=1e-12)


def test_parameters_begin_as_in_tabm():
    layers = [BatchEnsemble(K, 200, "signs"), BatchEnsemble(K, 50), MemberLinear(K, 30)]
    net = Network(layers, inputs=100, dtype="float64")
    params = net.init("kaiming_normal", 1)  # these layers have draws of their own
    assert set(np.unique(params["r1"])) == {-1.0, 1.0}
    assert len({row.tobytes() for row in params["r1"]}) == K
    for name in ("s1", "r2", "s2"):
        assert (params[name] == 1).all()
    for layer, inputs in ((1, 100), (2, 200), (3, 50)):
        for name in (f"w{layer}", f"b{layer}"):
            limit = inputs**-0.5
            assert 0.8 * limit < np.abs(params[name]).max() <= limit
    for name in ("b1", "b2"):
        assert (params[name] == params[name][0]).all()
    assert not (params["b3"] == params["b3"][0]).all()
    penalised = {p.buffer.name for p in net.parameters if p.penalised}
    assert penalised == {"w1", "w2", "w3"}


def test_columns_of_one_feature_begin_with_one_factor():
    net = Network([MemberScale(4, "normal", (3, 1)), Linear(1)], inputs=4, dtype="float64")
    r = net.init("glorot_normal", 1)["r0"]
    assert (r[:, 0] == r[:, 1]).all()
    assert (r[:, 0] == r[:, 2]).all()
    assert len(np.unique(r)) == 8


@pytest.mark.parametrize("members", [1, 2])
def test_one_member_is_an_ensemble_too(members):
    net = Network([MemberScale(members), Linear(2)], inputs=3, loss="huber")
    assert (net.members, net.outputs) == (members, 2)
    z = net.forward(net.init("glorot_normal"), np.ones((4, 3)), engine="numpy")
    assert z.shape == (4, members, 2)

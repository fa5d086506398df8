"""`Network`: gradients against independent slopes and torch, statistics, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from backhand import Network, engines
from backhand.engines import default_engine
from backhand.errors import BackhandError, InputError
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.layers import (
    Activate,
    Chain,
    Columns,
    Concat,
    Linear,
    MemberScale,
    Residual,
)
from backhand.plan.step import gradient_plan
from backhand.run.arrays import Values, walk
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near, assert_shape

WIDTH = st.integers(1, 40)
PAIRS = [
    (list(ACTIVATIONS)[i % len(ACTIVATIONS)], list(LOSSES)[i % len(LOSSES)])
    for i in range(len(ACTIVATIONS) * 2)
]


def case(widths, activation, loss, seed=0, rows=9, dtype="float64"):
    rng = np.random.default_rng(seed)
    if LOSSES[loss].by_row:
        widths = (*widths[:-1], max(2, widths[-1]))
    net = Network(widths, activation=activation, loss=loss, dtype=dtype)
    params = net.init("lecun_normal", 1)
    params |= {n: 0.3 * rng.standard_normal(a.shape) for n, a in params.items() if a.ndim == 1}
    x = rng.standard_normal((rows, net.inputs))
    t = rng.integers(0, 2, (rows, 1 if net.loss.by_row else net.outputs))
    if not net.loss.by_row:
        t = t + (1.0 if net.loss.target == "positive" else 0.0)
    return net, params, x, t, rng


@pytest.fixture
def no_fma(monkeypatch):
    """A processor for which nothing can be compiled."""

    def refuse():
        raise BackhandError("this processor has no fused multiply-add")

    monkeypatch.delenv("BACKHAND_ENGINE", raising=False)
    monkeypatch.setattr("backhand.run.llvm.machine.target._host", refuse)
    engines._engine_of_the_processor.cache_clear()
    yield monkeypatch
    engines._engine_of_the_processor.cache_clear()


def test_a_processor_that_cannot_be_compiled_for_gets_numpy_with_one_warning(no_fma):
    network = Network((3, 4, 2))
    params, x = network.init("kaiming_normal"), np.ones((5, 3), np.float32)
    want = network.forward(params, x, engine="numpy")
    with pytest.warns(UserWarning, match=r"no fused multiply-add.*NumPy computes"):
        assert default_engine() == "numpy"
    np.testing.assert_array_equal(network.forward(params, x), want)  # a warning were an error
    np.testing.assert_array_equal(network.predictor(params)(x), want)
    with pytest.raises(BackhandError, match="fused multiply-add"):
        network.forward(params, x, engine="llvm")  # what was asked for is not replaced
    no_fma.setenv("BACKHAND_ENGINE", "llvm")
    with pytest.raises(BackhandError, match="fused multiply-add"):
        network.forward(params, x)


@pytest.mark.parametrize(("activation", "loss"), PAIRS)
def test_every_gradient_is_the_slope_in_a_random_direction(activation, loss):
    @given(st.lists(WIDTH, min_size=2, max_size=4), st.integers(1, 40), st.integers(0, 99))
    def check(widths, rows, seed):
        net, params, x, t, rng = case(widths, activation, loss, seed, rows)
        weight = rng.random(rows) + 0.1
        got = net.loss_and_grads(params, x, t, weight, wrt_input=True)
        arrays, grads = {**params, "x": x}, {**got[1], "x": got[2]}
        assert_near(got[0], net.batch_loss(params, x, t, weight), rtol=1e-14)
        assert set(grads) == set(arrays)
        for name, a in arrays.items():
            g = grads[name]
            assert_shape(g, a.shape)
            probe, h, losses = rng.standard_normal(a.shape), 1e-7, []
            for sign in (1, -1):
                moved = {**arrays, name: a + sign * h * probe}
                at = moved.pop("x")
                losses.append(net.batch_loss(moved, at, t, weight))
            size = max(1.0, losses[0])
            slope = (losses[0] - losses[1]) / (2 * h)
            assert_near((g * probe).sum(), slope, rtol=1e-5, atol=2e-6 * size)

    import hypothesis

    hypothesis.settings(max_examples=3)(check)()


@pytest.mark.torch
@pytest.mark.parametrize(
    ("activation", "loss"),
    [(a, s) for a, s in PAIRS if ACTIVATIONS[a].torch and LOSSES[s].torch],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loss_and_gradients_are_those_of_a_network_in_torch(activation, loss, dtype):
    import torch

    net, params, x, t, _ = case((7, 12, 5, 3), activation, loss, dtype=dtype)
    leaves = {
        name: torch.tensor(a, dtype=torch.float64, requires_grad=True)
        for name, a in {**params, "x": x}.items()
    }
    z = leaves["x"]
    for layer in (1, 2, 3):
        z = torch.nn.functional.linear(z, leaves[f"w{layer}"].T, leaves[f"b{layer}"])
        if layer < 3:
            f = getattr(torch.nn.functional, net.activations[layer - 1].torch)
            z = f(z, *net.activations[layer - 1].keywords.values())
    target = torch.tensor(t[:, 0] if net.loss.by_row else t)
    want = getattr(torch.nn.functional, net.loss.torch)(z, target, **net.loss.keywords)
    want.backward()
    params = {name: a.astype(dtype) for name, a in params.items()}
    got = net.loss_and_grads(params, x, t, wrt_input=True)
    tolerance = {"rtol": 1e-9, "atol": 1e-12} if dtype == "float64" else {}
    if activation == "softplus":
        tolerance = {"rtol": 1e-3, "atol": 1e-5}
    assert_near(got[0], want.item(), **tolerance)
    for name, g in {**got[1], "x": got[2]}.items():
        assert g.dtype == dtype
        assert_near(g, leaves[name].grad.numpy(), **tolerance)


@pytest.mark.torch
@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_lines_run_on_tensors_and_autograd_agrees(loss):
    import torch

    net, params, x, t, rng = case((5, 8, 3), "silu", loss)
    weight = rng.random(len(x)) + 0.1
    tensors = {name: torch.tensor(a, requires_grad=True) for name, a in params.items()}
    tx, tt, tw = torch.tensor(x, requires_grad=True), torch.tensor(t), torch.tensor(weight)
    value, grads, dx = net.loss_and_grads(tensors, tx, tt, tw, wrt_input=True)
    net.batch_loss(tensors, tx, tt, tw).backward()
    want = net.loss_and_grads(params, x, t, weight, wrt_input=True)
    assert_near(value.item(), want[0], rtol=1e-12)
    assert_near(dx.detach().numpy(), want[2], rtol=1e-10, atol=1e-13)
    assert_near(dx.detach().numpy(), tx.grad.numpy(), rtol=1e-10, atol=1e-13)
    for name, w in want[1].items():
        assert_near(grads[name].detach().numpy(), w, rtol=1e-10, atol=1e-13)
        assert_near(tensors[name].grad.numpy(), w, rtol=1e-10, atol=1e-13)
    assert_near(net.forward(tensors, tx).detach().numpy(), net.forward(params, x), rtol=1e-12)
    assert_near(net.predict(tensors, tx).detach().numpy(), net.predict(params, x), rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_count_rows(loss):
    net, params, x, t, _ = case((4, 6, 3), "tanh", loss, rows=4)
    got = net.loss_and_grads(params, x, t, [2, 1, 0, 1], wrt_input=True)
    rows = [0, 0, 1, 3]
    want = net.loss_and_grads(params, x[rows], t[rows], wrt_input=True)
    assert_near(got[0], want[0], rtol=1e-12)
    for name, g in got[1].items():
        assert_near(g, want[1][name], rtol=1e-11, atol=1e-14)
    assert not got[2][2].any(), "a row of weight 0 has a gradient"
    assert_near(got[2][0], 2 * want[2][0], rtol=1e-12)
    scaled = net.batch_loss(params, x, t, [20, 10, 0, 10])
    assert_near(scaled, got[0], rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_float32_at_logits_of_ten_thousand(loss):
    net, _, x, t, _ = case((4, 3), "relu", loss, dtype="float32")
    for size in (1e4, -1e4):
        params = {"w1": np.zeros((4, 3)), "b1": np.array([size, 0, -size], "float32")}
        value, grads, dx = net.loss_and_grads(params, x, t, wrt_input=True)
        assert np.isfinite(value)
        for a in (*grads.values(), dx, net.predict(params, x)):
            assert a.dtype == np.float32
            assert np.isfinite(a).all()


def test_targets_in_a_row_and_classes_as_indices():
    net, params, x, t, _ = case((4, 6, 1), "tanh", "huber")
    assert net.batch_loss(params, x, t[:, 0]) == net.batch_loss(params, x, t)
    assert net.batch_loss(params, x.tolist(), t.tolist()) == net.batch_loss(params, x, t)
    net, params, x, t, _ = case((4, 6, 3), "tanh", "softmax_cross_entropy")
    assert net.batch_loss(params, x, t[:, 0].astype("uint8")) == net.batch_loss(params, x, t)


def test_predictions_are_what_the_loss_expects():
    net, params, x, _, _ = case((4, 6, 3), "tanh", "softmax_cross_entropy")
    assert_near(net.predict(params, x).sum(1), np.ones(len(x)), rtol=1e-14)
    net, params, x, _, _ = case((4, 6, 3), "tanh", "poisson")
    assert_near(net.predict(params, x), np.exp(net.forward(params, x)), rtol=1e-14)
    assert_shape(net.forward(params, x[:0]), (0, 3))


# statistics -------------------------------------------------------------------------------------


def test_statistics_are_those_of_the_arrays():
    net, params, x, t, _ = case((4, 6, 5, 2), "relu", "mean_squared_error", rows=50)
    params["b1"][:2] = -100  # two dead units
    params["w1"][:, 2] = 0  # and one that says the same of every row, but not zero
    params["b1"][2] = 1
    rows = net.statistics(params, x, t)
    forward = [(0, "x"), (1, "z"), (1, "y"), (2, "z"), (2, "y"), (3, "z")]
    backward = [(layer, f"d{kind}") for layer, kind in reversed(forward)]
    assert [(r.layer, r.buffer) for r in rows] == forward + backward
    at = {(r.layer, r.buffer): r for r in rows}
    z1 = x @ params["w1"] + params["b1"]
    y1 = np.maximum(z1, 0)
    for key, want in {(0, "x"): x, (1, "z"): z1, (1, "y"): y1}.items():
        assert_near(at[key].mean, want.mean(), rtol=1e-12)
        assert_near(at[key].std, want.std(), rtol=1e-12)
        assert at[key].zeros == (want == 0).mean()
    assert at[1, "y"].dead == 3 / 6
    assert at[1, "dz"].dead == 2 / 6
    assert at[1, "z"].dead == 1 / 6
    dx = net.loss_and_grads(params, x, t, wrt_input=True)[2]
    assert_near(at[0, "dx"].std, dx.std(), rtol=1e-12)


def test_statistics_of_any_layers_are_those_of_the_arrays():
    """Of columns side by side, members and blocks too, forward and backward."""
    layers = [
        Concat([Chain([Linear(3), Activate("tanh")]), Columns(1, 2), Linear(2)]),
        Residual([Linear(7), Activate("relu")]),
        MemberScale(2),
        Linear(4),
    ]
    net = Network(layers, inputs=4, loss="mean_squared_error", dtype="float64")
    params = net.init("kaiming_normal", 1)
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((30, 4)), rng.standard_normal((30, 4))
    rows = net.statistics(params, x, t)
    plan = gradient_plan(net, wrt_input=True)
    at = walk(plan, {**params, "x": x, "t": t, "weight": np.ones((30, 1))})
    at = Values(at, NUMPY)
    gradients = [r for r in plan.results if r.gradient is not None]
    wanted = [("x", x), *((r.letter, at[r.buffer]) for r in plan.results)]
    wanted += [(f"d{r.letter}", at[r.gradient]) for r in reversed(gradients)]
    wanted.append(("dx", at[plan.dx]))
    assert [r.buffer for r in rows] == [kind for kind, _ in wanted]
    assert sum(r.buffer.base is not None for r in plan.results) == 3
    assert len(plan.results) == len(gradients) == 10
    for row, (kind, a) in zip(rows, wanted, strict=True):
        assert_near(row.std, a.std(), rtol=1e-12, atol=1e-15)
        assert_near(row.mean, a.mean(), rtol=1e-10, atol=1e-13)
        assert row.zeros == (a == 0).mean(), kind


def test_statistics_without_targets_send_unit_noise_back():
    net = Network((200,) * 4, activation="identity")
    params = net.init("orthogonal")
    x = np.random.default_rng(0).standard_normal((100, 200))
    rows = net.statistics(params, x)
    assert_near([r.std for r in rows], np.ones(len(rows)), rtol=0.02)
    assert rows == net.statistics(params, x)


# what it refuses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "t", "weight", "said"),
    [
        (
            np.zeros((5, 4)),
            np.zeros((5, 2)),
            None,
            r"x has shape \(5, 4\): the network takes \(N, 3\)",
        ),
        (np.zeros(3), np.zeros((1, 2)), None, r"x has shape \(3,\)"),
        (np.zeros((5, 3)), np.zeros((4, 2)), None, r"target has shape \(4, 2\), .* needs \(5, 2\)"),
        (np.zeros((5, 3)), np.zeros(5), None, r"target has shape \(5,\)"),
        (np.zeros((5, 3)), np.full((5, 2), np.nan), None, "target in row 0 is"),
        (np.zeros((0, 3)), np.zeros((0, 2)), None, "a loss needs at least one row"),
        (np.zeros((5, 3)), np.zeros((5, 2)), np.ones(4), r"sample_weight has shape \(4, 1\)"),
        (np.zeros((5, 3)), np.zeros((5, 2)), -np.ones(5), "sample_weight of row 0 is -1.0"),
        (np.zeros((5, 3)), np.zeros((5, 2)), np.zeros(5), "sample_weight sums to 0"),
    ],
)
def test_what_does_not_fit_is_named(x, t, weight, said):
    net = Network((3, 2))
    with pytest.raises(InputError, match=said):
        net.loss_and_grads(net.init("glorot_normal"), x, t, weight)


def test_parameters_that_do_not_fit_are_named():
    net = Network((3, 4, 2))
    params = net.init("glorot_normal")
    x = np.zeros((1, 3))
    for call in (net.forward, net.predict, net.predictor):
        rest = () if call == net.predictor else (x,)
        with pytest.raises(InputError, match=r"parameter w2 \(4, 2\) is missing"):
            call({name: params[name] for name in ("w1", "b1", "b2")}, *rest)
        with pytest.raises(InputError, match=r"w1 has shape \(4, 2\), the network needs \(3, 4\)"):
            call({**params, "w1": params["w2"]}, *rest)
        with pytest.raises(InputError, match="no parameter 'w3': it has w1, b1, w2, b2"):
            call({**params, "w3": params["w2"]}, *rest)


def test_unknown_schemes_are_named():
    with pytest.raises(InputError, match="did you mean 'kaiming_normal'"):
        Network((3, 2)).init("kaiming_norm")


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_sparse_x_gives_what_dense_x_gives(engine):
    from scipy import sparse

    rng = np.random.default_rng(0)
    net = Network((30, 5, 2), activation="tanh", loss="mean_squared_error", dtype="float64")
    params = net.init("glorot_normal")
    x = sparse.random_array((20, 30), density=0.1, format="csc", rng=rng)
    t, weight = rng.normal(size=(20, 2)), rng.uniform(1, 2, 20)
    want, grads = net.loss_and_grads(params, x.toarray(), t, weight, engine=engine)
    loss, found = net.loss_and_grads(params, x, t, weight, engine=engine)
    assert np.isclose(loss, want, rtol=1e-13)
    for name, a in found.items():
        assert type(a) is np.ndarray
        assert np.allclose(a, grads[name], rtol=0, atol=1e-14)
    z = net.forward(params, x, engine=engine)
    assert np.allclose(z, net.forward(params, x.toarray(), engine=engine), rtol=0, atol=1e-13)
    with pytest.raises(InputError, match="toarray"):
        net.statistics(params, x, t)


def test_logits_that_are_sparse_are_refused():
    from scipy.sparse import csr_matrix

    network = Network((2, 3), loss="softmax_cross_entropy")
    with pytest.raises(InputError, match="z is sparse"):
        network.loss_at(csr_matrix(np.eye(3)), np.arange(3))


def test_statistics_of_what_overflows_are_not_finite_and_warn_of_nothing():
    network = Network((2, 3, 1), activation="identity")
    params = {n: np.full(shape, 3e38) for n, shape in network.shapes.items()}
    found = network.statistics(params, np.full((4, 2), 3e38), engine="numpy")
    assert not all(np.isfinite(line.std) for line in found)


def test_initial_weights_by_data_do_not_depend_on_threads_of_the_blas():
    x = np.random.default_rng(0).standard_normal((1024, 600)).astype(np.float32)
    network = Network((600, 128, 128, 1), loss="mean_squared_error")
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            found.append(network.init("data_kinks", 0, x))
    for other in found[1:]:
        for name, a in found[0].items():
            np.testing.assert_array_equal(other[name], a)

"""The array executor: any namespace gives the same, and an epoch is what torch would do."""

from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.formulas.optimisers import OPTIMISERS, choose_optimiser
from backhand.plan.layers import (
    Activate,
    Columns,
    Concat,
    Embedding,
    Linear,
    Periodic,
    Residual,
    Scale,
)
from backhand.plan.scalars import step_scalars
from backhand.plan.step import gradient_plan, loss_plan, training_plan
from backhand.run.array_executor import EXECUTOR, ArrayTrainer
from backhand.run.arrays import first_nonfinite, walk
from backhand.testing import assert_near

ADAM = OPTIMISERS["adam"]
TORCH = {"momentum": {"momentum": 0.9}, "nesterov": {"momentum": 0.9, "nesterov": True}}


def case(rng, loss="mean_squared_error", rows=23, **words):
    net = Network((6, 9, 4), activation="tanh", loss=loss, dtype="float64", **words)
    params = {name: a + 0.1 * (a.ndim == 1) for name, a in net.init("glorot_uniform", 1).items()}
    x = rng.standard_normal((rows, 6))
    t = rng.integers(0, 4, (rows, 1)) if net.loss.by_row else rng.random((rows, 4))
    return net, params, x, t


def epoch(trainer, x, t, *, weight=None, order=None, batch=8, rate=0.05, l2=0.0, first=0):
    """One epoch with scalars as training makes them."""
    order = np.arange(len(x)) if order is None else order
    steps = np.arange(first, first + -(-len(order) // batch), dtype=float)
    rates = np.full(len(steps), rate)
    scalars = step_scalars(trainer.plan, trainer.optimiser, steps, rates, l2=l2)
    return trainer.epoch(x, t, weight, order, batch, scalars, first)


def trainer(net, params, optimiser="sgd", seed=0):
    made = ArrayTrainer(net, params, choose_optimiser(optimiser), seed)
    made.optimiser = choose_optimiser(optimiser)
    return made


def same(a, b):
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.torch
@pytest.mark.parametrize("loss", ["mean_squared_error", "softmax_cross_entropy"])
@pytest.mark.parametrize("optimiser", [name for name, o in OPTIMISERS.items() if o.torch])
def test_two_epochs_are_torchs(loss, optimiser, rng):
    import torch

    net, params, x, t = case(rng, loss)
    model = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 4))
    model.double()
    with torch.no_grad():
        for number, layer in enumerate((model[0], model[2]), 1):
            layer.weight.copy_(torch.tensor(params[f"w{number}"].T))
            layer.bias.copy_(torch.tensor(params[f"b{number}"]))
    # torch's decay of AdamW covers biases as well, ours does not
    groups = [
        {"params": [model[0].weight, model[2].weight]},
        {"params": [model[0].bias, model[2].bias], "weight_decay": 0.0},
    ]
    words = TORCH.get(optimiser, {})
    peer = getattr(torch.optim, OPTIMISERS[optimiser].torch)(groups, lr=0.05, **words)
    criterion = getattr(torch.nn.functional, net.loss.torch)
    ours = trainer(net, params, optimiser)
    for number in range(2):
        order = rng.permutation(len(x))
        total = 0.0
        for first in range(0, len(x), 8):
            rows = order[first : first + 8]
            peer.zero_grad()
            target = torch.tensor(t[rows, 0] if net.loss.by_row else t[rows])
            mean = criterion(model(torch.tensor(x[rows])), target)
            mean.backward()
            peer.step()
            total += mean.item() * len(rows)
        got = epoch(ours, x, t, order=order, first=3 * number)
        assert_near(got, total / len(x), rtol=1e-10)
    for number, layer in enumerate((model[0], model[2]), 1):
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        assert_near(ours.params[f"w{number}"], weight.T, rtol=1e-9, atol=1e-12)
        assert_near(ours.params[f"b{number}"], bias, rtol=1e-9, atol=1e-12)


@pytest.mark.torch
def test_a_plan_over_tensors_gives_the_same_with_dropout_too(rng):
    import torch

    from backhand.run.namespaces import TorchNamespace

    net, params, x, t = case(rng, dropout=0.4)
    at = {**params, "x": x, "t": t, "weight": np.ones((len(x), 1))}
    plan = gradient_plan(net, dropout=True, wrt_input=True)
    ours = walk(plan, {**at, "seed": 5, "step": 6})
    tensors = {k: torch.tensor(v) for k, v in at.items()}
    theirs = walk(plan, {**tensors, "seed": 5, "step": 6}, TorchNamespace())
    for name in ("h1", "loss", "dw1", "db1", "dw2", "db2", "dx"):
        assert_near(theirs[name].numpy(), ours[name], rtol=1e-10, atol=1e-13)


def test_walk_leaves_what_it_is_given(rng):
    net, params, x, t = case(rng)
    given = {**params, "x": x, "t": t, "weight": np.ones((len(x), 1))}
    copies = {k: v.copy() for k, v in given.items()}
    walk(gradient_plan(net), given)
    assert given.keys() == copies.keys()
    assert all(np.array_equal(given[k], copies[k]) for k in copies)


def test_dropout_drops_the_same_units_both_ways_and_others_each_step(rng):
    net, params, x, t = case(rng, rows=400, dropout=0.3)
    given = {**params, "x": x, "t": t, "weight": np.ones((400, 1)), "seed": 1}
    plan = gradient_plan(net, dropout=True)
    at = walk(plan, {**given, "step": 0})
    dropped = at["h1"] == 0
    assert np.array_equal(dropped, at["dy1"] == 0)
    assert abs(dropped.mean() - 0.3) < 4 * (0.21 / dropped.size) ** 0.5
    again, later = walk(plan, {**given, "step": 0}), walk(plan, {**given, "step": 1})
    assert np.array_equal(at["h1"], again["h1"])
    assert 0.5 < (dropped == (later["h1"] == 0)).mean() < 0.66  # 0.3 * 0.3 + 0.7 * 0.7 = 0.58


def test_its_parameters_are_copies(rng):
    net, params, x, t = case(rng)
    before = {name: a.copy() for name, a in params.items()}
    ours = trainer(net, params)
    seen = ours.params
    epoch(ours, x, t)
    assert same(params, before)
    assert same(seen, before)
    assert not same(ours.params, before)
    fresh = trainer(net, params)
    for arrays in (params, fresh.params):
        arrays["w1"][:] = 99
    assert same(fresh.params, before)


def test_the_noise_goes_on_from_epoch_to_epoch(rng):
    net, params, x, t = case(rng, dropout=0.5)
    first, second = trainer(net, params), trainer(net, params)
    epoch(first, x, t, first=0)
    epoch(second, x, t, first=3)
    assert not same(first.params, second.params)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_state_and_parameters_take_a_training_up_again(optimiser, rng):
    net, params, x, t = case(rng, dropout=0.3)
    through = trainer(net, params, optimiser, seed=4)
    epoch(through, x, t)
    kept, state = through.params, through.state
    assert set(state) == {f"{s}_{p}" for s in OPTIMISERS[optimiser].state for p in net.shapes}
    epoch(through, x, t, first=3)
    resumed = trainer(net, kept, optimiser, seed=4)
    resumed.state = state
    epoch(resumed, x, t, first=3)
    assert same(through.params, resumed.params)


def test_the_state_of_another_network_is_refused(rng):
    net, params, *_ = case(rng)
    other = ArrayTrainer(Network((6, 8, 4)), Network((6, 8, 4)).init("glorot_normal"), ADAM)
    with pytest.raises(ValueError, match="state is that of another network or optimiser"):
        trainer(net, params, "adam").state = other.state
    with pytest.raises(ValueError, match="state is that of another network or optimiser"):
        trainer(net, params, "momentum").state = trainer(net, params, "adam").state


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_row_of_weight_two_is_a_row_twice_and_of_weight_zero_none(optimiser, rng):
    net, params, x, t = case(rng, rows=6)
    weight = np.array([[2.0], [1.0], [0.0], [1.0], [0.0], [2.0]])
    weighted, repeated = trainer(net, params, optimiser), trainer(net, params, optimiser)
    for first in range(3):
        one = epoch(weighted, x, t, weight=weight, first=first)
        rows = np.array([0, 0, 1, 3, 5, 5])
        assert_near(one, epoch(repeated, x, t, order=rows, first=first), rtol=1e-12)
    for name, a in weighted.params.items():
        assert_near(a, repeated.params[name], rtol=1e-9, atol=1e-12)


def test_a_batch_of_no_weight_changes_nothing(rng):
    net, params, x, t = case(rng, rows=16)
    weight = np.repeat([[0.0], [1.0]], 8, axis=0)
    both, second = trainer(net, params), trainer(net, params)
    loss = epoch(both, x, t, weight=weight, batch=8)
    assert loss == epoch(second, x[8:], t[8:], batch=8)
    assert same(both.params, second.params)


@pytest.mark.parametrize("dtype", ["uint8", "float64", "int16", "float16"])
def test_rows_are_gathered_in_any_dtype_and_layout(dtype, rng):
    net, params, _, t = case(rng)
    x = rng.integers(0, 200, (23, 6)).astype(dtype)
    want, got = trainer(net, params), trainer(net, params)
    order = rng.permutation(23)
    one = epoch(want, x.astype("float64"), t, order=order, rate=1e-5)
    assert one == epoch(got, np.asfortranarray(x), t, order=order, rate=1e-5)
    assert same(want.params, got.params)
    assert x.dtype == dtype


def test_float32_networks_stay_float32(rng):
    for loss in ("mean_absolute_error", "softmax_cross_entropy", "huber"):
        net = Network((6, 9, 4), loss=loss, dropout=0.5)
        t = rng.integers(0, 4, (9, 1)) if net.loss.by_row else rng.random((9, 4))
        given = {"all_x": rng.random((9, 6)), "all_t": t, "all_weight": np.ones((9, 1))}
        given |= net.init("kaiming_normal")
        given |= {"order": np.arange(9), "seed": 0, "step": 0, "l2": 0.1, "rate": 0.1}
        given["dtype"] = "float32"
        at = walk(training_plan(net, OPTIMISERS["sgd"]), given)
        real = {k: v.dtype.name for k, v in at.items() if getattr(v, "dtype", int) == "float64"}
        assert set(real) <= {"all_x", "all_t", "all_weight"}


def test_last_batch_counts_by_its_rows(rng):
    net, params, x, t = case(rng)
    got = epoch(trainer(net, params), x, t, batch=10, rate=0.0)
    assert_near(got, net.batch_loss(params, x, t), rtol=1e-12)
    whole = epoch(trainer(net, params), x, t, batch=1000, rate=0.0)
    assert_near(whole, got, rtol=1e-12)


# beyond chains ----------------------------------------------------------------------------------


def table_case(rng, rows=23, **words):
    numbers = Columns(0, 2, [Periodic(width=3, learning_rate=0.1)])
    net = Network(
        [
            Concat([numbers, Columns(2, 1, [Embedding(4, 3)])]),
            Scale(6.0, 36.0),
            Linear(5, ntk=True, bias_learning_rate=0.1),
            Activate("silu", strength=True),
            Residual([Linear(5)]),
            Linear(2),
        ],
        inputs=3,
        loss="mean_squared_error",
        dtype="float64",
        **words,
    )
    x = rng.standard_normal((rows, 3))
    x[:, 2] = rng.integers(0, 4, rows)
    return net, net.init("glorot_uniform", 1), x, rng.standard_normal((rows, 2))


@pytest.mark.torch
@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_groups_are_torchs_parameter_groups(optimiser, rng):
    """Factors of learning rate and decay, per group, as torch.optim has them."""
    import torch

    from backhand.run.namespaces import TorchNamespace

    net, params, x, t = table_case(rng)
    tensors = {name: torch.nn.Parameter(torch.tensor(a)) for name, a in params.items()}
    rate, decay = 0.02, 0.3
    decays = optimiser == "adamw"
    groups = [
        {
            "params": [tensors[p.buffer.name]],
            "lr": rate * p.factors.learning_rate,
            "weight_decay": decay * p.factors.decay * p.penalised * decays,
        }
        for p in net.parameters
    ]
    peer = getattr(torch.optim, OPTIMISERS[optimiser].torch)(groups)
    ours = trainer(net, params, f"adamw:weight_decay={decay}" if decays else optimiser)
    plan = loss_plan(net)
    for number in range(3):
        epoch(ours, x, t, batch=23, rate=rate, first=number)
        peer.zero_grad()
        given = {"x": torch.tensor(x), "t": torch.tensor(t), "weight": torch.ones((23, 1)).double()}
        walk(plan, {**given, **tensors}, TorchNamespace())["loss"].backward()
        peer.step()
    for name, a in ours.params.items():
        assert_near(a, tensors[name].detach().numpy(), rtol=1e-9, atol=1e-11)


def test_a_dropout_rate_may_follow_a_schedule(rng):
    """A step with half the rate is one of a network that has this rate."""
    params, x, t = case(rng)[1:]
    drops = [
        Network((6, 9, 4), activation="tanh", loss="huber", dropout=rate, dtype="float64")
        for rate in (0.6, 0.3)
    ]
    one, other = (trainer(net, params, "sgd", seed=3) for net in drops)
    steps, rates = np.arange(2.0), np.full(2, 0.05)
    for ours, factor in ((one, 0.5), (other, 1.0)):
        factors = {"dropout": np.full(2, factor)}
        scalars = step_scalars(ours.plan, ours.optimiser, steps, rates, factors=factors)
        ours.epoch(x, t, None, np.arange(16), 8, scalars, 0)
    assert same(one.params, other.params)


def test_constants_stay_as_they_are(rng):
    from backhand.plan.layers import PiecewiseLinear

    layers = [PiecewiseLinear(((-1.0, 0.0, 1.0), (-2.0, 2.0)), 4), Linear(1)]
    net = Network(layers, inputs=2, loss="huber", dtype="float64")
    params = net.init("glorot_normal")
    ours = trainer(net, params, "adamw")
    x, t = rng.standard_normal((9, 2)), rng.standard_normal((9, 1))
    losses = [epoch(ours, x, t, batch=9, first=number) for number in range(9)]
    assert losses[-1] < losses[0]
    for name in ("edges0", "spans0"):
        np.testing.assert_array_equal(ours.params[name], params[name])
    assert np.abs(ours.params["bins0"]).max() > 0.1


def test_where_the_first_value_was_not_finite(rng):
    net, params, x, t = table_case(rng, rows=4)
    plan = training_plan(net, ADAM)
    given = {"all_x": x, "all_t": t, "all_weight": np.ones((4, 1)), "order": np.arange(4)}
    given |= {"seed": 0, "step": 0}

    def where(**changes):
        return first_nonfinite(plan, {**given, **params, **changes})

    def with_nan(a):
        return np.where(np.arange(a.size).reshape(a.shape) == 1, np.nan, a)

    assert where(phase0=with_nan(params["phase0"])) == "phase0 (a parameter)"
    assert where(all_x=with_nan(x)) == "the inputs as float64"
    assert where(w1=np.full_like(params["w1"], 1e308)) == "layer 1 (pre-activations)"
    big = {"w2": np.full_like(params["w2"], 1e308), "s0": params["s0"] * 1e4}
    assert where(**big) == "layer 2 (pre-activations)"
    assert (
        where(w3=np.full_like(params["w3"], 1e308), b2=params["b2"] + 1e10)
        == "layer 3 (the logits)"
    )
    assert where(all_t=t * 1e200) == "the loss of the logits"
    joined = Network([Concat([Linear(2), Linear(3)]), Linear(2)], inputs=3, loss="huber")
    params = {name: np.full(shape, 3e38, "float32") for name, shape in joined.shapes.items()}
    plan = training_plan(joined, ADAM)
    given |= {**params, "w1": 0 * params["w1"], "all_x": np.ones((4, 3))}
    assert first_nonfinite(plan, given) == "layer 2 (pre-activations)"


def test_the_executor_refuses_categories_without_a_row(rng):
    net, params, x, _ = table_case(rng)
    x[7, 2] = 4
    plan = loss_plan(net)
    with pytest.raises(ValueError, match=r"x\[7, 2\] is 4: column 2 holds categories"):
        EXECUTOR.run(plan, params, {"x": x})
    with pytest.raises(ValueError, match=r"x\[7, 2\] is 4: column 2 holds categories"):
        epoch(trainer(net, params), x, rng.standard_normal((23, 2)))

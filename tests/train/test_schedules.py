"""Schedules of settings besides the learning rate: weight decay, dropout and label smoothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand import Network, Rows, TrainConfig, fit
from backhand.errors import InputError
from backhand.formulas.schedules import Schedule
from backhand.plan.scalars import step_scalars
from backhand.plan.step import training_plan
from backhand.train.checkpoint import load_checkpoint, save_checkpoint
from backhand.train.loop import TrainLoop

SMOOTHED = Network((3, 8, 3), dropout=0.3, loss="smoothed_cross_entropy", dtype="float64")
NONE = Schedule("none", lambda xp, step, steps: 0.0 * step)
TWICE = Schedule("twice", lambda xp, step, steps: 2.0 + 0.0 * step)
EVERY = ("weight_decay", "dropout", "label_smoothing")


def data(rows=50):
    rng = np.random.default_rng(0)
    return Rows(rng.standard_normal((rows, 3)), rng.integers(0, 3, (rows, 1)))


def config(**words):
    given = {"epochs": 3, "batch_size": 16, "optimiser": "adamw:weight_decay=0.5"}
    return TrainConfig(learning_rate=0.01, engine="numpy", **{**given, **words})


def trained(net=SMOOTHED, state=None, **words):
    return fit(net, net.init("glorot_normal", 1), data(), config(**words), state=state)


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EVERY)
def test_a_constant_schedule_gives_the_bits_of_none(name, dtype):
    net = Network((3, 8, 3), dropout=0.3, loss="smoothed_cross_entropy", dtype=dtype)
    plain, constant = trained(net), trained(net, schedules={name: "constant"})
    assert same(plain.params, constant.params)
    assert [e.loss for e in plain.history] == [e.loss for e in constant.history]
    assert not same(plain.params, trained(net, schedules={name: "flat_cos"}).params)


def test_without_dropout_in_the_end():
    """The cosine's last factor is exactly 0, and an epoch here is one step."""
    net = Network((3, 8, 3), dropout=0.3, loss="softmax_cross_entropy")
    still = Network((3, 8, 3), loss="softmax_cross_entropy")
    words = {"epochs": 4, "batch_size": 50}
    settings = config(**words, schedules={"dropout": "cosine:warmup=0"})
    loop = TrainLoop(net, net.init("glorot_normal", 1), settings, 50)
    for _ in range(3):
        loop.epoch(data())
    before = loop.snapshot()
    unscheduled = dataclasses.replace(before, schedules={})
    undropped = TrainLoop(still, before.params, config(**words), 50, state=unscheduled)
    dropped = TrainLoop(net, before.params, config(**words), 50, state=unscheduled)
    assert loop.epoch(data()) == undropped.epoch(data()) != dropped.epoch(data())
    assert same(loop.params, undropped.params)


def test_flat_cos_keeps_the_setting_for_half_of_the_steps_and_ends_near_0(monkeypatch):
    seen = []
    settings = config(epochs=10, schedules={"dropout": "flat_cos", "weight_decay": "flat_cos"})
    loop = TrainLoop(SMOOTHED, SMOOTHED.init("glorot_normal", 1), settings, 50)
    epoch = loop._trainer.epoch
    monkeypatch.setattr(loop._trainer, "epoch", lambda *a: seen.append(a[5]) or epoch(*a))
    for _ in range(10):
        loop.epoch(data())
    rates = np.concatenate([scalars["threshold1"] for scalars in seen]) / 2.0**32
    scales = np.concatenate([scalars["scale1"] for scalars in seen])
    decays = 1.0 - np.concatenate([scalars["decay"] for scalars in seen])
    progress = np.arange(40) / 40
    wanted = np.where(progress <= 0.5, 1.0, 0.5 * (1 + np.cos(np.pi * (2 * progress - 1))))
    np.testing.assert_allclose(rates, 0.3 * wanted, atol=2.0**-32)
    np.testing.assert_allclose(scales, 1 / (1 - 0.3 * wanted), rtol=1e-12)
    np.testing.assert_allclose(decays, 0.01 * 0.5 * wanted, atol=1e-15)
    assert 0 < rates[-1] < 0.01 * rates[0]


@pytest.mark.parametrize(
    ("outputs", "smoothed", "plain"),
    [
        (3, "smoothed_cross_entropy", "softmax_cross_entropy"),
        (1, "smoothed_binary_cross_entropy", "binary_cross_entropy"),
    ],
)
def test_label_smoothing_scheduled_to_0_is_none(outputs, smoothed, plain):
    x, t, _ = data()
    rows = Rows(x, t if outputs > 1 else t % 2)
    widths, names = (3, 8, outputs), (smoothed, plain)
    one, other = (Network(widths, loss=loss, dtype="float64") for loss in names)
    start = one.init("glorot_normal", 1)
    found = fit(one, start, rows, config(schedules={"label_smoothing": NONE}))
    wanted = fit(other, start, rows, config())
    unscheduled = fit(one, start, rows, config())
    for name, a in wanted.params.items():
        # gradients are the same but for rounding, of which Adam makes steps of up to the rate
        np.testing.assert_allclose(found.params[name], a, rtol=1e-9, atol=1e-12)
    assert not np.allclose(found.params["w1"], unscheduled.params["w1"], rtol=1e-4)


def test_a_plan_reads_the_smoothing_only_where_it_is_scheduled():
    optimiser = config().optimiser
    fixed = training_plan(SMOOTHED, optimiser)
    scheduled = training_plan(SMOOTHED, optimiser, scheduled=("label_smoothing",))
    steps, rates = np.arange(2.0), np.full(2, 0.01)
    factors = {"label_smoothing": np.array([1.0, 0.5])}
    found = step_scalars(scheduled, optimiser, steps, rates, factors=factors)
    (name,) = found.keys() - step_scalars(fixed, optimiser, steps, rates).keys()
    np.testing.assert_allclose(found[name], [0.1, 0.05])


@pytest.mark.parametrize("way", ["state", "file"])
def test_a_resumed_training_has_the_bits_of_an_uninterrupted_one(way, tmp_path):
    words = {"schedules": dict.fromkeys(EVERY, "flat_cos"), "epochs": 6}
    whole = trained(**words)
    stop = [lambda now: now.epoch == 2]
    net, settings = SMOOTHED, config(**words)
    state = fit(net, net.init("glorot_normal", 1), data(), settings, callbacks=stop).state
    if way == "file":
        save_checkpoint(tmp_path / "c", state)
        state = load_checkpoint(tmp_path / "c")
    assert {name: s.name for name, s in state.schedules.items()} == dict.fromkeys(EVERY, "flat_cos")
    assert same(trained(state=state, **words).params, whole.params)
    with pytest.raises(InputError, match=r"weight_decay schedule 'flat_cos', .* for 'constant'"):
        trained(state=state, epochs=6)
    constant = trained(epochs=1, schedules={"dropout": "constant"}).state
    assert same(trained(state=constant).params, trained().params)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"schedules": "flat_cos"}, "schedules must be a mapping such as .* got 'flat_cos'"),
        ({"schedules": {"drop_out": "cosine"}}, "in schedules 'drop_out': did you mean 'dropout'"),
        ({"schedules": {3: "cosine"}}, "unknown setting in schedules '3'"),
        ({"schedules": {"dropout": "cosin"}}, r"schedules\['dropout'\]: unknown schedule 'cosin'"),
        ({"schedules": {"dropout": None}}, r"schedules\['dropout'\]: schedule must be a name"),
        ({"schedules": {"weight_decay": "cosine"}, "optimiser": "adam"}, "such as 'adamw', got"),
        ({"schedules": {"dropout": "cosine"}, "optimiser": "lbfgs"}, "dropout need another opt"),
    ],
)
def test_schedules_that_make_no_sense_are_refused(words, said):
    with pytest.raises(InputError, match=said) as caught:
        config(**words)
    assert "\n" not in str(caught.value)


def test_what_a_config_keeps_is_its_own():
    given = {"dropout": "cosine"}
    settings = config(schedules=given)
    given["dropout"] = "constant"
    assert settings.schedules["dropout"].name == "cosine"
    assert config().schedules == {}


def test_a_schedule_of_smoothing_needs_a_loss_that_smooths():
    net = Network((3, 3), loss="softmax_cross_entropy")
    with pytest.raises(InputError, match=r"label_smoothing, such as .* got 'softmax_cross"):
        trained(net, schedules={"label_smoothing": "flat_cos"})


def test_a_factor_over_1_is_named_before_training_begins():
    with pytest.raises(InputError, match=r"multiplies by 2 in step 0: factors of dropout must be"):
        trained(schedules={"dropout": TWICE})
    rising = "cosine:warmup=0,final=3"  # beyond 1 from its second step on
    with pytest.raises(InputError, match=r"'dropout'\]='cosine:.*final=3.0' multiplies by 1\.\d"):
        trained(schedules={"dropout": rising}, epochs=100)

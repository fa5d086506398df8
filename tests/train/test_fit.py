"""Training: what ends it, what it returns, what it counts, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse

from backhand import Network, Rows, TrainConfig, fit
from backhand.errors import InputError
from backhand.formulas.activations import Activation
from backhand.testing import assert_near
from backhand.train.loop import TrainLoop
from backhand.train.result import DivergedError
from backhand.train.rows import checked

NET = Network((3, 8, 1), activation="tanh", dtype="float64")


def data(rows=50, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 3))
    return Rows(x, np.sin(x.sum(1, keepdims=True)))


def train(rows=None, *, net=NET, params=None, validation=None, score=None, callbacks=(), **words):
    words = {"epochs": 5, "batch_size": 16, "learning_rate": 0.01, "engine": "numpy", **words}
    params = params or net.init("glorot_normal", 1)
    return fit(
        net,
        params,
        rows or data(),
        TrainConfig(**words),
        validation=validation,
        score=score,
        callbacks=callbacks,
    )


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def scripted(*scores):
    """A score that follows a script, whatever the network does."""
    left = iter(scores)
    return lambda logits, t: next(left)


class Recorder(list):
    def __call__(self, now):
        self.append(now.params)


# learning ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["constant", "inverse_scaling", "cosine", "one_cycle"])
def test_it_learns(schedule):
    trained = train(epochs=60, schedule=schedule, learning_rate=0.03)
    assert trained.history[-1].loss < 0.2 * trained.history[0].loss
    assert trained.stopped == "epochs"


def test_it_learns_with_dropout_and_classes():
    rng = np.random.default_rng(0)
    net = Network((2, 30, 3), dropout=0.2, loss="softmax_cross_entropy")
    t = rng.integers(0, 3, 300)
    x = rng.standard_normal((300, 2)) + 6 * np.array([[0, 0], [1, 0], [0, 1]])[t]
    trained = train(Rows(x, t), net=net, epochs=20)
    right = net.forward(trained.params, x).argmax(1) == t
    assert right.mean() > 0.95


def test_same_seed_same_bits_and_another_seed_others():
    net = Network((3, 8, 1), dropout=0.5)
    one, again = (train(net=net, seed=3).params for _ in range(2))
    assert same(one, again)
    assert not same(one, train(net=net, seed=4).params)
    still = [train(net=net, seed=s, shuffle=False, epochs=1).params for s in (3, 4)]
    assert not same(*still), "the noise of dropout did not follow the seed"


def test_a_training_in_parts_is_the_training():
    settings = TrainConfig(epochs=4, batch_size=16, schedule="cosine", engine="numpy")
    rows = checked(NET, data(), "training")
    training = TrainLoop(NET, NET.init("glorot_normal", 1), settings, 50)
    for _ in range(4):
        training.epoch(rows)
    assert training.step == 4 * 4
    assert same(training.params, train(epochs=4, schedule="cosine", learning_rate=1e-3).params)


def test_start_is_left_alone():
    params = NET.init("glorot_normal", 1)
    copies = {name: a.copy() for name, a in params.items()}
    train(params=params, l2=0.1)
    assert same(params, copies)
    assert same(train(params=params, epochs=0).params, copies)


@pytest.mark.parametrize("batch", [1, 7, 50, 10_000])
def test_any_batch_size_sees_every_row_once(batch):
    trained = train(batch_size=batch, learning_rate=0.0, epochs=1)
    whole = NET.batch_loss(NET.init("glorot_normal", 1), data().x, data().t)
    assert_near(trained.history[0].loss, whole, rtol=1e-12)


def test_l2_shrinks_weights_and_not_biases():
    params = NET.init("glorot_normal", 1)
    params |= {name: params[name] + 0.5 for name in ("b1", "b2")}
    x = data().x
    perfect = Rows(x, NET.forward(params, x))  # no gradient but the penalty's
    trained = train(
        perfect, params=params, batch_size=50, epochs=1, optimiser="sgd", learning_rate=0.1, l2=0.5
    )
    for name, a in trained.params.items():
        shrunk = 1 - 0.1 * 0.5 if name in ("w1", "w2") else 1.0
        assert_near(a, params[name] * shrunk, rtol=1e-12)
    assert trained.history[0].loss < 1e-25, "the penalty is not in the reported loss"


def test_weights_count_rows_and_zero_leaves_out():
    rows = data(20)
    weight = np.repeat([0.0, 1.0, 2.0, 1.0], 5)
    repeated = np.repeat(np.arange(20), weight.astype(int))
    words = {"batch_size": 100, "shuffle": False, "optimiser": "sgd", "learning_rate": 0.1}
    one = train(Rows(rows.x, rows.t, weight), validation=Rows(rows.x, rows.t, weight), **words)
    two = train(Rows(rows.x[repeated], rows.t[repeated]), **words)
    for name, a in one.params.items():
        assert_near(a, two.params[name], rtol=1e-10, atol=1e-13)
    assert_near([e.loss for e in one.history], [e.loss for e in two.history], rtol=1e-12)
    want = NET.batch_loss(two.params, rows.x[repeated], rows.t[repeated])
    assert_near(one.history[-1].validation_loss, want, rtol=1e-9)


def test_batches_that_happen_to_have_no_weight_are_passed_over():
    rows = data(64)
    weight = np.where(np.arange(64) < 48, 0.0, 1.0)
    trained = train(Rows(rows.x, rows.t, weight), batch_size=8, shuffle=False)
    assert all(math.isfinite(e.loss) for e in trained.history)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32"])
def test_inputs_of_any_dtype_are_the_same_numbers(dtype):
    x = np.random.default_rng(0).integers(0, 4, (50, 3))
    one, two = (train(Rows(x.astype(d), data().t)) for d in (dtype, "float64"))
    assert same(one.params, two.params)


# history, judging -------------------------------------------------------------------------------


def test_history_says_what_happened():
    rows = data(50)
    trained = train(rows, validation=data(30, 1), score=lambda z, t: float(z[0, 0]), epochs=3)
    assert [e.epoch for e in trained.history] == [1, 2, 3]
    last = trained.history[-1]
    assert last.learning_rate == 0.01
    assert last.rows_per_second > 0
    assert {type(v) for v in vars(last).values()} == {int, float}
    plain = train(rows).history[0]
    assert (plain.validation_loss, plain.validation_score) == (None, None)


def test_rate_is_that_of_the_last_step():
    rates = [e.learning_rate for e in train(schedule="cosine", epochs=5).history]
    assert rates[-1] == 0, "the last step is the schedule's end"
    assert rates[-2] > 0, "the smaller last batch of an epoch was not counted"
    assert rates == sorted(rates, reverse=True)


# what ends it -----------------------------------------------------------------------------------


def test_best_epoch_is_returned_and_patience_ends_it():
    seen = Recorder()
    script = scripted(0.1, 0.5, 0.5, 0.4, 0.3)
    trained = train(validation=data(9), score=script, patience=3, epochs=50, callbacks=[seen])
    assert (trained.stopped, trained.best_epoch, len(trained.history)) == ("patience", 2, 5)
    assert same(trained.params, seen[1])


def test_improvements_within_the_tolerance_do_not_count():
    script = scripted(0.1, 0.15, 0.19, 0.9, 0.0)
    trained = train(validation=data(9), score=script, patience=2, min_delta=0.1, epochs=50)
    assert (trained.stopped, trained.best_epoch) == ("patience", 1)


def test_without_a_score_the_validation_loss_judges():
    seen = Recorder()
    trained = train(validation=data(20, 9), epochs=20, learning_rate=0.1, callbacks=[seen])
    losses = [e.validation_loss for e in trained.history]
    assert trained.best_epoch == 1 + int(np.argmin(losses))
    assert same(trained.params, seen[trained.best_epoch - 1])


def test_a_score_that_is_nan_is_never_best():
    trained = train(validation=data(9), score=scripted(math.nan, 0.1, math.nan), epochs=3)
    assert trained.best_epoch == 2


def test_without_validation_the_last_epoch_is_returned():
    seen = Recorder()
    trained = train(callbacks=[seen])
    assert trained.best_epoch == 5
    assert same(trained.params, seen[-1])


def test_a_callback_that_says_true_ends_it_after_all_were_called():
    seen = Recorder()
    trained = train(callbacks=[lambda now: now.epoch == 2, seen])
    assert (trained.stopped, len(trained.history), len(seen)) == ("callback", 2, 2)
    assert train(callbacks=[lambda now: 1]).stopped == "epochs"


@pytest.mark.parametrize(("when", "best"), [(1, 1), (3, 2)])
def test_ctrl_c_keeps_the_best(when, best):
    seen = Recorder()

    def interrupt(now):
        if now.epoch == when:
            raise KeyboardInterrupt

    script = scripted(0.1, 0.9, 0.3)
    trained = train(validation=data(9), score=script, callbacks=[seen, interrupt])
    assert (trained.stopped, trained.best_epoch) == ("interrupted", best)
    assert len(trained.history) == when
    assert same(trained.params, seen[best - 1])


def test_ctrl_c_in_the_first_epoch_keeps_what_there_is(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainLoop, "epoch", interrupt)
    trained = train()
    assert (trained.stopped, trained.best_epoch, trained.history) == ("interrupted", 0, [])
    assert same(trained.params, NET.init("glorot_normal", 1))


def test_divergence_names_epoch_and_place_and_keeps_the_best():
    seen = Recorder()
    words = {
        "optimiser": "sgd",
        "learning_rate": 3.0,
        "batch_size": 50,
        "epochs": 500,
        "callbacks": [seen],
    }
    with pytest.raises(DivergedError) as caught:
        train(net=Network((3, 1)), validation=data(9), **words)
    assert len(seen) > 5
    message, trained = str(caught.value), caught.value.result
    assert f"training diverged in epoch {len(seen) + 1}: loss" in message
    assert "values of the loss of the logits are not finite" in message
    assert "try a smaller learning rate than 3" in message
    assert "\n" not in message
    assert trained.best_epoch >= 1
    assert same(trained.params, seen[trained.best_epoch - 1])


ENGINES = pytest.mark.parametrize("engine", ["llvm", "numpy"])
DEEP = Network((3, 8, 8, 8, 2), activation="relu", dropout=(0.0, 0.3, 0.0))


@ENGINES
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("layer", [1, 2, 3, 4])
def test_a_huge_weight_is_named_by_its_layer(engine, form, layer):
    params = DEEP.init("kaiming_normal", 1)
    params[f"w{layer}"][:] = 3e38
    rows = Rows(form(5 + abs(data().x)), np.ones((50, 2)))
    kind = "the logits" if layer == 4 else "pre-activations"
    with pytest.raises(DivergedError, match=rf"values of layer {layer} \({kind}\) are not"):
        train(rows, net=DEEP, params=params, engine=engine, threads=2)


@ENGINES
def test_a_formula_that_gives_nan_is_named_by_its_layer(engine):
    bad = Activation("log", lambda xp, z: xp.log(z), lambda xp, z, y, dy: dy / z, saves=("z",))
    net = Network((3, 8, 8, 1), activation=["tanh", bad])
    with pytest.raises(DivergedError, match=r"values of layer 2 \(outputs\) are not finite"):
        train(net=net, engine=engine)


@ENGINES
def test_a_huge_target_is_named_as_the_loss(engine):
    net, rows = Network((3, 8, 1)), data()
    rows.t[40] = 1e30
    with pytest.raises(DivergedError, match="values of the loss of the logits are not finite"):
        train(rows, net=net, engine=engine)


@ENGINES
def test_what_the_dtype_does_not_hold_is_named_before_training(engine):
    x = data().x
    x[17, 2] = 1e39
    with pytest.raises(InputError, match=r"x is 1e\+39 in row 17, column 2, beyond what float32"):
        train(Rows(x, data().t), net=Network((3, 8, 1)), engine=engine)


@ENGINES
def test_weights_that_overflow_in_the_last_step_are_named(engine):
    """All gradients are finite, and only the last layer's are as large as its inputs."""
    net, x = Network((3, 8, 1), activation="softplus"), 1e4 * abs(data().x)
    params = {name: abs(a) for name, a in net.init("glorot_normal", 1).items()}
    params["w2"] *= 1e-20
    words = {
        "learning_rate": 1e35,
        "optimiser": "sgd",
        "batch_size": 50,
        "epochs": 1,
        "engine": engine,
    }
    with pytest.raises(DivergedError, match=r"values of w2 \(a parameter\) are not finite"):
        train(Rows(x, np.ones((50, 1))), net=net, params=params, **words)


@ENGINES
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_loss_that_is_not_finite_ends_the_epoch_before_the_update(engine, threads):
    x, t, _ = data()
    t[35] = 1e300  # in the third batch
    settings = TrainConfig(batch_size=16, shuffle=False, engine=engine, threads=threads)
    training, shorter = (TrainLoop(NET, NET.init("glorot_normal"), settings, 50) for _ in range(2))
    assert not math.isfinite(training.epoch(Rows(x, t)))
    shorter.epoch(Rows(x[:32], t[:32]))
    assert same(training.params, shorter.params)
    assert training.nonfinite == "the loss of the logits"
    assert math.isfinite(training.epoch(Rows(x[:32], t[:32])))
    assert training.nonfinite is None


def test_divergence_at_once_keeps_the_start():
    params = NET.init("glorot_normal", 1)
    rows = Rows(data().x, 1e200 * data().t)
    with pytest.raises(DivergedError, match="diverged in epoch 1: loss") as caught:
        train(rows, params=params, optimiser="sgd")
    assert same(caught.value.result.params, params)


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
@pytest.mark.parametrize("form", ["csr_array", "csc_matrix", "coo_array"])
def test_sparse_rows_learn_as_dense_ones_do(form, engine):
    x = np.where(data().x > 0.5, data().x, 0)
    rows = Rows(getattr(sparse, form)(x), data().t)
    trained = train(rows, engine=engine, validation=rows)
    dense = train(Rows(x, data().t), engine=engine, validation=Rows(x, data().t))
    for name, a in trained.params.items():
        assert_near(a, dense.params[name], rtol=1e-9, atol=1e-12)
    assert_near(trained.history[-1].validation_loss, dense.history[-1].validation_loss, rtol=1e-9)


def test_a_hole_far_down_is_found():
    x = np.zeros((10_000, 3), "float32")
    x[9_876, 2] = np.nan
    with pytest.raises(InputError, match=r"validation x\[9876, 2\] is nan"):
        train(validation=Rows(x, np.zeros(10_000)))

"""The compiled executor against the array executor, and against itself in other ways of running."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from backhand.check.kernels import compare_training, random_problem, trained
from backhand.errors import InputError
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES
from backhand.formulas.optimisers import OPTIMISERS, choose_optimiser
from backhand.network import Network
from backhand.plan.layers import Embedding, Linear
from backhand.plan.scalars import step_scalars
from backhand.plan.step import training_plan
from backhand.run.array_executor import ArrayTrainer
from backhand.run.llvm import tuning
from backhand.run.llvm.machine.target import Target
from backhand.run.llvm.runtime import engine
from backhand.run.llvm.runtime.engine import CompiledTrainer, Forward, readable
from backhand.run.llvm.runtime.instance import Instance
from backhand.testing import assert_near

from ..problems import scalars_of

SIZES = (1, 2, 3, 7, 13, 14, 15, 16, 17, 27, 28, 29, 31, 32, 33, 47)


def assert_same_training(*args, **keywords):
    line = compare_training(*args, **keywords)
    assert line.passed, str(line)


def random_network(rng, activation, loss, dtype, dropout=0.0):
    depth = int(rng.integers(1, 4))
    widths = [int(rng.choice(SIZES)) for _ in range(depth + 1)]
    widths[-1] = max(widths[-1], 2 if LOSSES[loss].by_row else 1)
    return Network(widths, activation=activation, loss=loss, dropout=dropout, dtype=dtype)


@pytest.mark.parametrize("optimiser", OPTIMISERS.values(), ids=OPTIMISERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimiser(optimiser, dtype):
    rng = np.random.default_rng(0)
    for weighted in (False, True):
        network = random_network(rng, "tanh", "mean_squared_error", dtype)
        params, data = random_problem(rng, network, 37, weighted)
        assert_same_training(network, params, data, optimiser, batch=8)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation):
    rng = np.random.default_rng(1)
    network = Network((7, 17, 5, 3), activation=activation, dropout=0.3, dtype="float64")
    params, data = random_problem(rng, network, 29, True)
    assert_same_training(network, params, data, OPTIMISERS["momentum"], batch=11)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "outputs", [1, 16, 17, *(pytest.param(n, marks=pytest.mark.campaign) for n in (2, 15, 70))]
)
def test_every_loss(loss, outputs):
    rng = np.random.default_rng(2)
    outputs = max(outputs, 2 if LOSSES[loss].by_row else 1)
    network = Network((5, 9, outputs), activation="tanh", loss=loss, dtype="float64")
    params, data = random_problem(rng, network, 23, True)
    assert_same_training(network, params, data, OPTIMISERS["sgd"], batch=10)


@pytest.mark.parametrize("seed", range(30))
def test_random_shapes(seed):
    rng = np.random.default_rng(seed)
    names = list(ACTIVATIONS)
    dtype = ("float32", "float64")[seed % 2]
    loss = list(LOSSES)[seed % len(LOSSES)]
    network = random_network(rng, names[seed % len(names)], loss, dtype, 0.2 * (seed % 3))
    rows, batch = int(rng.choice(SIZES)) + 1, int(rng.choice(SIZES))
    params, data = random_problem(rng, network, rows, bool(seed % 2))
    optimiser = OPTIMISERS["sgd" if dtype == "float32" else "adamw"]
    assert_same_training(network, params, data, optimiser, batch=batch)


def bits(network, params, data, threads=None, **keywords):
    got, losses = trained(
        CompiledTrainer, network, params, data, OPTIMISERS["adam"], threads=threads, **keywords
    )
    return b"".join(a.tobytes() for a in got.values()) + np.array(losses).tobytes()


@pytest.mark.parametrize(
    ("widths", "batch"), [((33, 47, 29, 3), 31), ((5, 130, 2), 64), ((300, 1, 7), 3)]
)
def test_the_same_bits_for_any_number_of_threads(widths, batch):
    rng = np.random.default_rng(3)
    network = Network(widths, activation="silu", loss="softmax_cross_entropy", dropout=0.25)
    params, data = random_problem(rng, network, 100, True)
    want = bits(network, params, data, 1, batch=batch)
    for threads in (2, 3, 8):
        assert bits(network, params, data, threads, batch=batch) == want, threads
    assert bits(network, params, data, None, batch=batch) == want


@pytest.mark.parametrize(
    ("activation", "dtype"),
    [  # each activation in one dtype here, in the other in the campaigns
        pytest.param(name, dtype, marks=() if number % 2 == turn else pytest.mark.campaign)
        for number, name in enumerate(ACTIVATIONS)
        for turn, dtype in enumerate(("float32", "float64"))
    ],
)
def test_the_same_bits_for_any_instruction_set(monkeypatch, activation, dtype):
    rng = np.random.default_rng(4)
    network = Network(
        (21, 37, 18, 19),
        activation=activation,
        loss="softmax_cross_entropy",
        dropout=0.25,
        dtype=dtype,
    )
    params, data = random_problem(rng, network, 60, True)
    want = bits(network, params, data, 1, batch=23)
    host = Target.host()
    for name in ("avx512", "avx2", "fma128"):
        if name == "avx512" and host.vector_bytes < 64:
            continue
        monkeypatch.setattr(Target, "host", classmethod(lambda cls, n=name: Target.named(n)))
        assert bits(network, params, data, 1, batch=23) == want, name


# data stays where it is ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8", "int16", "int64", "bool"])
def test_any_dtype_is_gathered_as_numpy_converts_it(dtype):
    rng = np.random.default_rng(5)
    network = Network((6, 4, 1), activation="tanh", dtype="float64")
    params, (_, t, _) = random_problem(rng, network, 20, False)
    x = (3 * rng.standard_normal((20, 6))).astype(dtype)
    assert_same_training(network, params, (x, t, None), OPTIMISERS["sgd"], batch=6)


def test_what_can_be_gathered_in_place_is_not_copied(tmp_path):
    whole = np.arange(60, dtype=np.float32).reshape(10, 6)
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (10, 6))
    closed = whole.copy()
    closed.flags.writeable = False
    for a in (whole, whole[::2], whole[::-1], whole[:, 1:4], mapped, closed):
        assert np.shares_memory(readable(a), a)
    others = (np.asfortranarray(whole), whole[:, ::2], whole.astype(">f4"), whole.astype("f2"))
    for a in others:
        assert np.array_equal(readable(a), a)
        assert readable(a).flags.c_contiguous


def test_odd_layouts_give_the_same_training():
    rng = np.random.default_rng(6)
    network = Network((6, 5, 2), activation="relu")
    params, (x, t, _) = random_problem(rng, network, 20, False)
    want = bits(network, params, (x, t, None), batch=7)
    wide = np.zeros((20, 12), np.float32)
    wide[:, ::2] = x
    for a in (np.asfortranarray(x), wide[:, ::2], x.astype(">f4"), x[::-1].copy()[::-1]):
        assert bits(network, params, (a, t, None), batch=7) == want


def test_a_batch_without_weight_is_passed_over():
    rng = np.random.default_rng(7)
    network = Network((3, 4, 1), activation="tanh", dtype="float64")
    params, (x, t, _) = random_problem(rng, network, 12, False)
    weight = np.ones((12, 1))
    weight[:9] = 0
    assert_same_training(network, params, (x, t, weight), OPTIMISERS["adam"], batch=3)


def test_training_goes_on_with_other_dtypes_batches_and_state():
    rng = np.random.default_rng(8)
    network = Network((4, 6, 2), activation="tanh", dtype="float64")
    params, (x, t, _) = random_problem(rng, network, 24, False)
    adam = OPTIMISERS["adam"]
    pair = [kind(network, params, adam, 3) for kind in (CompiledTrainer, ArrayTrainer)]
    for x_now, batch in ((x, 8), (x.astype("float32"), 5), (x, 24)):
        steps = -(-24 // batch)
        scalars = scalars_of(network, adam, steps)
        for trainer in pair:
            trainer.epoch(x_now, t, None, np.arange(24), batch, scalars, 0)
    mine, theirs = (trainer.state for trainer in pair)
    assert mine.keys() == theirs.keys()
    for name, a in mine.items():
        assert_near(a, theirs[name], 1e-9, 1e-12)
    other = CompiledTrainer(network, pair[0].params, adam, 3)
    other.state = mine
    for trainer in (pair[0], other):
        trainer.epoch(x, t, None, np.arange(24), 8, scalars_of(network, adam, 3), 0)
    for name, a in pair[0].params.items():
        assert np.array_equal(a, other.params[name])
    with pytest.raises(ValueError, match="another network"):
        other.state = {"m_w1": np.zeros((4, 6))}


def test_settings_that_follow_a_schedule():
    loss = LOSSES["smoothed_cross_entropy"]
    network = Network((6, 9, 4), activation="tanh", dropout=0.3, loss=loss, dtype="float64")
    params, data = random_problem(np.random.default_rng(0), network, 40, True)
    adamw, scheduled = OPTIMISERS["adamw"], ("label_smoothing",)
    plan = training_plan(network, adamw, scheduled=scheduled)
    factors = {"label_smoothing": np.linspace(1, 0, 5), "dropout": np.linspace(0, 1, 5)}
    factors["weight_decay"] = np.linspace(1, 0.1, 5)
    steps, rates = np.arange(5.0), np.full(5, 0.01)
    scalars = step_scalars(plan, adamw, steps, rates, l2=0.01, factors=factors)
    found = []
    for kind in (CompiledTrainer, ArrayTrainer):
        trainer = kind(network, params, adamw, 3, None, scheduled)
        trainer.epoch(*data, np.arange(40), 8, scalars, 0)
        found.append(trainer.params)
    for name, a in found[0].items():
        assert_near(a, found[1][name], 1e-12, 1e-14)


def test_a_category_without_a_row_is_an_error_before_native_code_runs():
    network = Network([Embedding(4, 3), Linear(2)], inputs=1, loss="softmax_cross_entropy")
    params, (x, t, _) = random_problem(np.random.default_rng(0), network, 20, False)
    trainer = CompiledTrainer(network, params, OPTIMISERS["sgd"])
    predict, scalars = Forward(network, params), scalars_of(network, OPTIMISERS["sgd"], 1)
    for bad in (4, -1, 0.5, np.nan):
        x[7] = bad
        with pytest.raises(InputError):
            trainer.epoch(x, t, None, np.arange(20), 20, scalars, 0)
        for rows in (x, x[7:8]):
            with pytest.raises(InputError):
                predict(rows)


@pytest.mark.parametrize("rows", [0, 1, 2, 15, 16, 255, 256, 257, 1030])
def test_forward(rows):
    rng = np.random.default_rng(rows)
    network = Network((19, 33, 3), activation="gelu", dtype="float64")
    params, (x, _, _) = random_problem(rng, network, rows or 1, False)
    x = x[:rows]
    for threads in (1, 2, 3):
        assert_near(Forward(network, params, threads)(x), network.forward(params, x), 1e-12, 1e-13)


def test_a_thread_that_is_ahead_does_not_overwrite_rows_of_another():
    # several blocks without a barrier between them, the last one smaller
    rng = np.random.default_rng(9)
    network = Network((64, 256, 10), activation="relu", loss="softmax_cross_entropy")
    params = network.init("kaiming_normal", 0)
    x = rng.standard_normal((1797, 64)).astype("float32")
    forward = Forward(network, params, 2)
    want = Forward(network, params, 1)(x)
    for _ in range(100):
        assert np.array_equal(forward(x), want)


@pytest.mark.parametrize("widths", [(37, 256, 30, 5), (3, 120, 2), (9, 500, 4)])
def test_columns_of_the_first_layer_may_be_shared_out(widths):
    # panels of columns on every number of threads, with a last batch that is smaller
    network = Network(widths, dropout=0.2, loss="softmax_cross_entropy")
    params = network.init("kaiming_normal", 0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((101, widths[0])).astype(np.float32)
    t = rng.integers(0, widths[-1], (101, 1))
    adam = OPTIMISERS["adam"]
    scalars = scalars_of(network, adam, 5, l2=1e-3)
    owned, found = set(), []
    trainers = [CompiledTrainer(network, params, adam, 7, threads=n) for n in (1, 2, 3, 8)]
    trainers.append(ArrayTrainer(network, params, adam, 7))
    for trainer in trainers:
        for first in (0, 5):
            order = np.random.default_rng(first).permutation(101)
            trainer.epoch(x, t, None, order, 24, scalars, first)
            trainer.state = trainer.state  # through its copies in the caller's layout
        if isinstance(trainer, CompiledTrainer):
            code = trainer._instance.code
            owned.add(code.partition_mode(24, trainer._threads))
            found.append([*trainer.params.values(), *trainer.state.values()])
    assert owned == {"columns", "rows"}
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(a, b)
    for name, a in trainers[0].params.items():
        np.testing.assert_allclose(a, trainers[-1].params[name], atol=2e-4)


def test_rows_read_in_place_are_never_written_to():
    network = Network((5, 7, 3))
    predict = network.predictor(network.init("kaiming_normal", 0))
    first, second = np.random.default_rng(0).standard_normal((2, 50, 5)).astype(np.float32)
    kept = first.copy()
    predict(first)  # read where it lies
    backwards = predict(second[::-1])  # gathered, since its rows go backwards
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(backwards, predict(second[::-1].copy()))


@pytest.mark.parametrize(("granted", "threads"), [(1, 1), (3, 3)])
def test_large_steps_take_the_threads_that_are_granted(monkeypatch, granted, threads):
    monkeypatch.setattr(engine, "available_threads", lambda *_: granted)
    network = Network([784, 256, 10], activation="relu", loss="softmax_cross_entropy")
    sgd = OPTIMISERS["sgd"]
    trainer = CompiledTrainer(network, network.init("kaiming_normal", 0), sgd)
    x, t, rows = np.ones((1024, 784), np.float32), np.zeros((1024, 1), np.int64), np.arange(1024)
    trainer.epoch(x, t, None, rows, 256, scalars_of(network, sgd, 4, 0.0), 0)
    assert trainer._instance.team.threads == threads


@pytest.mark.parametrize("widths", [(784, 256, 10), (784, 50, 10)])  # owning columns, or rows
def test_other_numbers_of_threads_are_tried_and_change_no_bit(monkeypatch, widths):
    """By a clock that goes on by 1 ms a call, so that parts of a comparison are three batches."""
    clock = SimpleNamespace(perf_counter=itertools.count(0.0, 1e-3).__next__)
    monkeypatch.setattr(engine, "time", clock)
    monkeypatch.setattr(engine, "available_threads", lambda *_: 4)
    monkeypatch.setattr(tuning, "FIRST_TRIAL_SECONDS", 0.0)
    monkeypatch.setattr(tuning, "LAST_TRIAL_SECONDS", 0.0)
    monkeypatch.setattr(tuning, "CALL_SECONDS", 2e-3)
    used, run = [], Instance.run

    def spy(instance, first, last, threads, *more):
        used.append(threads)
        run(instance, first, last, threads, *more)

    monkeypatch.setattr(Instance, "run", spy)
    network = Network(widths, activation="relu", loss="softmax_cross_entropy")
    adam, rng, rows = OPTIMISERS["adam"], np.random.default_rng(0), 1000
    x = rng.standard_normal((rows, widths[0])).astype(np.float32)
    t, order = rng.integers(0, 10, (rows, 1)), rng.permutation(rows)
    scalars = scalars_of(network, adam, 21, 1e-3)
    start, found = network.init("kaiming_normal", 0), []
    for threads in (None, 1):
        trainer = CompiledTrainer(network, start, adam, threads=threads)
        losses = [trainer.epoch(x, t, None, order, 48, scalars, 0) for _ in range(4)]
        found.append((losses, [a.tobytes() for a in trainer.params.values()]))
        if threads is None:
            assert {2, 4} <= set(used) <= {1, 2, 4}
            assert sum(a != b for a, b in itertools.pairwise(used)) > 3
    assert found[0] == found[1]


def test_equal_trainings_share_a_plan_and_others_do_not():
    def kernels(hidden=5, optimiser="adam:beta2=0.99", sparse=False):
        description = Network((3, hidden, 2), activation="tanh", dtype="float64")
        return engine._training_kernels(description, choose_optimiser(optimiser), sparse, ())

    assert kernels() is kernels()
    others = [kernels(hidden=6), kernels(optimiser="adam:beta2=0.98"), kernels(sparse=True)]
    assert all(other is not kernels() for other in others)

"""Threads that own inputs of the first layer and hand its sums on: the same bits, never stuck."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from backhand.formulas.optimisers import OPTIMISERS
from backhand.network import Network
from backhand.run.array_executor import ArrayTrainer
from backhand.run.llvm.program.buffers import inputs_of_a_thread
from backhand.run.llvm.runtime.engine import CompiledTrainer
from backhand.run.llvm.tuning import SPLIT_K_INPUTS, SPLIT_K_ROWS
from backhand.testing import assert_near

from ..problems import scalars_of


def partition_mode_of(trainer, rows):
    return trainer._instance.code.partition_mode(rows, trainer._threads)


WIDTHS = [(517, 20, 3), (512, 50, 2), (530, 1), (1030, 64, 7, 2)]
KINDS = [("float32", "float32"), ("uint8", "float32"), ("uint8", "float64"), ("float32", "float64")]
# every width and every kind once, the other pairs in the campaigns
PAIRS = [
    pytest.param(widths, *kind, marks=() if row == column else pytest.mark.campaign)
    for row, widths in enumerate(WIDTHS)
    for column, kind in enumerate(KINDS)
]


@pytest.mark.parametrize(("widths", "source", "dtype"), PAIRS)
def test_same_bits_on_any_number_of_threads(widths, source, dtype):
    # batches that are no whole number of blocks, and a last one that is smaller
    batch, rows = SPLIT_K_ROWS * 7 + 5, 1000
    loss = "softmax_cross_entropy" if widths[-1] > 1 else "mean_squared_error"
    network = Network(widths, activation="silu", loss=loss, dropout=0.2, dtype=dtype)
    rng, adam = np.random.default_rng(0), OPTIMISERS["adam"]
    x = rng.integers(0, 9, (rows, widths[0] + 3)).astype(source)[:, 3:]
    t, weight = rng.integers(0, widths[-1], (rows, 1)), rng.random((rows, 1))
    params = network.init("kaiming_normal", 0)
    steps = -(-rows // batch)
    scalars = scalars_of(network, adam, steps, 1e-3, 1e-3)
    trainers = [CompiledTrainer(network, params, adam, 7, threads=n) for n in (1, 2, 3, 8)]
    found = []
    for trainer in (*trainers, ArrayTrainer(network, params, adam, 7)):
        for first in (0, steps):
            order = np.random.default_rng(first).permutation(rows)
            trainer.epoch(x, t, weight, order, batch, scalars, first)
        found.append([*trainer.params.values(), *trainer.state.values()])
    assert [partition_mode_of(one, batch) for one in trainers] == [
        "rows",
        "inputs",
        "inputs",
        "inputs",
    ]
    for other in found[1:-1]:
        for a, b in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(a, b)
    learnt = len(params)  # the executors may list their state in another order
    for a, expected in zip(found[0][:learnt], found[-1][:learnt], strict=True):
        assert_near(a, expected, rtol=1e-4, atol=2e-4 if dtype == "float32" else 1e-9)


def test_rows_are_shared_where_split_k_would_stand_idle():
    network = Network((784, 50, 10), loss="softmax_cross_entropy")
    trainer = CompiledTrainer(network, network.init("kaiming_normal", 0), OPTIMISERS["sgd"])
    scalars = scalars_of(network, trainer.optimiser, 1, 0.0)
    x, t = np.ones((8, 784), np.float32), np.zeros((8, 1), np.int64)
    trainer.epoch(x, t, None, np.arange(8), 8, scalars, 0)
    code = trainer._instance.code
    assert code.partition_mode(64, 1) == "rows"  # nobody to hand sums to
    assert code.partition_mode(64, 2) == "inputs"
    assert code.partition_mode(SPLIT_K_ROWS - 1, 2) == "rows"
    assert code.partition_mode(2 * SPLIT_K_ROWS - 1, 3) == "rows"
    assert code.partition_mode(10_000, 784 // SPLIT_K_INPUTS + 1) == "rows"
    assert code.partition_mode(10_000, 2) == "rows"  # long enough for Ctrl-C to come amid it


@pytest.mark.parametrize("inputs", [1, 15, 16, 17, 784, 785])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_all_inputs_have_room_in_whole_vectors_and_none_of_it_is_spare(inputs, threads):
    room = inputs_of_a_thread(inputs, threads)
    assert room % 16 == 0
    assert threads * room >= inputs
    assert threads * (room - 16) < inputs


@pytest.mark.skipif(sys.platform != "linux", reason="made for Linux's mmap")
@pytest.mark.parametrize(("inputs", "threads"), [(449, 7), (784, 2), (785, 3)])
def test_no_thread_has_more_inputs_than_there_is_room_for(inputs, threads):
    """The bits are those of one thread, with arrays flush against what may not be touched."""
    from ..guard_pages import Case, Guarded, Ordinary

    case, rows = Case(0, 0), SPLIT_K_ROWS * threads
    case.network = Network((inputs, 20, 2))
    case.kind, case.threads, case.batch = "train", 1, rows
    case.params, case.weight, case.order = case.network.init("glorot_normal"), None, np.arange(rows)
    rng = np.random.default_rng(0)
    case.x = rng.integers(0, 9, (rows, inputs)).astype(np.uint8)
    case.t = rng.standard_normal((rows, 2))
    want, case.threads = case.run(Ordinary()), threads
    case.ways.clear()
    for at_end in (True, False):
        memory = Guarded(at_end)
        assert case.run(memory) == want
        memory.close()
    assert case.ways["inputs"] == 2

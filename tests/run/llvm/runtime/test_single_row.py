"""One row goes a way of its own, to the same bits as many."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from backhand.network import Network
from backhand.plan.layers import Columns, Linear
from backhand.run.llvm.machine.compile_store import RecentlyUsed
from backhand.run.llvm.runtime import engine
from backhand.run.llvm.runtime import single_row as single
from backhand.testing import assert_near


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("widths", [(1, 1), (3, 2), (10, 32, 32, 2), (67, 130, 5, 17), (9, 300, 1)])
def test_a_row_alone_and_among_others(widths, dtype):
    rng = np.random.default_rng(len(widths))
    network = Network(widths, activation="gelu", dtype=dtype)
    params = {
        name: rng.standard_normal(a.shape).astype(dtype) if a.ndim == 1 else a
        for name, a in network.init("glorot_normal").items()
    }
    x = rng.standard_normal((5, widths[0])).astype(dtype)
    predict = network.predictor(params)
    many = predict(x)
    assert_near(many, network.forward(params, x, "numpy"), 1e-4, 1e-5)
    for row in range(5):
        alone = predict(x[row : row + 1])
        assert alone.shape == (1, widths[-1])
        assert alone.dtype == dtype
        assert np.array_equal(alone[0], many[row])


def test_results_are_new_arrays_and_odd_rows_go_the_way_of_many():
    network = Network((4, 6, 2), activation="tanh")
    params = network.init("glorot_normal")
    predict = network.predictor(params)
    x = np.arange(4, dtype=np.float32)[None]
    first = predict(x)
    second = predict(-x)
    assert not np.shares_memory(first, second)
    assert not np.array_equal(first, second)
    wide = np.zeros((1, 8), np.float32)
    wide[:, ::2] = x
    closed = x.copy()
    closed.flags.writeable = False
    for same in (x.astype("f8"), wide[:, ::2], x.astype(">f4"), closed, x.astype("i8")):
        assert_near(predict(same), first, 1e-6, 1e-6)
    params["w1"][:] = 0  # parameters were copied
    assert np.array_equal(predict(x), first)


def test_without_the_short_cut_the_result_is_the_same(monkeypatch):
    network = Network((4, 6, 2), activation="tanh")
    params, x = network.init("glorot_normal"), np.ones((1, 4), np.float32)
    wanted = network.predictor(params)(x)
    monkeypatch.setattr(single, "arrays_can_be_read", lambda: False)
    assert np.array_equal(network.predictor(params)(x), wanted)


def test_one_predictor_in_many_threads():
    rng = np.random.default_rng(0)
    network = Network((8, 40, 3), activation="relu")
    predict = engine.Forward(network, network.init("kaiming_normal"))
    x = rng.standard_normal((600, 8)).astype(np.float32)
    want = predict(x)
    wrong = []

    def work(seed):
        order = np.random.default_rng(seed).permutation(600)
        for n in order:
            if not np.array_equal(predict(x[n : n + 1])[0], want[n]):
                wrong.append(n)
        for _ in range(10):
            if not np.array_equal(predict(x), want):
                wrong.append(-1)

    team = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    assert not wrong


def test_the_first_use_may_come_from_many_threads_at_once(monkeypatch):
    monkeypatch.setattr(single, "_known", RecentlyUsed())  # as in a new process
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for width in range(20, 50):
            network = Network((8, width, 3), activation="relu")
            predict = network.predictor(network.init("kaiming_normal"))
            x, meet, got = np.ones((1, 8), np.float32), threading.Barrier(4), []

            def work(predict=predict, x=x, meet=meet, got=got):
                meet.wait()
                got.extend(predict(x).tobytes() for _ in range(50))

            team = [threading.Thread(target=work) for _ in range(4)]
            for thread in team:
                thread.start()
            for thread in team:
                thread.join()
            assert len(got) == 200
            assert len(set(got)) == 1
    finally:
        sys.setswitchinterval(interval)


def test_networks_that_share_nodes_and_not_logits_have_programs_of_their_own():
    """One that writes 64 numbers must not be taken for one that writes 2."""
    whole = Network([Linear(64)], inputs=3)
    some = Network([Linear(64), Columns(40, 2)], inputs=3)
    params, x = whole.init("kaiming_normal", 1), np.ones((1, 3), np.float32)
    z = whole.predictor(params)(x)
    assert np.array_equal(some.predictor(params)(x), z[:, 40:42])
    assert np.array_equal(some.forward(params, x), z[:, 40:42])

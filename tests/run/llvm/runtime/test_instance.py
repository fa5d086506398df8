"""What calls share, and what they leave behind."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from backhand.network import Network
from backhand.run.llvm import tuning
from backhand.run.llvm.kernels.cancellation import ROWS
from backhand.run.llvm.runtime import instance as instance_module
from backhand.run.llvm.runtime.engine import Forward


def test_arrays_lie_together_and_begin_at_different_places_of_their_pages():
    wanted = {
        "a": ((3, 16), np.float32),
        "none": ((2, 0), np.int64),
        "b": ((100, 50), np.float64),
        "c": ((8,), np.int64),
    }
    found = instance_module.allocate_arena(wanted)
    spans = []
    for name, a in found.items():
        shape, dtype = wanted[name]
        assert (a.shape, a.dtype) == (shape, dtype)
        assert not a.any()
        assert a.ctypes.data % tuning.CACHE_LINE == 0
        if a.size:
            spans.append((a.ctypes.data, a.ctypes.data + a.nbytes))
    starts = [(begin - spans[0][0]) % tuning.PAGE for begin, _ in spans]
    assert starts == [number * tuning.STAGGER % tuning.PAGE for number in (0, 2, 3)]
    for (_, end), (begin, _) in itertools.pairwise(sorted(spans)):
        assert 0 <= begin - end < 2 * tuning.PAGE


@pytest.mark.parametrize("shape", [(1, 1), (63, 5), (64, 64), (65, 3), (200, 130)])
def test_transposed_copies(rng, shape):
    w = rng.standard_normal(shape)
    copy = np.empty(shape[::-1])
    instance_module.transpose(w, copy)
    np.testing.assert_array_equal(copy, w.T)


def test_a_runner_serves_the_next_call_of_its_program(monkeypatch):
    monkeypatch.setattr(instance_module, "_idle", [])
    network = Network((3, 5, 2))
    params = network.init("kaiming_normal", 0)
    for _ in range(3):
        network.forward(params, np.ones((4, 3)), engine="llvm")
    (kept,) = instance_module._idle
    network.forward(params, np.ones((7, 3)), engine="llvm")
    assert instance_module._idle == [kept]


def test_little_is_kept_of_networks_that_come_and_go(monkeypatch):
    """Each runner has threads, and copies of the parameters."""
    monkeypatch.setattr(instance_module, "_idle", [])
    monkeypatch.setattr(instance_module, "available_threads", lambda *_: 2)
    x = np.ones((5000, 100), np.float32)
    before = threading.active_count()
    for width in range(200, 200 + 2 * tuning.IDLE_INSTANCES):
        network = Network((100, width, width, 2))
        network.forward(network.init("kaiming_normal", 0), x, engine="llvm")
    assert len(instance_module._idle) == tuning.IDLE_INSTANCES
    assert threading.active_count() <= before + tuning.IDLE_INSTANCES + 1  # one may still be ending


def test_a_pass_that_is_left_touches_no_further_row(monkeypatch):
    network = Network((3, 5, 2), dtype="float32")
    predict = Forward(network, network.init("kaiming_normal", 0), threads=1)
    x = np.ones((10 * tuning.PASS_ROWS, 3))
    assert predict(x).all()
    (idle,) = predict._idle.values()
    stop = idle[0].stop

    def leave(self, work, give_up, in_workers=False):
        stop[ROWS] = 1
        work(0)

    out = np.zeros((len(x), 2), np.float32)
    monkeypatch.setattr("backhand.run.llvm.host.team.Team.run", leave)
    monkeypatch.setattr("backhand.run.llvm.runtime.engine.np.empty", lambda shape, dtype: out)
    predict(x)
    assert not out[tuning.PASS_ROWS :].any()


def test_room_that_could_not_be_had_is_asked_for_again(monkeypatch):
    network = Network((3, 5, 2), dtype="float32")
    predict = Forward(network, network.init("kaiming_normal", 0), threads=1)
    x = np.ones((10, 3))
    want = predict(x)

    def full(wanted):
        raise MemoryError

    more = np.ones((100, 3))
    with monkeypatch.context() as patch:
        patch.setattr(instance_module, "allocate_arena", full)
        with pytest.raises(MemoryError):
            predict(more)
    np.testing.assert_array_equal(predict(more), np.repeat(want[:1], 100, axis=0))

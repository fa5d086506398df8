"""Several networks at once end with the bits that each has alone."""

from __future__ import annotations

import dataclasses
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from backhand import (
    Checkpoint,
    DivergedError,
    InputError,
    Network,
    Rows,
    TrainConfig,
    fit,
    fit_several,
    load_checkpoint,
)
from backhand.train.several import _interrupt

NETWORK = Network((6, 20, 3), loss="softmax_cross_entropy", dropout=0.2)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 6)).astype("float32")
ROWS = Rows(X, (X[:, :1] > 0) + (X[:, 1:2] > 0.3).astype(int))
CONFIG = TrainConfig(epochs=6, batch_size=32, learning_rate=0.01)


def starts(count):
    return [NETWORK.init("kaiming_normal", seed) for seed in range(count)]


def same(a, b):
    return all(np.array_equal(one, b.params[name]) for name, one in a.params.items())


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
@pytest.mark.parametrize("threads", [None, 1, 5])
def test_each_has_the_bits_that_it_has_alone(engine, threads):
    configs = [
        dataclasses.replace(CONFIG, seed=n, learning_rate=0.01 * (n + 1), engine=engine)
        for n in range(5)
    ]
    folds = [Rows(ROWS.x[n::5], ROWS.t[n::5]) for n in range(5)]
    words = {"validation": ROWS, "score": lambda z, t: float((z.argmax(1) == t[:, 0]).mean())}
    found = fit_several(NETWORK, starts(5), folds, configs, threads=threads, **words)
    for start, rows, config, one in zip(starts(5), folds, configs, found, strict=True):
        alone = fit(NETWORK, start, rows, config, **words)
        assert same(one, alone)
        assert one.best_epoch == alone.best_epoch
        losses = [[line.loss for line in result.history] for result in (one, alone)]
        assert losses[0] == losses[1]


def test_callbacks_are_asked_for_by_number_and_may_end_their_own_training():
    def callbacks(number):
        return [lambda now: now.epoch > number]

    found = fit_several(NETWORK, starts(3), ROWS, CONFIG, callbacks=callbacks)
    assert [len(one.history) for one in found] == [1, 2, 3]
    assert fit_several(NETWORK, [], ROWS, CONFIG) == []


def test_each_goes_on_from_its_own_state(tmp_path):
    whole = fit_several(NETWORK, starts(3), ROWS, CONFIG)
    kept = [Checkpoint(tmp_path / str(n), 1) for n in range(3)]
    cut = fit_several(
        NETWORK,
        starts(3),
        ROWS,
        CONFIG,
        callbacks=lambda number: [lambda now: now.epoch > number],
        checkpoints=kept,
    )
    assert [len(one.history) for one in cut] == [1, 2, 3]
    states = [None, *(load_checkpoint(one.path) for one in kept[1:])]
    again = fit_several(NETWORK, starts(3), ROWS, CONFIG, states=states)
    assert all(same(one, other) for one, other in zip(again, whole, strict=True))
    with pytest.raises(InputError, match="states has 1 entries, and there are 3 starts"):
        fit_several(NETWORK, starts(3), ROWS, CONFIG, states=states[:1])


def test_wrong_numbers_are_one_line():
    with pytest.raises(InputError, match="rows has 2 entries, and there are 3 starts"):
        fit_several(NETWORK, starts(3), [ROWS, ROWS], CONFIG)
    with pytest.raises(InputError, match="configs has 1 entries, and there are 3 starts"):
        fit_several(NETWORK, starts(3), ROWS, [CONFIG])


def test_one_that_diverges_ends_them_all():
    long = dataclasses.replace(CONFIG, epochs=100_000)
    wild = dataclasses.replace(CONFIG, learning_rate=1e30, optimiser="sgd")
    with pytest.raises(DivergedError, match="training diverged"):
        fit_several(NETWORK, starts(2), ROWS, [wild, long], threads=2)


def test_ctrl_c_ends_them_all_and_keeps_what_they_have(monkeypatch):
    long = dataclasses.replace(CONFIG, epochs=100_000)
    begun = threading.Barrier(2)

    def callbacks(number):
        return [lambda now: begun.wait() and False if now.epoch == 1 else False]

    from backhand.train import several

    def interrupted(waiting, return_when):
        while not any(future.running() for future in waiting) or begun.n_waiting:
            pass
        raise KeyboardInterrupt

    monkeypatch.setattr(several, "wait", interrupted)
    found = fit_several(NETWORK, starts(2), ROWS, long, callbacks=callbacks, threads=2)
    assert [one.stopped for one in found] == ["interrupted", "interrupted"]


def test_ctrl_c_keeps_the_starts_of_those_that_wait_too(monkeypatch):
    from backhand.train import several

    def interrupted(waiting, return_when):
        while not any(future.running() for future in waiting):
            pass
        raise KeyboardInterrupt

    monkeypatch.setattr(several, "wait", interrupted)
    long = dataclasses.replace(CONFIG, epochs=100_000)
    found = fit_several(NETWORK, starts(5), ROWS, long, threads=1)
    assert {one.stopped for one in found} == {"interrupted"}
    for one, start in zip(found[2:], starts(5)[2:], strict=True):
        assert all(np.array_equal(a, start[name]) for name, a in one.params.items())


def test_what_is_wrong_is_one_line():
    with pytest.raises(InputError, match="starts must be a list"):
        fit_several(NETWORK, starts(1)[0], ROWS, CONFIG)
    with pytest.raises(InputError, match="threads must be a whole number above 0"):
        fit_several(NETWORK, starts(2), ROWS, CONFIG, threads=-1)
    wild = dataclasses.replace(CONFIG, learning_rate=1e30, optimiser="sgd")
    with pytest.raises(DivergedError, match="training 1: training diverged"):
        fit_several(NETWORK, starts(2), ROWS, [CONFIG, wild])


def test_no_thread_is_interrupted_while_it_writes_a_checkpoint(tmp_path):
    """Of a file that is begun a part would be left."""
    inside, leave, seen = threading.Event(), threading.Event(), []

    class Slow(Checkpoint):
        def save(self, state):
            inside.set()
            seen.append(leave.wait(10))
            seen.append("written")

    def work():
        try:
            Slow(str(tmp_path / "a")).write(SimpleNamespace(epoch=1))
            while True:
                time.sleep(0.001)
        except KeyboardInterrupt:
            seen.append("interrupted")

    writing = threading.Thread(target=work)
    writing.start()
    assert inside.wait(10)
    interrupting = threading.Thread(target=_interrupt, args=({0: writing.ident},))
    interrupting.start()
    interrupting.join(0.05)
    assert interrupting.is_alive()
    leave.set()
    for thread in (interrupting, writing):
        thread.join()
    assert seen == [True, "written", "interrupted"]

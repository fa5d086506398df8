"""A training that goes on from a state or a file has the bits of one that was never interrupted."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import sparse

from backhand import (
    Checkpoint,
    InputError,
    MLPClassifier,
    Network,
    Rows,
    TrainConfig,
    fit,
    load_checkpoint,
)
from backhand.sealed import read_sealed, write_sealed
from backhand.train import checkpoint as module
from backhand.train.checkpoint import cadence, read_checkpoint, save_checkpoint
from backhand.train.loop import TrainLoop

RNG = np.random.default_rng(0)
X = RNG.standard_normal((70, 5))
T = np.sin(X.sum(1, keepdims=True))
NET = Network((5, 12, 1), activation="tanh")
EPOCHS = 6

CASES = {
    "adam": {},
    "dropout": {"dropout": 0.3},
    "one_cycle": {"schedule": "one_cycle"},
    "clipped": {"clip_norm": 0.05, "optimiser": "momentum:momentum=0.8"},
    "adamw": {"optimiser": "adamw", "l2": 0.01},
    "sgd without order": {"optimiser": "sgd", "shuffle": False},
    "patience": {"patience": 2, "min_delta": 0.05},
    "sparse": {"form": sparse.csr_array},
    "numpy": {"engine": "numpy", "dropout": 0.3},
    "lbfgs": {"optimiser": "lbfgs", "l2": 0.01},
}


class Interrupt:
    """A callback that interrupts after an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def __call__(self, now):
        if now.epoch == self.epoch:
            raise KeyboardInterrupt


def train(case="adam", callbacks=(), params=None, **more):
    words = {"epochs": EPOCHS, "batch_size": 16, "learning_rate": 0.03, **CASES[case]}
    net = Network((5, 12, 1), activation="tanh", dropout=words.pop("dropout", 0.0))
    form = words.pop("form", np.asarray)
    params = params or net.init("glorot_normal", 1)
    rows, held_out = Rows(form(X[:50]), T[:50]), Rows(X[50:], T[50:])
    config = TrainConfig(**words)
    return fit(net, params, rows, config, validation=held_out, callbacks=callbacks, **more)


def assert_same(a, b):
    for one, two in ((a.params, b.params), (a.state.params, b.state.params)):
        assert list(one) == list(two)
        assert all(np.array_equal(a, two[name]) for name, a in one.items())
    assert (a.best_epoch, a.stopped, a.state.step) == (b.best_epoch, b.stopped, b.state.step)
    lines = [[dataclasses.replace(e, rows_per_second=0.0) for e in r.history] for r in (a, b)]
    assert lines[0] == lines[1]


@pytest.mark.parametrize("case", CASES)
def test_it_goes_on_after_any_epoch(case, tmp_path):
    whole = train(case)
    assert whole.stopped == ("patience" if case == "patience" else "epochs")
    for epoch in range(1, len(whole.history) + 1):
        path = tmp_path / str(epoch)
        part = train(case, [Interrupt(epoch)], checkpoint=path)
        assert (part.stopped, len(part.history)) == ("interrupted", epoch)
        assert_same(train(case, state=part.state), whole)
        assert_same(train(case, state=load_checkpoint(path)), whole)


@pytest.mark.parametrize("engine", ["llvm", "numpy"])
def test_it_goes_on_after_ctrl_c_in_the_midst_of_an_epoch(engine, monkeypatch):
    """The state is that of the last whole epoch, wherever the parameters have got to since."""
    case = "numpy" if engine == "numpy" else "dropout"
    whole = train(case)
    real, calls = TrainLoop.epoch, []

    def epoch(self, rows, order=None):
        calls.append(self.step)
        if len(calls) == 3:
            real(self, rows, np.arange(32))  # two steps of four
            raise KeyboardInterrupt
        return real(self, rows, order)

    monkeypatch.setattr(TrainLoop, "epoch", epoch)
    part = train(case)
    assert (part.stopped, part.state.epoch, len(calls)) == ("interrupted", 2, 3)
    assert_same(train(case, state=part.state), whole)


def test_what_has_ended_stays_ended():
    for case, ended in (("adam", "epochs"), ("patience", "patience")):
        whole = train(case)
        again = train(case, state=whole.state)
        assert again.stopped == ended
        assert_same(again, whole)


def test_a_state_can_be_gone_on_from_twice_and_is_left_alone():
    state = train(callbacks=[Interrupt(2)]).state
    before = state.tensors()
    copies = {name: a.tobytes() for name, a in before.items()}
    assert_same(train(state=state), train(state=state))
    assert len(state.history) == state.epoch == 2
    assert {name: a.tobytes() for name, a in state.tensors().items()} == copies


def test_callbacks_are_given_the_state():
    states = []
    whole = train(callbacks=[lambda now: states.append(now.state)])
    assert [state.epoch for state in states] == list(range(1, EPOCHS + 1))
    for state in states:
        assert_same(train(state=state), whole)


def test_an_epoch_of_an_estimator_has_a_state_too():
    states = []
    model = MLPClassifier((4,), max_iter=3, tol=0.0, callbacks=lambda now: states.append(now.state))
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, X[:, 0] > 0)
    assert [state.epoch for state in states] == [1, 2, 3]
    assert np.array_equal(states[-1].params["w1"], model.coefs_[0])
    assert set(states[-1].arrays) == {
        "m_w1",
        "v_w1",
        "m_b1",
        "v_b1",
        "m_w2",
        "v_w2",
        "m_b2",
        "v_b2",
    }


@pytest.mark.parametrize("case", CASES)
def test_a_file_has_all_that_a_state_has(case, tmp_path):
    state = train(case, [Interrupt(3)]).state
    save_checkpoint(tmp_path / "one", state, {"mine": [1, "two"]})
    again, about = read_checkpoint(tmp_path / "one")
    assert about == {"mine": [1, "two"]}
    save_checkpoint(tmp_path / "two", again, about)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert again.history == state.history[: state.epoch]
    assert (again.optimiser, again.schedule) == (state.optimiser, state.schedule)
    assert all(np.array_equal(a, again.best.params[name]) for name, a in state.best.params.items())


def test_numbers_that_json_has_not_come_back(tmp_path):
    state = train(callbacks=[Interrupt(2)]).state
    lines = [dataclasses.replace(e, validation_score=math.nan, loss=1 / 3) for e in state.history]
    lines[1] = dataclasses.replace(lines[1], validation_score=None)
    best = dataclasses.replace(state.best, merit=-math.inf)
    save_checkpoint(tmp_path / "c", dataclasses.replace(state, history=lines, best=best))
    again = load_checkpoint(tmp_path / "c")
    assert math.isnan(again.history[0].validation_score)
    assert again.history[1] == lines[1]
    assert again.best.merit == -math.inf


def test_how_often_it_is_written(tmp_path, monkeypatch):
    now, written = [0.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    class Noted(Checkpoint):
        def save(self, state):
            written.append(state.epoch)

    def take(callback_seconds, every):
        written.clear()

        def wait(_):
            now[0] += callback_seconds

        train(callbacks=[wait], checkpoint=Noted(tmp_path / "c", every))
        return list(written)

    assert take(0, 2) == take(100, "2") == [2, 4, 6]
    assert take(10, "25s") == [4]
    assert take(10, "10s") == [2, 3, 4, 5, 6]
    assert take(9, module.EVERY) == []
    train(checkpoint=tmp_path / "c")
    assert list(tmp_path.iterdir()) == []  # a short training writes nothing in vain


@pytest.mark.parametrize(
    "every", [0, -1, True, "0", "s", "1 s", "-1s", "1m", 1.5, None, [], "1e3s"]
)
def test_what_is_no_number_of_epochs_or_seconds(every):
    with pytest.raises(InputError, match=r"every so many epochs, .* got") as caught:
        cadence(every)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_cannot_be_written_warns_once_and_training_goes_on(tmp_path):
    whole, left = train(), []
    checkpoint = Checkpoint(tmp_path / "there" / "c", 1)
    with pytest.warns(
        UserWarning, match=r"no checkpoint: cannot write .*/c: make the folder"
    ) as warned:
        assert_same(train(checkpoint=checkpoint, callbacks=[lambda now: left.append(1)]), whole)
    assert (len(warned), len(left)) == (1, EPOCHS)
    assert "\n" not in str(warned[0].message)
    real, train_on = Checkpoint.save, Checkpoint(tmp_path / "c", 1)
    fails = iter([OSError(28, "No space left on device"), MemoryError(), None, None, None, None])

    def save(self, state):
        if (error := next(fails)) is not None:
            raise error
        real(self, state)

    Checkpoint.save = save
    try:
        with pytest.warns(UserWarning, match="no checkpoint: .*No space left on device"):
            train(checkpoint=train_on)
    finally:
        Checkpoint.save = real
    assert load_checkpoint(tmp_path / "c").epoch == EPOCHS


def test_a_state_of_something_else_is_refused():
    state = train(callbacks=[Interrupt(2)]).state
    for case, said in (
        ("adamw", "state is that of optimiser 'adam.*asks for 'adamw"),
        ("lbfgs", "asks for 'lbfgs'"),
        ("one_cycle", "state is that of schedule 'constant', the config asks for 'one_cycle"),
    ):
        with pytest.raises(InputError, match=said):
            train(case, state=state)
    other = dataclasses.replace(state, params=Network((5, 3, 1)).init("glorot_normal"))
    with pytest.raises(InputError, match="w1 has shape"):
        train(state=other)
    with pytest.raises(InputError, match="state must be a TrainState, got dict"):
        train(state={})
    with pytest.raises(InputError, match="params are None"):
        fit(NET, None, Rows(X, T), TrainConfig())


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": -1},
        {"step": 1.5},
        {"seed": "x"},
        {"optimiser": ["adam", "1", 2]},
        {"optimiser": ["nadam", "inf"]},
        {"schedule": "no"},
        {"learning_rate": -1.0},
        {"best": []},
    ],
)
def test_a_forged_file_is_refused_in_one_line(tmp_path, change):
    train(callbacks=[Interrupt(2)], checkpoint=tmp_path / "c")
    tensors, kept = read_sealed(tmp_path / "c")
    kept["state"] |= change
    write_sealed(tmp_path / "c", tensors, kept)
    with pytest.raises(InputError, match="c is not a usable checkpoint") as caught:
        load_checkpoint(tmp_path / "c")
    assert "\n" not in str(caught.value)


def test_lbfgs_starts_again_and_refuses_dropout():
    state = train("lbfgs", [Interrupt(4)]).state
    assert (state.epoch, state.step, state.history[: state.epoch]) == (0, 0, [])
    net = Network((5, 12, 1), dropout=0.2)
    with pytest.raises(InputError, match=r"dropout needs another optimiser than 'lbfgs'"):
        fit(net, net.init("glorot_normal"), Rows(X, T), TrainConfig(optimiser="lbfgs"))

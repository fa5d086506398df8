"""Formulas of a user's own: taken if they are right, refused with one line if not."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import backhand
from backhand import Network
from backhand.check import (
    register_activation,
    register_initialiser,
    register_layer,
    register_loss,
    register_optimiser,
    register_schedule,
    verify,
)
from backhand.check.networks import random_case
from backhand.errors import InputError
from backhand.formulas.activations import ACTIVATIONS, Activation
from backhand.formulas.initialisers import INITIALISERS, Initialiser, choose_initialiser
from backhand.formulas.losses import LOSSES, choose_loss
from backhand.formulas.optimisers import OPTIMISERS, Optimiser, choose_optimiser, clipping
from backhand.formulas.schedules import SCHEDULES, Schedule, choose_schedule

REGISTER = {
    "activation": (register_activation, ACTIVATIONS),
    "loss": (register_loss, LOSSES),
    "optimiser": (register_optimiser, OPTIMISERS),
    "schedule": (register_schedule, SCHEDULES),
    "initialiser": (register_initialiser, INITIALISERS),
}


@pytest.fixture(autouse=True)
def tables_as_before():
    before = [(table, dict(table)) for _, table in REGISTER.values()]
    yield
    for table, entries in before:
        table.clear()
        table.update(entries)


BUMP = Activation(
    "bump",
    lambda xp, z: xp.exp(-0.5 * z * z),
    lambda xp, z, y, dy: -dy * z * y,
    saves=("z", "y"),
)


def sign_update(xp, w, g, m, *, rate, beta):
    # Bernstein 2018, signSGD with momentum
    m = beta * m + (1.0 - beta) * g
    return w - rate * xp.where(m > 0, 1.0, xp.where(m < 0, -1.0, 0.0 * m)), m


SIGN = Optimiser(
    "sign",
    sign_update,
    ("m",),
    lambda step, rate, beta: {"rate": rate, "beta": beta},
    parameters=(("beta", 0.9),),
)
STEPS = Schedule("halves", lambda xp, step, steps: 0.5 ** (4.0 * step // steps))
NARROW = Initialiser(
    "narrow", lambda fan_in, fan_out, gain: gain / fan_in, parameters=(("gain", 2.0),)
)


# taken ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", REGISTER)
def test_each_of_ours_is_taken_under_another_name(kind):
    register, table = REGISTER[kind]
    for entry in list(table.values()):
        own = dataclasses.replace(entry, name=f"own_{entry.name}")
        assert register(own) is own
        assert table[own.name] is own


def test_what_is_registered_trains_by_name(rng):
    register_activation(BUMP)
    register_optimiser(SIGN)
    register_schedule(STEPS)
    register_initialiser(NARROW)
    network = Network((3, 8, 1), activation="bump", dtype="float64")
    assert verify(network, *random_case(np.random.default_rng(0), network))
    rows = backhand.Rows(rng.standard_normal((60, 3)), rng.standard_normal((60, 1)))
    settings = backhand.TrainConfig(
        epochs=3, batch_size=20, optimiser="sign:beta=0.8", schedule="halves"
    )
    params = network.init("narrow:gain=3", 0)
    compiled, arrays = (
        backhand.fit(network, params, rows, dataclasses.replace(settings, engine=engine))
        for engine in ("llvm", "numpy")
    )
    for name, a in compiled.params.items():
        np.testing.assert_allclose(a, arrays.params[name], rtol=1e-9, atol=1e-12)
    w = network.init("narrow", 0)["w1"]
    assert np.array_equal(network.init("narrow:gain=4.0", 0)["w1"], 2 * w)


# refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", REGISTER)
def test_a_name_that_is_taken_or_cannot_be_written_is_refused(kind):
    register, table = REGISTER[kind]
    entry = next(iter(table.values()))
    with pytest.raises(InputError, match=f"{kind} '{entry.name}' is already there"):
        register(dataclasses.replace(entry))
    for name in ("a b", "x:y", "", "1st", "huber of tanh", "a=b", "größe", 3):
        with pytest.raises(InputError, match="a name has letters, digits and underscores"):
            register(dataclasses.replace(entry, name=name))
    with pytest.raises(InputError, match="expected, got 'relu'"):
        register("relu")


def test_the_name_of_several_quantiles_is_taken():
    with pytest.raises(InputError, match="already there"):
        register_loss(dataclasses.replace(LOSSES["huber"], name="quantiles"))


def test_a_wrong_derivative_is_refused_with_the_worst_point():
    wrong = dataclasses.replace(BUMP, vjp=lambda xp, z, y, dy: dy * z * y)
    with pytest.raises(InputError, match=r"does not match its function.*got .*want .*z="):
        register_activation(wrong)
    assert "bump" not in ACTIVATIONS
    wrong = dataclasses.replace(
        LOSSES["softmax_cross_entropy"], name="own", grad=LOSSES["mean_squared_error"].grad
    )
    with pytest.raises(InputError, match="does not match"):
        register_loss(wrong)
    assert "own" not in LOSSES


def test_what_does_not_compile_is_refused():
    def forward(xp, z):
        return np.exp(-0.5 * z * z)  # not xp

    with pytest.raises(InputError, match="activation 'bump'"):
        register_activation(dataclasses.replace(BUMP, forward=forward))


def rescaled(xp, w, g, *, rate):
    return (w - rate * g / np.sqrt((g * g).sum()),)


def sgd(xp, w, g, *, rate):
    return (w - rate * g,)


def plain(step, rate):
    return {"rate": rate}


@pytest.mark.parametrize(
    ("update", "state", "scalars", "said"),
    [
        (rescaled, (), plain, "element by element: one gradient moves all of the parameter"),
        (sgd, ("m",), plain, r"cannot be evaluated: TypeError"),
        (lambda xp, w, g, *, rate: w - rate * g, (), plain, "must return a tuple of 1"),
        (lambda xp, w, g, *, rate: (w[0],), (), plain, r"shape \(7,\)"),
        (
            lambda xp, w, g, *, rate: ((w - rate * g).astype("float64"),),
            (),
            plain,
            "dtype float64 in place of .* float32",
        ),
        (lambda xp, w, g, *, rate: (w / (0.0 * g),), (), plain, "not finite at step 1|evaluated"),
        (sgd, (), lambda step, rate: {"rate": rate / (step - 3.0)}, "at step 3|evaluated"),
        (sgd, (), lambda step, rate: {"rate": rate * np.max(step)}, "in an array of steps"),
        (sgd, (), lambda step, rate: {}, "cannot be evaluated: TypeError"),
    ],
)
def test_an_optimiser_that_is_none_is_refused(update, state, scalars, said):
    with np.errstate(all="ignore"), pytest.raises(InputError, match=said):
        register_optimiser(Optimiser("own", update, state, scalars))
    assert "own" not in OPTIMISERS


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (lambda xp, step, steps: 1.0, "shape"),
        (lambda xp, step, steps: 1.0 - 2.0 * step / steps, "factor at step 2 of 2|at least 0"),
        (lambda xp, step, steps: np.where(step == 5, np.nan, 1.0), "at step 5 of 17 is nan"),
        (lambda xp, step, steps: step / max(step.max(), 1.0), "which other steps"),
        (lambda xp, step: 1.0 + step, "cannot be evaluated: TypeError"),
    ],
)
def test_a_schedule_that_is_none_is_refused(factor, said):
    with pytest.raises(InputError, match=said):
        register_schedule(Schedule("own", factor))
    assert "own" not in SCHEDULES


@pytest.mark.parametrize(
    ("scale", "distribution", "said"),
    [
        (lambda d, k: 0.0, "normal", "finite number above 0"),
        (lambda d, k: math.inf, "normal", "finite number above 0"),
        (lambda d, k: 1.0 / (d - 1), "normal", "cannot be evaluated: ZeroDivisionError"),
        (lambda d, k: np.ones(d), "normal", "finite number above 0"),
        (lambda d, k: 1.0, "cauchy", "distribution must be one of"),
    ],
)
def test_an_initialiser_that_is_none_is_refused(scale, distribution, said):
    with pytest.raises(InputError, match=said):
        register_initialiser(Initialiser("own", scale, distribution))
    assert "own" not in INITIALISERS


def test_of_threads_that_register_one_name_one_succeeds():
    outcomes = []
    barrier = threading.Barrier(8)

    def run():
        own = dataclasses.replace(STEPS)
        barrier.wait()
        try:
            outcomes.append(register_schedule(own))
        except InputError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [o for o in outcomes if isinstance(o, Schedule)]
    assert len(taken) == 1
    assert SCHEDULES["halves"] is taken[0]
    assert sum("already there" in str(o) for o in outcomes) == 7


# pickles --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    [
        ACTIVATIONS["elu"].with_(alpha=0.5),
        dataclasses.replace(LOSSES["poisson"], outputs="sum"),
        choose_loss("quantiles:0.1,0.9"),
        choose_loss("huber:delta=2.0 of tanh"),
        clipping(choose_optimiser("adam:beta1=0.8"), 0.5),
        choose_schedule("cosine:warmup=0.2"),
        choose_initialiser("lsuv"),
    ],
    ids=lambda entry: entry.spec,
)
def test_entries_survive_pickling_and_copying(entry):
    again = pickle.loads(pickle.dumps(entry))
    assert again == entry == copy.deepcopy(entry)


def test_registered_entries_with_lambdas_survive_and_say_where_they_are_missing():
    register_activation(BUMP)
    network = Network((3, 4, 1), activation="bump")
    text = pickle.dumps(network)
    assert pickle.loads(text).activations == network.activations
    del ACTIVATIONS["bump"]
    with pytest.raises(InputError, match=r"unknown activation 'bump'.*register_activation before"):
        pickle.loads(text)


def test_another_formula_of_a_known_name_is_not_taken_for_it():
    changed = dataclasses.replace(ACTIVATIONS["relu"], kinks=(0.0, 1.0))
    assert pickle.loads(pickle.dumps(changed)).kinks == (0.0, 1.0)
    other = dataclasses.replace(ACTIVATIONS["relu"], forward=BUMP.forward)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(other)


def test_a_pickle_is_read_by_a_process_that_has_imported_nothing(tmp_path):
    (tmp_path / "entry").write_bytes(pickle.dumps(LOSSES["huber"].with_(delta=2)))
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).spec)"
    found = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "entry"], capture_output=True, text=True, check=True
    )
    assert found.stdout == "huber:delta=2.0\n"


def test_all_of_them_are_public():
    assert backhand.register_layer is register_layer
    assert backhand.Layer is backhand.layers.Layer
    for kind in REGISTER:
        assert getattr(backhand, f"register_{kind}") is REGISTER[kind][0]
        assert getattr(backhand, kind.capitalize()) is type(next(iter(REGISTER[kind][1].values())))


def raises(*args, **keywords):
    raise RuntimeError("one\ntwo")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value": raises}, "cannot be evaluated: RuntimeError: one$"),
        ({"inverse_link": None}, "cannot be evaluated: TypeError"),
        ({"inverse_link": lambda xp, z: None}, "inverse_link gives object"),
        ({"inverse_link": lambda xp, z: z[:, 0]}, r"inverse_link gives float64 \(\d+,\)"),
        ({"parameters": 3}, "parameters must be pairs"),
        ({"limits": (("a", 1),)}, "parameters must be pairs"),
    ],
)
def test_a_loss_that_is_no_loss_is_refused_in_one_line(changes, said):
    own = dataclasses.replace(LOSSES["mean_squared_error"], name="own", **changes)
    with pytest.raises(InputError, match=said) as caught:
        register_loss(own)
    assert "\n" not in str(caught.value)
    assert "own" not in LOSSES

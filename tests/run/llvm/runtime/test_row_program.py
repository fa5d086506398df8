"""Stages as machine code for one row give the bits of the networks, and what NumPy answers."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from backhand.check.examples import EXAMPLES
from backhand.check.networks import random_inputs, random_parameters
from backhand.export.program import program_of_network
from backhand.network import Network
from backhand.plan.buffers import BATCH, Buffer, Role
from backhand.plan.nodes import Map
from backhand.plan.step import plan_of_nodes
from backhand.run.llvm import tuning
from backhand.run.llvm.program.row_program import RowProgram, RowStage
from backhand.run.llvm.runtime.frozen import RowFunctions
from backhand.run.llvm.runtime.row_program import frozen_program
from backhand.serve.serving import row_program
from backhand.testing import assert_near


def functions_of(program):
    """The row functions of the stages of an export's program."""
    return RowFunctions(frozen_program(row_program(program)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", EXAMPLES)
def test_rows_one_by_one_and_at_once(kind, dtype):
    its_layers, inputs = EXAMPLES[kind]
    network = Network(its_layers, inputs=inputs, loss="huber", dtype=dtype)
    rng = np.random.default_rng(0)
    params, x = random_parameters(rng, network), random_inputs(rng, network, 20)
    functions = functions_of(program_of_network(network, params))
    bad, y = functions.prepared(x.tobytes(), len(x))
    assert bad == 0
    y = np.array(y).reshape(len(x), -1)
    z = network.forward(params, x, "llvm")  # huber has no link
    wanted = network.expected(z)
    if network.members is None:
        assert np.array_equal(y, wanted)
    else:  # the mean of members: two roundings for each
        rounding = 2 * network.members * np.finfo(dtype).eps
        assert_near(y, wanted, rounding, rounding * np.abs(z).max())
    for row in range(len(x)):
        assert np.array_equal(functions.prepared(x[row].tobytes())[1][:], y[row])


def test_links_are_those_of_the_network():
    network = Network((7, 20, 5), loss="softmax_cross_entropy")
    params = network.init("glorot_normal", seed=1)
    functions = functions_of(program_of_network(network, params))
    x = np.random.default_rng(0).standard_normal((20, 7)).astype("f4")
    _, y = functions.prepared(x.tobytes(), 20)
    few_ulp = 8 * np.finfo("f4").eps  # of exp, beside NumPy's
    assert_near(np.array(y).reshape(20, 5), network.predict(params, x), few_ulp, few_ulp)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_number_that_is_not_finite_is_told_by_its_row(bad, dtype):
    network = Network((7, 20, 1), dtype=dtype)
    functions = functions_of(program_of_network(network, network.init("glorot_normal")))
    x = np.full((3, 7), np.finfo(dtype).max, dtype)
    x[1:] = 1.0
    assert functions.prepared(x.tobytes(), 3)[0] == 0
    x[2, 6] = bad
    assert functions.prepared(x.tobytes(), 3)[0] == 3


def halves(xp, v, centre):
    return (v - centre) * 0.5


def test_a_row_is_prepared_for_two_networks():
    """Values are taken in another order, computed in double, ordered again, and rounded."""
    values = Buffer("values", (BATCH, 3), role=Role.INPUT)
    centre = Buffer("centre", (3,), role=Role.CONSTANT)
    out = Buffer("prepared", (BATCH, 3))
    constants = np.array([1.0, 2.0, 1e-9])
    prepare = RowStage(
        plan_of_nodes([Map(halves, (values, centre), (out,))], [values], [centre], out, "float64"),
        {"centre": constants},
    )
    networks = [Network((3, 8, 2), activation="tanh"), Network((3, 4, 2), activation="relu")]
    params = [network.init("glorot_normal", seed=k) for k, network in enumerate(networks)]
    stages = [
        row_program(program_of_network(network, some)).networks[0]
        for network, some in zip(networks, params, strict=True)
    ]
    z1, z2 = (Buffer(f"z{k}", (BATCH, 2), role=Role.INPUT) for k in (1, 2))
    y = Buffer("y", (BATCH, 2))
    answer = plan_of_nodes(
        [Map(lambda xp, a, b: a + 2.0 * b, (z1, z2), (y,))], [z1, z2], [], y, "float64"
    )
    program = RowProgram(tuple(stages), RowStage(answer, {}), prepare, (1, 0, 1), (2, 0, 1))
    functions = RowFunctions(frozen_program(program, raw=2))
    rows = np.random.default_rng(0).standard_normal((10, 2))
    _, found = functions.raw(rows.tobytes(), 10)
    x = ((rows[:, [1, 0, 1]] - constants) * 0.5)[:, [2, 0, 1]].astype("f4")
    a, b = (n.forward(p, x, "llvm") for n, p in zip(networks, params, strict=True))
    wanted = a.astype(float) + 2.0 * b.astype(float)
    assert np.array_equal(np.array(found).reshape(10, 2), wanted)


@pytest.mark.parametrize("least", [0, 1 << 60])
def test_many_threads(monkeypatch, least):
    """Whether the interpreter's lock is released or not."""
    monkeypatch.setattr(tuning, "UNLOCKING_WORK", least)
    network = Network((8, 40, 3), activation="relu", loss="softmax_cross_entropy")
    functions = functions_of(program_of_network(network, network.init("kaiming_normal")))
    rows = [row.tobytes() for row in np.random.default_rng(0).standard_normal((1000, 8), "f4")]
    wanted = [functions.prepared(row)[1][:] for row in rows]
    wrong = []

    def work(seed):
        for k in np.random.default_rng(seed).permutation(1000):
            if functions.prepared(rows[k])[1][:] != wanted[k]:
                wrong.append(k)

    team = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    assert not wrong

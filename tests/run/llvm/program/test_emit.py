"""Networks of every layer: machine code against the array executor, and against itself."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.check.examples import EXAMPLES
from backhand.check.kernels import check_plan, random_problem, trained
from backhand.formulas.optimisers import OPTIMISERS, clipping
from backhand.network import Network
from backhand.plan.step import gradient_plan
from backhand.run.array_executor import ArrayTrainer
from backhand.run.llvm.runtime.engine import CompiledTrainer, Forward
from backhand.testing import assert_near

from ..native_formulas import TARGETS
from ..targets import on_target

ROWS, BATCH, STEPS = 37, 10, 4
LOSSES = ("softmax_cross_entropy", "mean_squared_error")
CASES = [  # each with one dtype and one loss here, with the others in the campaigns
    pytest.param(name, dtype, loss, marks=() if number % 4 == turn else pytest.mark.campaign)
    for number, name in enumerate(EXAMPLES)
    for turn, (dtype, loss) in enumerate((d, s) for d in ("float64", "float32") for s in LOSSES)
]


def problem(name, dtype, loss=LOSSES[0], rows=ROWS):
    layers, inputs = EXAMPLES[name]
    network = Network(layers, inputs=inputs, loss=loss, dtype=dtype)
    return network, *random_problem(np.random.default_rng(len(name)), network, rows, True)


@pytest.mark.parametrize(("name", "dtype", "loss"), CASES)
def test_every_buffer_is_what_numpy_makes_of_those_before(name, dtype, loss):
    network, params, (x, t, weight) = problem(name, dtype, loss)
    plan = gradient_plan(network, dropout=True, wrt_input=True)
    t = t if network.loss.by_row else t.astype(dtype)
    given = {"x": x, "t": t, "weight": weight.astype(dtype)}
    shown = [b for r in plan.results for b in (r.buffer, r.gradient) if b is not None]
    opened = tuple(dict.fromkeys(b.name for b in (*shown, plan.dx) if b.name in plan.buffers))
    lines = check_plan(name, plan, params, given, opened)
    given_back = {*opened, plan.loss.name, *(gradient.name for _, gradient in plan.gradients)}
    written = {out.name for node in plan.nodes for out in node.writes}
    assert len(lines) == len(given_back & written)
    assert [str(line) for line in lines if not line.passed] == []


@pytest.mark.parametrize(("name", "dtype", "loss"), CASES)
def test_one_row_and_many_have_the_logits_of_numpy(name, dtype, loss):
    network, params, (x, _, _) = problem(name, dtype, loss)
    want = network.forward(params, x, "numpy")
    many = Forward(network, params, 2)(x)
    assert_near(many, want, *((1e-11, 1e-12) if dtype == "float64" else (2e-4, 2e-4)))
    predict = Forward(network, params)
    alone = np.concatenate([predict(x[n : n + 1]) for n in range(len(x))])
    np.testing.assert_array_equal(alone, many)


def training(name, dtype, optimiser, kind=CompiledTrainer, **keywords):
    network, params, data = problem(name, dtype)
    given = network, params, data, optimiser
    return trained(kind, *given, batch=BATCH, steps=STEPS, **keywords)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(
    "optimiser", [OPTIMISERS["adamw"], clipping(OPTIMISERS["sgd"], 0.1)], ids=["adamw", "clipped"]
)
def test_training_is_that_of_the_array_executor_on_any_number_of_threads(name, optimiser):
    got, losses = training(name, "float64", optimiser, threads=1)
    want, expected = training(name, "float64", optimiser, ArrayTrainer)
    assert_near(np.array(losses), np.array(expected), 1e-8, 1e-9)
    for key, a in want.items():
        assert_near(got[key], a, 1e-7, 1e-8)
    for threads in (2, 3, 8):
        other, again = training(name, "float64", optimiser, threads=threads)
        assert again == losses
        for key, a in got.items():
            np.testing.assert_array_equal(other[key], a, err_msg=f"{key}, {threads} threads")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_bits_for_any_instruction_set(name, monkeypatch):
    adam = OPTIMISERS["adam"]
    want, losses = training(name, "float32", adam, threads=1)
    for target in TARGETS:
        on_target(monkeypatch, target)
        got, again = training(name, "float32", adam, threads=1)
        assert again == losses, target
        for key, a in want.items():
            np.testing.assert_array_equal(got[key], a, err_msg=f"{key}, {target}")


def test_rows_are_taken_in_blocks_with_the_same_result():
    """With tables that are made before the rows, and more rows than a block has."""
    name = "piecewise_linear"
    network, params, (x, _, _) = problem(name, "float64", rows=1030)
    want = network.forward(params, x, "numpy")
    for threads in (1, 2, 3):
        assert_near(Forward(network, params, threads)(x), want, 1e-11, 1e-12)

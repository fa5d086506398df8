"""Graphs of formulas, run element by element, against NumPy's formulas."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.optimisers import OPTIMISERS
from backhand.run.llvm.program.formula_graphs import row_formula, sum_graph
from backhand.run.llvm.program.kernel_plan import Fused, RowMap
from backhand.run.namespaces import NUMPY

from ..native_formulas import map_elements
from .plans import training


def test_an_epilogue_is_the_formulas_behind_a_product(rng):
    kernel_plan = training(20, 50, 3, activation="silu")
    forward, *_, backward = (k for k in kernel_plan.kernels if isinstance(k, Fused))
    silu = ACTIVATIONS["silu"]
    z, dy = rng.standard_normal((2, 40))
    found = row_formula(forward, kernel_plan)
    assert (found.reads, found.layers, found.scalars) == ((), (), ())
    want = {"z1": z, "y1": silu.forward(NUMPY, z)}
    got = map_elements(found.graph, "f8", {"product": z, "row": 0, "column": 0})
    for buffer, a in zip(found.stores, got, strict=True):
        np.testing.assert_allclose(a, want[buffer.name], rtol=1e-14)
    found = row_formula(backward, kernel_plan)
    assert {buffer.name for buffer in found.reads} == {"z1", "y1"}
    given = {f"read{i}": want[buffer.name] for i, buffer in enumerate(found.reads)}
    (a,) = map_elements(found.graph, "f8", {"product": dy, "row": 0, "column": 0, **given})
    np.testing.assert_allclose(a, silu.vjp(NUMPY, z, want["y1"], dy), rtol=1e-14)


def test_layers_with_noise_take_its_key_and_the_scalars_of_the_step():
    kernel_plan = training(20, 50, 3, dropout=0.5)
    found = row_formula(kernel_plan.kernels[0], kernel_plan)
    assert (found.reads, found.layers) == ((), (1,))
    assert [buffer.kind for buffer in found.scalars] == ["word", "real"]
    assert found.graph.inputs["key0"] == "word"
    assert (found.graph.inputs["scalar0"], found.graph.inputs["scalar1"]) == ("word", "scalar")


def test_the_loss_reads_a_row_and_gives_its_weighted_gradient():
    kernel_plan = training(20, 50, 3)
    (kernel,) = (k for k in kernel_plan.kernels if isinstance(k, RowMap))
    found = row_formula(kernel, kernel_plan)
    kinds = {b.name: found.graph.inputs[f"read{i}"] for i, b in enumerate(found.reads)}
    assert kinds == {"z2": "real", "t": "index", "weight": "scalar"}
    assert found.graph.inputs["total"] == "scalar"
    assert len(found.graph.outputs) == len(found.stores)


@pytest.mark.parametrize("which", ["w1", "b1"])
@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_an_update_is_the_optimisers_with_its_penalty_and_clipping(rng, name, clips, which):
    rule = OPTIMISERS[name]
    kernel_plan = training(20, 50, 3, optimiser=name, clip=1.0 if clips else None)
    (each,) = (s for s in kernel_plan.sums if s.update.parameter.name == which)
    w, g, *state = rng.uniform(0.5, 1, (2 + len(rule.state), 40))
    given = {key: float(value) for key, value in rule.scalars(3, 0.1, **rule.keywords).items()}
    l2, clip = 0.3, 0.25
    graph, operands = sum_graph(each, tuple(given), "update" if clips else "")
    assert operands == each.update.writes
    at = {"gradient": g, **{f"read{i}": a for i, a in enumerate((w, *state))}}
    at |= {key: np.full(40, value) for key, value in given.items()}
    at |= {"l2": np.full(40, l2), "clip": np.full(40, clip)}
    found = map_elements(graph, "f8", {key: at[key] for key in graph.inputs})
    penalised = which == "w1"
    gradient = g * clip if clips else g + l2 * w if penalised else g
    for got, want in zip(found, rule.update(NUMPY, w, gradient, *state, **given), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)
    if clips:
        graph, operands = sum_graph(each, tuple(given), "gradient")
        at["read1"] = w  # the operands of this phase are the gradient and the parameter
        (got,) = map_elements(graph, "f8", {key: at[key] for key in graph.inputs})
        np.testing.assert_allclose(got, g + l2 * w if penalised else g, rtol=1e-13)

"""Graphs of formulas, run element by element, against NumPy's formulas."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.formulas.optimisers import OPTIMISERS
from backhand.run.llvm.program.formula_graphs import batch_sum_graph, fused_graph, row_loss_graph
from backhand.run.llvm.program.kernel_plan import Fused, RowLoss
from backhand.run.namespaces import NUMPY

from ..native_formulas import map_elements
from .plans import training


def test_an_epilogue_is_the_formulas_behind_a_product(rng):
    arranged, _ = training(20, 50, 3, activation="silu")
    forward, *_, backward = (g for g in arranged.rowwise if isinstance(g, Fused))
    silu = arranged.plan.description.activations[0]
    z, dy = rng.standard_normal((2, 40))
    graph, reads, layers = fused_graph(forward, {})
    assert (reads, layers) == ((), ())
    found = map_elements(graph, "f8", {"product": z, "row": 0, "column": 0})
    want = {"z1": z, "y1": silu.forward(NUMPY, z)}
    for name, got in zip(forward.stored, found, strict=True):
        np.testing.assert_allclose(got, want[name], rtol=1e-14)
    graph, reads, _ = fused_graph(backward, {})
    assert set(reads) == {"z1", "y1"}
    given = {f"read{i}": want[name] for i, name in enumerate(reads)}
    (got,) = map_elements(graph, "f8", {"product": dy, "row": 0, "column": 0, **given})
    np.testing.assert_allclose(got, silu.vjp(NUMPY, z, want["y1"], dy), rtol=1e-14)


def test_layers_with_noise_take_its_key():
    arranged, _ = training(20, 50, 3, dropout=0.5)
    graph, reads, layers = fused_graph(arranged.rowwise[0], {"words1": 1})
    assert (reads, layers) == ((), (1,))
    assert graph.inputs["key0"] == "word"


def test_the_loss_reads_a_row_and_gives_its_weighted_gradient():
    arranged, _ = training(20, 50, 3)
    (group,) = (g for g in arranged.rowwise if isinstance(g, RowLoss))
    graph, reads = row_loss_graph(group, "index")
    assert reads == ("z2", "t", "weight")
    assert [graph.inputs[name] for name in ("total", *reads)] == [
        "scalar",
        "real",
        "index",
        "scalar",
    ]
    assert len(graph.outputs) == len(group.stored)


@pytest.mark.parametrize("parameter", ["w1", "b1"])
@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_an_update_is_the_optimisers_with_its_penalty_and_clipping(rng, name, clips, parameter):
    rule = OPTIMISERS[name]
    arranged, scalars = training(20, 50, 3, optimiser=name, clip=1.0 if clips else None)
    (batch_sum,) = (b for b in arranged.batch_sums if b.update.parameter == parameter)
    w, g, *state = rng.uniform(0.5, 1, (2 + len(rule.state), 40))
    given = {key: float(value) for key, value in rule.scalars(3, 0.1, **rule.keywords).items()}
    l2, clip = 0.3, 0.25
    phase = "update" if clips else ""
    graph, operands = batch_sum_graph(batch_sum, scalars, phase)
    assert operands == (parameter, *(f"{kept}_{parameter}" for kept in rule.state))
    at = {"gradient": g, **{f"read{i}": a for i, a in enumerate((w, *state))}}
    at |= {key: np.full(40, value) for key, value in given.items()}
    at |= {"l2": np.full(40, l2), "clip": np.full(40, clip), "clip_norm": np.ones(40)}
    found = map_elements(graph, "f8", {key: at[key] for key in graph.inputs})
    decayed = parameter == "w1"
    gradient = g * clip if clips else g + l2 * w if decayed else g
    for got, want in zip(found, rule.update(NUMPY, w, gradient, *state, **given), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)
    if clips:
        graph, _ = batch_sum_graph(batch_sum, scalars, "gradient")
        at["read1"] = w  # the operands of this phase are the gradient and the parameter
        (got,) = map_elements(graph, "f8", {key: at[key] for key in graph.inputs})
        np.testing.assert_allclose(got, g + l2 * w if decayed else g, rtol=1e-13)

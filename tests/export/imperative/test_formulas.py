from __future__ import annotations

import numpy as np
import pytest

from backhand import Network
from backhand.export.imperative.formulas import Applied, dtype_of, formula_of, traced
from backhand.plan.step import gradient_plan
from backhand.run.arrays import Values, perform
from backhand.run.namespaces import NUMPY


def values_of(plan, network):
    """Every buffer of one row."""
    rng = np.random.default_rng(0)
    given = {name: a.astype("float64") for name, a in network.init("kaiming_normal").items()}
    given |= {"x": rng.normal(size=(1, 4)), "t": np.array([[1]]), "weight": np.ones((1, 1))}
    values = Values(given, NUMPY)
    for node in plan.nodes:
        perform(node, values)
    return values


@pytest.mark.parametrize("adding", [False, True])
def test_formulas_over_one_row_give_what_nodes_do(adding):
    network = Network((4, 5, 3), loss="softmax_cross_entropy", dtype="float64")
    plan = gradient_plan(network)
    values, seen = values_of(plan, network), 0
    for node in plan.nodes:
        if not isinstance(node, Applied):
            continue
        formula, inputs, outs, _ = formula_of(node, adding)
        given = [values[b] for b in inputs]
        if len(outs[0].axes) == 0 and adding:
            given[-1] = np.zeros(())  # what the sum begins with
        found = formula(NUMPY, *given)
        for out, one in zip(outs, found if isinstance(found, tuple) else (found,), strict=True):
            np.testing.assert_allclose(np.squeeze(one), np.squeeze(values[out]), rtol=1e-14)
        seen += 1
    assert seen == 7


def test_inputs_have_names_and_dtypes():
    plan = gradient_plan(Network((4, 5, 3), loss="softmax_cross_entropy"))
    (node,) = [n for n in plan.nodes if plan.t in n.reads and n.writes[0].name == "grad"]
    formula, inputs, _, axes = formula_of(node)
    graph, names = traced(formula, inputs, axes)
    assert list(names.values()) == ["x0", "x1"]
    assert [dtype_of(b, "float64") for b in names] == ["float64", "int32"]
    assert graph.inputs == {"x0": "real", "x1": "index"}

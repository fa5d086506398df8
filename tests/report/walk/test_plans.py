from __future__ import annotations

import numpy as np

from backhand import Network
from backhand.layers import Activate, Linear, Residual
from backhand.report.walk.plans import DRAWN, plan_data, plan_of


def data_of(network, rows=5):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, network.inputs))
    t = rng.integers(0, network.outputs, rows)
    return plan_data(network, network.init("kaiming_normal"), x, t)


def test_layers_of_a_chain():
    network = Network((20, 30, 3), loss="softmax_cross_entropy", dtype="float64")
    data = data_of(network)
    assert [layer["title"] for layer in data["layers"]] == ["inputs", "layer 1", "logits"]
    _, hidden, logits = data["layers"]
    assert hidden["buffers"] == ["z1", "y1"]
    assert hidden["gradients"] == ["dz1", "dy1"]
    assert hidden["edges"] == {"left": "x", "right": "w1", "scale": 1.0}
    assert logits["edges"]["left"] == "y1"
    assert len(hidden["shown"]) == DRAWN
    assert len(logits["shown"]) == 3
    assert [p["gradient"] for p in data["parameters"]] == ["dw1", "db1", "dw2", "db2"]
    assert data["nodes"][data["lossNode"]]["writes"] == ["loss"]
    assert data["kinks"] == [["z1", [0.0]]]
    assert data["lookups"] == []
    assert data["depth"] == 30


def test_units_that_matter_most_are_drawn():
    network = Network((2, 30, 3), loss="softmax_cross_entropy", dtype="float64")
    params = {name: 0.0 * a for name, a in network.init("kaiming_normal").items()}
    params["b1"][[4, 11, 29]] = 1.0
    params["w2"][[4, 11, 29]] = [[1.0, 0.0, 2.0]]
    data = plan_data(network, params, np.ones((2, 2)), np.array([0, 1]))
    assert {4, 11, 29} <= set(data["layers"][1]["shown"])


def test_what_follows_from_a_buffer():
    """Every buffer's followers include all that read it, and nothing that made it."""
    layers = [Linear(4), Residual([Activate("tanh"), Linear(4)]), Activate("relu"), Linear(3)]
    network = Network(layers, inputs=4, loss="softmax_cross_entropy", dtype="float64")
    data = data_of(network)
    plan = plan_of(network)
    for name, first in data["after"].items():
        if name in plan.buffers:
            buffer = plan.buffers[name]
            for i, node in enumerate(plan.nodes[: data["lossNode"] + 1]):
                assert buffer not in node.reads or i >= first
                assert buffer not in node.writes or i < first


def test_formulas_are_of_buffers():
    network = Network((4, 5, 1), loss="mean_squared_error", dtype="float64")
    data = plan_data(network, network.init("kaiming_normal"), np.ones((2, 4)), np.ones((2, 1)))
    for node in data["nodes"]:
        for line in node.get("lines", ()):
            for kind, of in line["parts"]:
                assert kind != "input" or of in node["reads"]
    (value,) = [node for node in data["nodes"] if node["writes"] == ["value"]]
    assert [line["name"] for line in value["lines"]] == ["a", ""]

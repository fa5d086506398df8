"""Functions for each node: the buffers of the array executor, and lines of formulas."""

from __future__ import annotations

import numpy as np

from backhand import Network
from backhand.check.networks import random_case, random_network
from backhand.export.javascript.files import js_text
from backhand.export.javascript.nodes import homes_of
from backhand.export.program import program_of_network
from backhand.plan.step import gradient_plan
from backhand.run.arrays import Values, perform
from backhand.run.namespaces import NUMPY

from .modules import needs_node, run

pytestmark = needs_node

BODY = """
const net = m.networks[0], b = net.buffers(net.parameters);
b.x.set(data.x.map(Number)); b.t.set(data.t.map(Number));
for (const node of net.nodes) node(b);
return { b, lines: net.lines.map((of) => of(b, 0)) };
"""


def in_float64(network):
    return Network(network.layers, inputs=network.inputs, loss=network.loss, dtype="float64")


def test_buffers_of_random_networks(tmp_path):
    texts, given, cases = [], [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        network = random_network(rng, seed)
        params, x, t, _ = random_case(rng, network)
        texts.append(js_text(program_of_network(network, params), nodes=True))
        given.append({"x": x[0], "t": np.reshape(t[0], -1)})
        cases.append((network, params, x[:1], t[:1]))
    for found, (network, params, x, t) in zip(
        run(tmp_path, texts, given, BODY), cases, strict=True
    ):
        plan = gradient_plan(network, wrt_input=True)
        t = t.reshape(1, -1)
        values = Values({**params, "x": x, "t": t, "weight": np.ones((1, 1))}, NUMPY)
        for node in plan.nodes:
            perform(node, values)
        for buffer in homes_of(plan):
            if buffer.kind != "real":
                continue
            wanted = np.ravel(values[buffer])
            scale = max(1.0, np.abs(wanted).max(initial=0.0, where=np.isfinite(wanted)))
            got = np.array(found["b"][buffer.name], float)
            # 1e-9: a thousand roundings and the bounds of the functions, of numbers of this size
            np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9 * scale)


def test_lines_end_with_what_the_node_gives(tmp_path):
    network = in_float64(Network((4, 5, 3), activation="gelu", loss="softmax_cross_entropy"))
    params = network.init("kaiming_normal")
    text = js_text(program_of_network(network, params), nodes=True)
    (found,) = run(tmp_path, [text], [{"x": [1, 2, 3, 4], "t": [2]}], BODY)
    plan = gradient_plan(network, wrt_input=True)
    seen = 0
    for node, lines in zip(plan.nodes, found["lines"], strict=True):
        if lines:
            assert lines[-1] == found["b"][node.writes[0].name]
            seen += 1
    assert seen == 7


def test_modules_have_them_only_if_asked():
    network = Network((4, 5, 3))
    program = program_of_network(network, network.init("kaiming_normal"))
    assert "nodes: [" in js_text(program, nodes=True)
    assert "nodes: [" not in js_text(program)

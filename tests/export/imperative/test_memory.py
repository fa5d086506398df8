"""Where the buffers of one row lie."""

from __future__ import annotations

import pytest

from backhand import Network
from backhand.check.examples import EXAMPLES
from backhand.export.imperative.memory import Memory, Place, size_of
from backhand.plan.step import forward_plan, gradient_plan


def arranged(plan, results):
    names = {plan.x: "x", plan.t: "t", plan.weight: "weight"}
    names |= {p.buffer: p.buffer.name for p in plan.parameters}
    return Memory(plan.nodes, names, {b: f"y{i}" for i, b in enumerate(results)})


def test_a_chain_of_layers_needs_no_more_than_its_two_widest_results():
    plan = forward_plan(Network((784, 50, 40, 30, 10), activation="silu"))
    memory = arranged(plan, (plan.logits,))
    assert memory.scratch == 90
    assert memory.place(plan.logits) == Place("y0", 0, 0)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_still_read_is_not_overwritten(name):
    layers, inputs = EXAMPLES[name]
    plan = gradient_plan(Network(layers, inputs=inputs), wrt_input=True)
    memory = arranged(plan, [plan.loss, *(gradient for _, gradient in plan.gradients)])
    holds = {}
    for node in plan.nodes:
        for buffer in node.reads:
            place = memory.place(buffer.home)
            if place.array == "s":
                for at in range(place.offset, place.offset + size_of(buffer.home)):
                    assert holds[at] == buffer.home, f"{node} reads {buffer} at {at}"
        for buffer in node.writes:
            place = memory.place(buffer.home)
            if place.array == "s":
                cells = range(place.offset, place.offset + size_of(buffer.home))
                holds |= dict.fromkeys(cells, buffer.home)

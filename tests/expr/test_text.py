# ruff: noqa: RUF001 - the signs are those of people
from __future__ import annotations

import re

import pytest

from backhand.expr.text import lines_of
from backhand.expr.trace import trace
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.losses import LOSSES


def texts(formula, *inputs):
    """Each line of a formula as text."""
    lines = lines_of(trace(formula, inputs))
    found = []
    for line in lines:
        parts = [lines[p.of].name if p.kind == "line" else p.of or "k" for p in line.parts]
        found.append(f"{line.name or f'y{line.output}'} = {''.join(parts)}")
    return found


Z, T = ("z", "real"), ("t", "index")


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (lambda xp, z: xp.maximum(z, 0.0) - 0.5, "y0 = max(z, 0) − 0.5"),
        (lambda xp, z: -(z - 1.0) * 2.0, "y0 = −(z − 1) × 2"),
        (lambda xp, z: 1.0 / (2.0 / z), "y0 = 1 / (2 / z)"),
        (lambda xp, z: z - (1.0 - 3.0 * z), "y0 = z − (1 − 3 × z)"),
        (lambda xp, z: xp.where(z <= -1.0, z, xp.abs(z)), "y0 = z if z ≤ −1 else |z|"),
        (lambda xp, z: 2.0 * xp.where(z > 0, z, 1.0), "y0 = 2 × (z if z > 0 else 1)"),
        (lambda xp, z: z, "y0 = z"),
    ],
)
def test_a_formula_in_one_line(formula, text):
    assert texts(formula, Z) == [text]


def test_sums_over_a_row_have_lines_of_their_own():
    assert texts(LOSSES["softmax_cross_entropy"].grad, Z, T) == [
        "m = largest of all z",
        "e = exp(z − m)",
        "s = sum of all e",
        "a = e / s",
        "y0 = a − 1 if k = t else a",
    ]


def test_several_outputs_of_which_one_is_used_again():
    assert texts(lambda xp, z: (xp.exp(z), xp.exp(z) * z), Z) == ["e = exp(z)", "y1 = e × z"]


FORMULAS = [
    *((f.forward, 1, f.parameters, "real") for f in ACTIVATIONS.values()),
    *((f.vjp, 3, f.parameters, "real") for f in ACTIVATIONS.values()),
    *(
        (formula, 2, loss.parameters, "index" if loss.by_row else "real")
        for loss in LOSSES.values()
        for formula in (loss.value, loss.grad)
    ),
]


@pytest.mark.parametrize(("formula", "count", "parameters", "kind"), FORMULAS)
def test_every_line_refers_to_earlier_ones(formula, count, parameters, kind):
    inputs = [Z, ("t", kind), ("dy", "real")][:count]
    graph = trace(formula, inputs, dict(parameters))
    lines = lines_of(graph)
    names = [line.name for line in lines if line.name]
    assert len({*names}) == len(names)
    assert {line.output for line in lines} >= {*range(len(graph.outputs))}
    for place, line in enumerate(lines):
        for part in line.parts:
            assert part.kind != "line" or part.of < place
            assert part.kind != "line" or lines[part.of].name
        text = "".join(str(p.of) for p in line.parts)
        assert text.count("(") == text.count(")")
        assert not re.search("None|Part", text)

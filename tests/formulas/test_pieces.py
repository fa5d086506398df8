"""Piecewise-linear features: bins, how far into them, and edges that make sense."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.formulas import pieces
from backhand.run.namespaces import NUMPY
from backhand.testing import assert_near

EDGES = (-1.0, 0.0, 0.5, 2.0)


def test_a_number_lies_in_the_bin_whose_left_edge_is_at_or_below_it():
    x = np.array([[-5.0], [-1.0], [-0.1], [0.0], [0.4], [0.5], [2.0], [9.0]])
    inner = np.array(EDGES[1:-1])
    assert pieces.which(NUMPY, x, inner)[:, 0].tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    want = np.searchsorted(inner, x[:, 0], side="right")
    assert np.array_equal(pieces.which(NUMPY, x, inner)[:, 0], want)
    assert pieces.which(NUMPY, x, np.array([np.inf])).max() == 0


def test_parts_go_from_0_to_1_and_beyond_at_the_ends():
    low, inverse = np.array(EDGES[:-1]), 1 / np.diff(EDGES)
    x, bins = np.array([-2.0, -1.0, -0.25, 0.0, 0.25, 1.25, 2.0, 5.0]), [0, 0, 0, 1, 1, 2, 2, 2]
    part = pieces.part(NUMPY, x, low[bins], inverse[bins])
    assert_near(part, [-1.0, 0.0, 0.75, 0.0, 0.5, 0.5, 1.0, 3.0], rtol=1e-14)


def test_what_is_embedded_is_the_sum_over_the_bins(rng):
    """As the recipe has it: component t is clamped to 0 and 1, but for the ends."""
    w, c = rng.standard_normal((2, 4))
    v = rng.standard_normal((3, 4))
    x = rng.uniform(-3, 4, 200)
    widths = np.diff(EDGES)
    components = (x[:, None] - np.array(EDGES[:-1])) / widths
    components[:, 1:] = np.maximum(components[:, 1:], 0)
    components[:, :-1] = np.minimum(components[:, :-1], 1)
    want = w * x[:, None] + c + components @ v
    bins = pieces.which(NUMPY, x[:, None], np.array(EDGES[1:-1])).astype(int)[:, 0]
    part = pieces.part(NUMPY, x, np.array(EDGES[:-1])[bins], 1 / widths[bins])[:, None]
    upto = np.cumsum(v, axis=0)[bins]
    got = pieces.embedded(NUMPY, x[:, None], w, c, part, upto, v[bins])
    assert_near(got, want, rtol=1e-12, atol=1e-13)


def test_its_derivatives(rng):
    x, part, dy = rng.standard_normal((3, 20, 1))
    w, step = rng.standard_normal((2, 4))
    inverse = np.array([[0.5]])
    dw, dstep = pieces.embedded_vjp(NUMPY, x, part, dy)
    assert np.array_equal(dw, dy * x)
    assert np.array_equal(dstep, dy * (part - 1))
    rows = np.broadcast_to(dy, (20, 4))
    dx = pieces.embedded_vjp_input(NUMPY, w, inverse, step, rows)
    assert_near(dx, (rows * (w + 0.5 * step)).sum(1, keepdims=True), rtol=1e-14)


def test_constants_of_columns_with_fewer_bins_are_filled_up():
    edges = pieces.checked_edges([EDGES, (1, 3)])
    assert edges == (EDGES, (1.0, 3.0))
    inner = pieces.inner_edges(edges)(None, (2, 2))
    assert inner == [[0.0, 0.5], [pieces.FAR, pieces.FAR]]
    spans = pieces.spans(edges)(None, (2, 3, 2))
    assert_near(spans[0], [[-1.0, 1.0], [0.0, 2.0], [0.5, 2 / 3]], rtol=1e-14)
    assert spans[1] == [[1.0, 0.5], [0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ((), "edges of bins are needed for one column at least"),
        ([(0.0, 1.0), (2.0,)], r"edges of column 1 must be two or more .* got \(2.0,\)"),
        ([(0.0, 0.0)], "edges of column 0 must be .* increase"),
        ([(0.0, 2.0, 1.0)], "edges of column 0 must be .* increase"),
        ([(0.0, math.inf)], "edges of column 0 must be .* finite"),
        ([(math.nan, 1.0)], "edges of column 0 must be"),
        (5, "edges must be numbers for each column, got 5"),
        ([0.0, 1.0], "edges must be numbers for each column"),
        ([("a", "b")], "edges must be numbers for each column"),
    ],
)
def test_edges_that_make_no_sense_are_told_in_one_line(edges, said):
    with pytest.raises(InputError, match=said) as caught:
        pieces.checked_edges(edges)
    assert "\n" not in str(caught.value)

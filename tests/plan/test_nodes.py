"""Symbols: a formula of the linear layer is recorded as it is written."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.formulas import linear
from backhand.plan.nodes import ColumnSum, Matmul, Symbol
from backhand.run.arrays import perform
from backhand.run.namespaces import NUMPY


def test_records_what_the_linear_layer_does():
    x, w, b, dz = map(Symbol, ("x", "w", "b", "dz"))
    assert linear.linear(x, w, b) == Matmul("x", False, "w", False, "b")
    assert linear.linear_vjp_input(w, dz) == Matmul("dz", False, "w", True)
    assert linear.linear_vjp_weights(x, dz) == (Matmul("x", True, "dz", False), ColumnSum("dz"))
    assert x == x.T.T


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("bias", [None, "b"])
def test_what_is_recorded_is_what_is_done(left, right, bias, rng):
    """The recorded node, performed, gives what the same line gives on arrays."""
    at = {"a": rng.random((4, 3)), "c": rng.random((3, 5)), "b": rng.random(5)}
    at["a"] = at["a"].T.copy() if left else at["a"]
    at["c"] = at["c"].T.copy() if right else at["c"]

    def line(a, c, b):
        product = (a.T if left else a) @ (c.T if right else c)
        return product + b if bias else product

    node = line(*map(Symbol, "acb"))
    want = line(at["a"], at["c"], at["b"])
    at[""] = None
    perform(node, at, NUMPY)
    assert np.array_equal(at[""], want)


@pytest.mark.parametrize("bad", [lambda s: s.sum(1), lambda s: s.T.sum(0)])
def test_only_rows_are_summed(bad):
    with pytest.raises(ValueError, match="may only sum over rows"):
        bad(Symbol("dz"))

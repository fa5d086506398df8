"""A formula of the linear layer is recorded as it is written."""

from __future__ import annotations

import pytest

from backhand.formulas import linear
from backhand.plan.buffers import BATCH, Buffer
from backhand.plan.nodes import BatchSum, Product
from backhand.plan.recording import Recorded, RecordedSum, Symbol

N, D, K = BATCH, 4, 3


def named(**axes):
    return [Buffer(name, of) for name, of in axes.items()]


def test_records_what_the_linear_layer_does():
    x, w, b, dz = buffers = named(x=(N, D), w=(D, K), b=(K,), dz=(N, K))
    sx, sw, sb, sdz = map(Symbol, buffers)
    assert linear.linear(sx, sw, sb) == Recorded(sx, sw, b)
    assert linear.linear(sx, sw, None, 0.5) == Recorded(sx, sw, None, 0.5)
    assert linear.linear_vjp_input(sw, sdz, 0.5) == Recorded(sdz, sw.T, scale=0.5)
    assert linear.linear_vjp_weights(sx, sdz) == (Recorded(sx.T, sdz), RecordedSum(dz))
    assert sx == sx.T.T
    (out,) = named(out=(D, K))
    assert Recorded(sx.T, sdz, scale=0.5).into(out) == Product(x, True, dz, False, out, None, 0.5)
    (total,) = named(total=(K,))
    assert RecordedSum(dz).into(total) == BatchSum(dz, total)
    assert w not in Recorded(sx.T, sdz).into(out).reads


@pytest.mark.parametrize("bad", [lambda s: s.sum(1), lambda s: s.T.sum(0)])
def test_only_rows_are_summed(bad):
    with pytest.raises(ValueError, match="may only sum over rows"):
        bad(Symbol(Buffer("dz", (N, K))))

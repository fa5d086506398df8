"""What is fused into a kernel, and which buffers are stored."""

from __future__ import annotations

import pytest

from backhand import BackhandError, Network
from backhand.plan.nodes import Map
from backhand.plan.step import Plan, forward_plan
from backhand.run.llvm.program.kernel_plan import Fused, RowLoss, schedule

from .plans import training


def test_formulas_join_the_product_before_them():
    arranged, _ = training(20, 50, 30, 3, dropout=0.5)
    kinds = [type(group) for group in arranged.rowwise]
    assert kinds == [Fused, Fused, Fused, RowLoss, Fused, Fused]  # forward, loss, backward
    first, *_, loss, _, last = arranged.rowwise
    assert [node.out for node in first.maps] == ["y1", "h1"]
    assert {"y1", "h1"} <= set(first.stored)  # the next layer and the derivative read them
    assert "dz3" in loss.stored
    assert last.product.out == "dh1"
    assert last.stored == ("dz1",)  # what only an epilogue reads is not kept


def test_every_parameter_has_its_sum_and_its_update():
    arranged, _ = training(20, 50, 30, 3)
    updated = [batch_sum.update.parameter for batch_sum in arranged.batch_sums]
    assert sorted(updated) == ["b1", "b2", "b3", "w1", "w2", "w3"]
    for batch_sum in arranged.batch_sums:
        assert batch_sum.node.out == f"d{batch_sum.update.parameter}"
    assert arranged.transposed == ("w3", "w2")
    assert not arranged.clips
    assert training(20, 50, 3, clip=1.0)[0].clips
    assert training(20, 50, 3, sparse=True)[0].sparse


def test_what_the_caller_wants_is_stored():
    plan = forward_plan(Network((4, 3, 2)))
    assert [group.stored for group in schedule(plan, ("z2",)).rowwise] == [("y1",), ("z2",)]
    assert schedule(plan, ("z1", "z2")).rowwise[0].stored == ("z1", "y1")


def test_a_plan_that_no_kernel_fits_is_refused():
    network = Network((4, 2))
    first = Map(network.loss.value, ("x", "t"), "value")
    with pytest.raises(BackhandError, match="no kernel for a plan that begins with Map"):
        schedule(Plan(network, (first, *forward_plan(network).nodes)))

"""Which nodes become one kernel, and in which phase it runs."""

from __future__ import annotations

import pytest

from backhand.formulas.optimisers import OPTIMISERS, clipping
from backhand.network import Network
from backhand.plan.layers import (
    Activate,
    Columns,
    Concat,
    Dropout,
    Embedding,
    GatedLinear,
    LayerNorm,
    Linear,
    PiecewiseLinear,
    Residual,
)
from backhand.plan.nodes import BatchSum, Cumulate, Lookup, Product, ScatterAdd
from backhand.plan.step import forward_plan, training_plan
from backhand.run.llvm.program.kernel_plan import Fused, RowMap, plan_kernels, reduces

ADAM = OPTIMISERS["adam"]
EDGES = ((0.0, 1.0, 2.0), (0.0, 1.0))


def kernel_plan_of(layers, inputs=4, optimiser=ADAM, **keywords):
    network = Network(layers, inputs=inputs, loss="softmax_cross_entropy")
    return plan_kernels(training_plan(network, optimiser, **keywords))


def stored(kernel):
    return [buffer.name for buffer in kernel.stored]


def test_a_chain_has_a_phase_by_rows_and_one_by_parameters():
    found = kernel_plan_of([Linear(5), Activate("tanh"), Dropout(0.1), Linear(3)])
    rows, sums = found.phases
    first, last, loss, back = rows.rows
    assert [type(kernel) for kernel in rows.rows] == [Fused, Fused, RowMap, Fused]
    assert (stored(first), stored(last), stored(back)) == (["y1", "h1"], ["z2"], ["dz1"])
    assert stored(loss) == ["loss", "dz2"]
    assert sums.rows == rows.sums == ()
    assert {each.update.parameter.name for each in sums.sums} == {"w1", "b1", "w2", "b2"}
    assert {type(each.node) for each in sums.sums} == {Product, BatchSum}
    assert found.first is first
    assert found.first_update.parameter.name == "w1"
    assert found.has_barriers


def test_formulas_that_reduce_over_a_row_are_no_epilogue():
    found = kernel_plan_of([Linear(5), LayerNorm(), Activate("tanh"), Linear(3)])
    kernels = found.phases[0].rows
    norm = kernels[1]
    assert isinstance(norm, RowMap)
    assert [reduces(node) for node in norm.nodes] == [True, False]  # the activation joins it
    backward = [kernel for kernel in kernels[4:] if isinstance(kernel, RowMap)]
    assert [len(kernel.nodes) for kernel in backward] == [1]  # what it reduces is in memory


def test_halves_of_a_product_are_read_from_memory():
    found = kernel_plan_of([GatedLinear(5), Linear(3)])
    product, gate = found.phases[0].rows[:2]
    assert isinstance(gate, RowMap)
    assert stored(product) == ["z1"]


def test_tables_are_made_before_the_rows_and_their_sums_after():
    found = kernel_plan_of([PiecewiseLinear(EDGES, 3), Linear(3)], inputs=2)
    rows, sums = found.phases
    assert [type(each.node) for each in found.parameter_only] == [Cumulate]
    assert any(isinstance(kernel, Lookup) for kernel in rows.rows)
    kinds = [type(each.node) for each in sums.sums if each.in_memory]
    assert kinds == [ScatterAdd, ScatterAdd, Cumulate]
    forward = plan_kernels(forward_plan(found.plan.description))
    assert not forward.has_barriers
    assert [type(each.node) for each in forward.parameter_only] == [Cumulate]
    assert [bool(phase.rows) for phase in forward.phases] == [True]


@pytest.mark.parametrize(
    ("layers", "inputs"),
    [
        ([LayerNorm(), Linear(3)], 4),  # its rows are of another kernel
        ([Residual([Linear(4)]), Linear(3)], 4),  # others read x too
        ([Concat([Linear(4), Linear(2)]), Linear(3)], 4),
        ([Columns(0, 2, [Linear(4)]), Linear(3)], 4),
        ([Concat([Columns(0, 3), Columns(3, 1, [Embedding(2, 3)])]), Linear(3)], 4),
    ],
)
def test_where_the_first_layer_is_shared_out_by_rows_alone(layers, inputs):
    assert kernel_plan_of(layers, inputs).first is None


@pytest.mark.parametrize(
    ("layers", "in_place"),
    [
        ([Linear(3)], True),
        ([Concat([Linear(4), Linear(2)]), Linear(3)], True),
        ([Linear(4), LayerNorm(), Linear(3)], True),
        ([LayerNorm(), Linear(3)], False),
        ([Columns(0, 2, [Linear(4)]), Linear(3)], False),
    ],
)
def test_only_products_read_the_callers_rows_where_they_are(layers, in_place):
    assert kernel_plan_of(layers).reads_x_in_products_only == in_place


def test_scalars_of_a_step_have_places():
    layers = [Linear(5, learning_rate=2.0), Dropout(0.1), Linear(3)]
    found = kernel_plan_of(layers, optimiser=clipping(ADAM, 0.1))
    one = tuple(ADAM.scalars(1, 1.0, **ADAM.keywords))
    assert found.reals[: len(one)] == one
    assert found.reals[-2:] == ("clip_norm", found.clip.out.name)
    assert f"{one[0]}.1" in found.reals
    assert found.words == ("threshold1",)

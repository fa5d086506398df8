"""Where the buffers of a kernel plan lie."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.formulas.optimisers import OPTIMISERS
from backhand.network import Network
from backhand.plan.layers import (
    Activate,
    BatchEnsemble,
    Concat,
    Linear,
    MemberLinear,
    MemberScale,
    Periodic,
)
from backhand.plan.step import training_plan
from backhand.run.llvm.program.buffers import Layout, Place
from backhand.run.llvm.program.kernel_plan import plan_kernels

FLOAT, INDEX = np.dtype("f4"), np.dtype("i8")
SOURCES = {"all_x": FLOAT, "all_t": INDEX, "all_weight": FLOAT}


def layout(layers, inputs=4, panel=0):
    network = Network(layers, inputs=inputs, loss="softmax_cross_entropy")
    return Layout(plan_kernels(training_plan(network, OPTIMISERS["adam"])), panel)


def places(found):
    stored = {*found.batched, *found.static}
    buffers = found.kernel_plan.plan.buffers.values()
    return {b.name: found.place(b) for b in buffers if b.home.name in stored}


def test_rows_have_room_for_whole_vectors_and_numbers_of_rows_have_none():
    found = layout([Linear(17), Activate("tanh"), Linear(3)])
    strides = {name: stride for name, (stride, _) in found.batched.items()}
    assert strides == {"x": 16, "t": 1, "weight": 1, "y1": 32, "z2": 16, "dz1": 32, "dz2": 16} | {
        "loss": 1
    }
    assert found.batched["t"][1] == np.int32
    assert found.static["w1"] == (4, 32)
    assert found.static["w2.T"] == (3, 32)
    assert found.static["b2"] == (1, 16)
    assert found.exact["m_w1"] == (4, 17)
    assert not found.read_beyond


def test_views_lie_in_their_base():
    found = layout([Concat([Linear(5), Linear(3)]), Linear(3)])
    at = places(found)
    assert at["z1"] == Place("joined2", 0, 16, 0)
    assert at["z2"] == Place("joined2", 5, 16, 0)
    assert "z2" not in found.batched
    assert "djoined2" in found.read_beyond


def test_members_lie_side_by_side():
    found = layout([MemberScale(3), BatchEnsemble(3, 5), MemberLinear(3, 2)])
    at = places(found)
    assert at["z1"] == Place("z1", 0, 48, 16)
    assert at["z1"].is_even(3)
    assert at["r0"] == Place("r0", 0, 0, 16)  # a vector for each
    assert not at["r0"].is_even(3)
    assert at["b2"] == Place("b2", 0, 0, 16)
    w = found.kernel_plan.plan.buffers["w2"]
    assert found.matrix(w) == Place("w2", 0, 16, 5 * 16)
    assert found.matrix(w, is_transposed=True) == Place("w2.T", 0, 16, 2 * 16)
    assert at["loss"] == Place("loss", 0, 3, 1)
    assert found.batched["loss"][0] == 3


def test_columns_of_members_may_lie_apart():
    found = layout([Periodic(frequencies=5, width=3), Linear(2)], inputs=2)
    view = next(b for b in found.kernel_plan.plan.buffers.values() if b.base and b.width == 2)
    assert found.place(view) == Place(view.base.name, 1, 16, 3)
    assert not found.place(view).is_even(2)


@pytest.mark.parametrize(
    ("layers", "packed"),
    [
        ([Linear(256), Linear(3)], True),
        ([Linear(64), Linear(3)], False),  # a single panel
        ([Linear(70), Linear(3)], False),  # too much padding
        ([Concat([Linear(256), Linear(3)]), Linear(3)], False),
    ],
)
def test_which_weights_lie_in_panels(layers, packed):
    found = layout(layers, 9, panel=64)
    assert found.packed == (("w1", "m_w1", "v_w1") if packed else ())
    if packed:
        assert found.static["w1"] == (4 * 9, 64)


def test_a_table_has_an_entry_for_every_buffer_and_no_name_twice():
    found = layout([Linear(5), Linear(3)])
    slots = found.slots(SOURCES)
    assert {*found.batched, *found.static} <= slots.keys()
    assert slots["all_x"].shape == (None, 4)
    found.batched["rows"] = 16, FLOAT
    with pytest.raises(InputError, match="may not be called 'rows'"):
        found.slots(SOURCES)
    with pytest.raises(InputError, match="class indices"):
        layout([Linear(3)]).slots({**SOURCES, "all_t": FLOAT})

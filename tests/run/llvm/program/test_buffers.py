"""What a program expects in its table, and how its buffers are laid out."""

from __future__ import annotations

import pytest

from backhand import InputError
from backhand.run.llvm.ir.padding import padded
from backhand.run.llvm.program.buffers import (
    buffer_strides,
    can_split_k,
    inputs_of_a_thread,
    packed,
    program_slots,
    static_shapes,
)

from .plans import KINDS, SPARSE_KINDS, training

PANEL = 64


def test_parameters_and_their_state_lie_alike_and_padded():
    arranged, _ = training(20, 50, 3)
    shapes = static_shapes(arranged, PANEL)
    assert shapes["w1"] == (20, padded(50, 4))
    assert shapes["b2"] == (1, padded(3, 4))
    assert shapes["w2.T"] == (3, padded(50, 4))  # which the gradient at the first layer reads
    for name in ("w1", "b1", "w2", "b2"):
        assert shapes[f"m_{name}"] == shapes[f"v_{name}"] == shapes[name]
    assert not {"z1", "dz2", "x"} & shapes.keys()


def test_wide_first_layers_lie_in_panels_unless_these_would_waste_memory():
    assert packed(training(10, 256, 3)[0], PANEL) == ("w1", "m_w1", "v_w1")
    assert packed(training(10, 64, 3)[0], PANEL) == ()  # a single one
    assert packed(training(10, 65, 3)[0], PANEL) == ()
    assert packed(training(10, 256, 3, sparse=True)[0], PANEL) == ()
    arranged, _ = training(10, 250, 3)
    assert static_shapes(arranged, PANEL)["w1"] == (4 * 10, PANEL)
    assert buffer_strides(arranged, PANEL)["w1"] == PANEL


def test_few_units_with_many_inputs_may_split_k():
    assert can_split_k(training(784, 50, 10)[0], PANEL)
    assert not can_split_k(training(784, 50, 10, sparse=True)[0], PANEL)
    assert not can_split_k(training(20, 50, 10)[0], PANEL)
    for threads in range(1, 9):
        each = inputs_of_a_thread(784, threads)
        assert each % 16 == 0
        assert 784 <= each * threads < 784 + 16 * threads


def test_the_table_has_an_entry_for_every_buffer_and_every_source():
    arranged, scalars = training(20, 50, 3)
    slots = program_slots(arranged, KINDS, len(scalars), PANEL)
    assert {*buffer_strides(arranged, PANEL), *KINDS} <= slots.keys()
    assert slots["t"].dtype == "int32"
    assert slots["all_x"].shape == (None, 20)
    assert slots["all_x"].strided
    assert slots["scalars"].shape == (None, len(scalars))
    sparse, _ = training(20, 50, 3, sparse=True)
    assert program_slots(sparse, SPARSE_KINDS, len(scalars), PANEL)["all_x"].shape == (None,)


def test_classes_are_whole_numbers():
    arranged, scalars = training(20, 50, 3)
    with pytest.raises(InputError, match="t has dtype float32"):
        program_slots(arranged, {**KINDS, "all_t": KINDS["all_x"]}, len(scalars), PANEL)

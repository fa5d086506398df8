"""The function of one row, by itself: what it is given is neither padded nor aligned."""

from __future__ import annotations

import pytest

from backhand.network import Network
from backhand.plan.step import forward_plan
from backhand.run.llvm.machine.target import Target
from backhand.run.llvm.program.buffers import Layout
from backhand.run.llvm.program.one_row import (
    emit_function,
    given_buffers,
    one_row_plan,
    slots,
)


@pytest.fixture
def kernel_plan():
    return one_row_plan(forward_plan(Network((3, 8, 2), activation="silu")))


def test_the_module_defines_the_function_by_its_name(kernel_plan):
    assert [buffer.name for buffer in given_buffers(kernel_plan)] == ["x"]
    text = str(emit_function(kernel_plan, Target.host(), "stage7", flush=True))
    assert 'define void @"stage7"(ptr %".1", ptr %".2", ptr %".3")' in text


@pytest.mark.parametrize("flush", [False, True])
def test_the_mode_for_subnormal_numbers_is_a_choice(kernel_plan, flush):
    text = str(emit_function(kernel_plan, Target.named("avx2"), "one", flush=flush))
    assert ("ldmxcsr" in text) is flush


def test_the_table_has_the_parameters_and_what_lies_between(kernel_plan):
    names = list(slots(Layout(kernel_plan)))
    assert names[0] == "zeros"
    assert {"w1", "b1", "w2", "b2"} < set(names)

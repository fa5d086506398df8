from __future__ import annotations

import ctypes

import numpy as np
import pytest
from llvmlite import ir

from backhand.run.llvm.ir.simd import Lanes, tree
from backhand.run.llvm.machine.target import compile_module

DTYPES = [np.float32, np.float64]


def run(dtype, count, body, *arrays):
    """Call ``body(lanes, *pointers)`` as native code on arrays."""
    module = ir.Module()
    types = [ir.PointerType()] * len(arrays)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), "f")
    build = ir.IRBuilder(function.append_basic_block("entry"))
    body(Lanes(build, dtype, count), *function.args)
    build.ret_void()
    library = compile_module(module)
    kernel = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arrays))(library.address("f"))
    kernel(*(a.ctypes.data for a in arrays))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.1, -0.0, 1e300, -1e-310, np.inf, np.nan, 1 / 3])
def test_constants_are_exact_to_the_bit(dtype, value):
    out = np.empty(4, dtype)
    run(dtype, 4, lambda lanes, p: lanes.store(lanes.real(value), p), out)
    with np.errstate(over="ignore", under="ignore"):
        want = np.full(4, value, np.float64).astype(dtype)
    np.testing.assert_array_equal(out, want)
    assert np.array_equal(np.signbit(out), np.signbit(want))


@pytest.mark.parametrize("valid", [0, 1, 5, 8])
def test_a_mask_holds_in_the_first_lanes(valid):
    out = np.empty(8)

    def body(lanes, p):
        lanes.store(lanes.where(lanes.first_lanes(valid), lanes.real(1), lanes.real(2)), p)

    run(np.float64, 8, body, out)
    np.testing.assert_array_equal(out, [1.0] * valid + [2.0] * (8 - valid))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("count", "valid"), [(1, 0), (1, 1), (4, 0), (4, 3), (8, 5), (8, 8)])
def test_a_masked_store_leaves_what_lies_beside(dtype, count, valid):
    out = np.full(8, 7, dtype)

    def body(lanes, p):
        lanes.masked_store(lanes.real(1), p, lanes.first_lanes(valid))

    run(dtype, count, body, out)
    np.testing.assert_array_equal(out, [1.0] * valid + [7.0] * (8 - valid))


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_lanes_become_one_number_in_the_order_of_the_tree(count):
    """What `rows` states: halves are added, again and again, whatever the number of lanes."""
    a, out = np.random.default_rng(0).standard_normal(16).astype(np.float32), np.empty(1, "f4")

    def body(lanes, p, q):
        step = lanes.word_element
        places = [
            lanes.builder.gep(p, [step(first)], source_etype=lanes.element)
            for first in range(0, 16, count)
        ]
        parts = [lanes.load(place) for place in places]
        lanes.store(lanes.across(tree(parts, lanes.add), lanes.add), q)

    run(np.float32, count, body, a, out)
    sums = list(a)
    while len(sums) > 1:
        half = len(sums) // 2
        sums = [sums[i] + sums[i + half] for i in range(half)]
    assert out[0] == sums[0]


@pytest.mark.parametrize("count", [1, 2, 8])
def test_columns_count_from_the_first(count):
    out = np.zeros(2 * count, np.uint32)

    def body(lanes, p):
        lanes.store(lanes.columns(7), p)
        first = lanes.builder.load(p, typ=lanes.word_element)
        at = lanes.builder.gep(p, [lanes.word_element(count)], source_etype=lanes.word_element)
        lanes.store(lanes.columns(first), at)

    run(np.float32, count, body, out)
    np.testing.assert_array_equal(out, np.tile(np.arange(7, 7 + count), 2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_extrema_that_pass_nan_of_the_right_side_alone(dtype):
    nan = np.nan
    a, b = np.array([nan, 1, 2, nan], dtype), np.array([1, nan, 1, nan], dtype)
    out = np.empty(8, dtype)

    def body(lanes, p, q, r):
        x, y = lanes.load(p), lanes.load(q)
        lanes.store(lanes.max_keeping_right(x, y), r)
        at = lanes.builder.gep(r, [lanes.word_element(4)], source_etype=lanes.element)
        lanes.store(lanes.min_keeping_right(x, y), at)

    run(dtype, 4, body, a, b, out)
    np.testing.assert_array_equal(out, [1, nan, 2, nan, 1, nan, 1, nan])


@pytest.mark.parametrize("place", [None, 0, 3])
def test_any_nan(place):
    a, out = np.zeros(4), np.empty(1)
    if place is not None:
        a[place] = np.nan

    def body(lanes, p, q):
        one = lanes.scalar
        lanes.store(lanes.builder.uitofp(lanes.any_nan(lanes.load(p)), one.element), q)

    run(np.float64, 4, body, a, out)
    assert out[0] == (place is not None)


def test_other_element_types_are_refused():
    with pytest.raises(ValueError, match="got int32"):
        Lanes(None, np.int32, 4)

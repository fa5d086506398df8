"""What falls to each thread: all of it, nothing twice, and whole units."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from backhand.run.llvm.ir.builder import element, index, ir
from backhand.run.llvm.machine.target import compile_module
from backhand.run.llvm.program.partition import Partition

TABLE = ("threads", "x.per_thread", "x.split_k")
WIDE, PANEL = 300, 64


@pytest.fixture(scope="module")
def ranges():
    """``ranges(threads, own, split_k, whole)``: for each thread its parts, and whether it is in."""
    module, i64 = ir.Module("test"), ir.IntType(64)
    kinds = [ir.PointerType(), i64, i64, ir.PointerType()]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), "ranges")
    table, thread, whole, out = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    at = {n: build.load(element(build, table, index(i), i64), typ=i64) for i, n in enumerate(TABLE)}
    partition = Partition(build, at, thread, PANEL)
    for place, value in enumerate(
        (*partition.part(whole), *partition.part(whole, 16), *partition.columns_of(WIDE))
    ):
        build.store(value, element(build, out, index(place), i64))
    partition.on_one_thread(1, lambda: build.store(index(1), element(build, out, index(6), i64)))
    build.ret_void()
    library = compile_module(module)
    kinds = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    call = ctypes.CFUNCTYPE(None, *kinds)(library.address("ranges"))

    def of(threads, own, split_k, whole):
        table, found = np.array([threads, own, split_k]), np.zeros((threads, 7), np.int64)
        for thread in range(threads):
            call(table.ctypes.data, thread, whole, found[thread].ctypes.data)
        return found

    of.library = library
    return of


def assert_parts(begins, ends, whole, unit):
    assert begins[0] == 0
    assert ends[-1] == whole
    np.testing.assert_array_equal(begins[1:], ends[:-1])
    sizes = ends - begins
    assert not (begins % unit)[sizes > 0].any()
    units = -(-sizes // unit)
    assert units.max() - units.min() <= 1


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("whole", [0, 1, 15, 16, 17, 100, 784, 785])
def test_parts_cover_everything_once(ranges, threads, whole):
    found = ranges(threads, 0, 0, whole)
    assert_parts(found[:, 0], found[:, 1], whole, 1)
    assert_parts(found[:, 2], found[:, 3], whole, 16)
    assert found[:, 6].sum() == 1
    assert found[1 % threads, 6] == 1


def test_columns_are_shared_out_only_to_those_who_own_them(ranges):
    for own, split_k, shared in ((0, 0, False), (99, 1, False), (99, 0, True)):
        found = ranges(2, own, split_k, 5)[:, 4:6]
        if shared:
            assert_parts(found[:, 0], found[:, 1], WIDE, PANEL)
        else:
            np.testing.assert_array_equal(found, [(0, WIDE)] * 2)

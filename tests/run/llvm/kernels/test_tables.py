"""Lookups, their scatter-add, and sums along tables and members, against NumPy."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from llvmlite import ir

from backhand.run.llvm.kernels import tables
from backhand.run.llvm.machine.target import Target, compile_module

from ..native_formulas import TARGETS

DTYPES = ["float32", "float64"]
WIDTHS = (1, 2, 3, 7, 8, 15, 16, 17, 33)
VALUES, ROWS = 5, 29


def native(emit, target, dtype, columns, kinds, *more):
    """A kernel as a function of numbers (i), truth values (b) and arrays (p)."""
    module = ir.Module()
    function = emit(module, Target.named(target), np.dtype(dtype), columns, *more)
    function.linkage = "external"
    library = compile_module(module, Target.named(target))
    types = {"p": ctypes.c_void_p, "i": ctypes.c_int64, "b": ctypes.c_bool}
    call = ctypes.CFUNCTYPE(None, *(types[kind] for kind in kinds))(library.address(function.name))
    call.library = library

    def run(*arguments):
        call(*(a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments))

    return run


def wide(a, stride, room=16):
    """Rows at a distance, between sevens, with room behind the last one."""
    made = np.full(len(a) * stride + room, 7, a.dtype)
    made[: len(a) * stride].reshape(len(a), stride)[:, : a.shape[1]] = a
    return made


def rows(a, stride, count):
    return a[: count * stride].reshape(count, stride)


def numbers(dtype):
    """Numbers of rows, some of which lie outside of the table; and what they then mean."""
    found = np.random.default_rng(0).integers(0, VALUES, ROWS).astype(dtype)
    found[3:8] = (-1, VALUES, np.nan, np.inf, -1e30)
    meant = np.clip(np.nan_to_num(found, nan=0), 0, VALUES - 1).astype(int)
    return found, meant


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", WIDTHS)
def test_lookup(columns, dtype, target):
    given, meant = numbers(dtype)
    table = np.random.default_rng(1).standard_normal((VALUES, columns)).astype(dtype)
    run = native(tables.emit_lookup, target, dtype, columns, "iipipiipi")
    stride, stored = columns + 3, wide(table, columns + 16)
    out = wide(np.full((ROWS, columns), 7, dtype), stride)
    apart = np.repeat(given, 3)
    for begin, end in ((0, 11), (11, ROWS), (4, 4)):
        run(begin, end, apart, 3, stored, columns + 16, VALUES, out, stride)
    np.testing.assert_array_equal(rows(out, stride, ROWS)[:, :columns], table[meant])
    assert (rows(out, stride, ROWS)[:, columns:] == 7).all()  # what lies beside stays
    assert (out[ROWS * stride :] == 7).all()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", WIDTHS)
def test_scatter_adds_in_the_order_of_the_rows(columns, dtype, target):
    given, meant = numbers(dtype)
    source = np.random.default_rng(2).standard_normal((ROWS, columns)).astype(dtype)
    run = native(tables.emit_scatter, target, dtype, columns, "ipipipiiiib")
    want = np.zeros((VALUES, columns), dtype)
    for n, row in enumerate(meant):
        want[row] += source[n]
    stride, stored = -(-columns // 16) * 16, wide(source, columns + 2)
    table = np.full((VALUES, stride), 7, dtype)
    for part in ((0, 2), (2, 2), (2, VALUES)):  # as threads own it
        where = table, stride, VALUES, *part
        run(ROWS, given, 1, stored, columns + 2, *where, True)
    np.testing.assert_array_equal(table[:, :columns], want)
    run(ROWS, given, 1, stored, columns + 2, table, stride, VALUES, 0, VALUES, False)
    for n, row in enumerate(meant):
        want[row] += source[n]
    np.testing.assert_array_equal(table[:, :columns], want)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("columns", [1, 16, 17])
def test_cumulate(columns, plus, reverse, dtype, target):
    stride = -(-columns // 16) * 16
    source, other = np.random.default_rng(3).standard_normal((2, 9, stride)).astype(dtype)
    run = native(tables.emit_cumulate, target, dtype, columns, "iippp", reverse, plus)
    out = np.zeros_like(source)
    run(9, stride, source, other, out)
    turn = slice(None, None, -1 if reverse else 1)
    want = source[turn].cumsum(0, dtype=dtype)[turn]
    want = want + other if plus else want
    np.testing.assert_array_equal(out[:, :columns], want[:, :columns])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("members", [1, 2, 5])
def test_sum_of_members_in_their_order(members, columns, dtype, target):
    source = np.random.default_rng(4).standard_normal((ROWS, members, columns)).astype(dtype)
    run = native(tables.emit_member_sum, target, dtype, columns, "iipiiipi")
    apart = columns + 1
    stored = wide(source.reshape(-1, columns), apart)
    stride = columns + 3
    out = wide(np.full((ROWS, columns), 7, dtype), stride)
    run(0, ROWS, stored, members * apart, apart, members, out, stride)
    want = source[:, 0].copy()
    for member in range(1, members):
        want += source[:, member]
    np.testing.assert_array_equal(rows(out, stride, ROWS)[:, :columns], want)
    assert (rows(out, stride, ROWS)[:, columns:] == 7).all()

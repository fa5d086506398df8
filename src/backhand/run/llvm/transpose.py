"""Transposed copies as native code: of weights, for the products that go backward."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .build import IR, count, element, element_type, index, ir_module
from .target import Target


def emit_transpose(module: IR, name: str, target: Target, dtype: Any) -> IR:
    """Add to the module a function that copies a part of a matrix, transposed.

    It takes the source and its row stride, the copy and its row stride, and ``row_begin``,
    ``row_end``, ``column_begin``, ``column_end`` of the source; strides and positions count
    elements. Exactly ``copy[c, r]`` is written for the rows and columns given, so threads may
    share a matrix out by any ranges.

    Parameters
    ----------
    module, name, target, dtype
        As for `emit_product`.

    Returns
    -------
    ir.Function
        With internal linkage.
    """
    ir = ir_module()
    pointer, i64, real = ir.PointerType(), ir.IntType(64), element_type(dtype)
    function = ir.Function(
        module,
        ir.FunctionType(ir.VoidType(), [pointer, i64, pointer, *[i64] * 5]),
        name,
    )
    function.linkage = "internal"
    source, source_ld, copy, copy_ld, row_begin, row_end, column_begin, column_end = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))

    def place(base: IR, stride: IR, row: IR, column: IR) -> IR:
        return element(build, base, build.add(build.mul(row, stride), column), real)

    def square(row: IR, column: IR, size: int) -> None:
        """Loads, ``log2(size)`` rounds of shuffles, stores."""
        vector = ir.VectorType(real, size) if size > 1 else real
        align = np.dtype(dtype).itemsize
        rows = [
            build.load(
                place(source, source_ld, build.add(row, index(i)), column), typ=vector, align=align
            )
            for i in range(size)
        ]
        for _ in range(size.bit_length() - 1):
            rows = _interleaved(build, rows)
        for i, value in enumerate(rows):
            build.store(value, place(copy, copy_ld, build.add(column, index(i)), row), align=align)

    def columns_of(row: IR, size: int) -> None:
        whole = build.and_(build.sub(column_end, column_begin), index(-size))
        middle = build.add(column_begin, whole)
        count(build, "square", column_begin, middle, lambda c: square(row, c, size), size)
        if size > 1:

            def column_of(column: IR) -> None:
                for i in range(size):
                    square(build.add(row, index(i)), column, 1)

            count(build, "column", middle, column_end, column_of)

    at, lanes = row_begin, target.lanes(dtype)
    for size in sorted({lanes, min(lanes, 4), 1}, reverse=True):
        end = build.add(at, build.and_(build.sub(row_end, at), index(-size)))
        count(build, f"rows{size}", at, end, functools.partial(columns_of, size=size), size)
        at = end
    build.ret_void()
    return function


def _interleaved(build: IR, rows: list[IR]) -> list[IR]:
    """Zip the first half of the rows with the second: one bit of (row, column) moves round."""
    ir = ir_module()
    size = len(rows)
    half = size // 2
    mask_type = ir.VectorType(ir.IntType(32), size)
    masks = [
        ir.Constant(mask_type, [start + i // 2 + size * (i % 2) for i in range(size)])
        for start in (0, half)
    ]
    return [
        build.shuffle_vector(rows[i], rows[half + i], mask) for i in range(half) for mask in masks
    ]

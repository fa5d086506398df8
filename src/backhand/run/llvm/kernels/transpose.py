"""Transposed copies as native code: of weights, for the products that go backward."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..ir.builder import (
    define,
    element,
    element_type,
    for_range,
    index,
    ir,
    unoptimised,
    vector_type,
)
from ..ir.simd import lanes_of
from ..machine.target import Target

LANE_BYTES = 16


def emit_transpose(module: ir.Module, name: str, target: Target, dtype: Any) -> ir.Function:
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
    pointer, i64, real = ir.PointerType(), ir.IntType(64), element_type(dtype)
    function, build = define(module, name, [pointer, i64, pointer, *[i64] * 5])
    unoptimised(function)
    source, source_ld, copy, copy_ld, row_begin, row_end, column_begin, column_end = function.args

    def columns_of(row: ir.Value, rows: int) -> None:
        """All columns of some rows, in squares as far as they go."""
        at = column_begin
        for columns in sorted({rows, 1}, reverse=True):
            block = _emit_block(module, f"{name}.{rows}x{columns}", np.dtype(dtype), rows, columns)

            def copied(column: ir.Value, block: ir.Value = block) -> None:
                places = [
                    element(build, base, build.add(build.mul(r, stride), c), real)
                    for base, stride, r, c in (
                        (source, source_ld, row, column),
                        (copy, copy_ld, column, row),
                    )
                ]
                build.call(block, [places[0], source_ld, places[1], copy_ld])

            end = build.add(at, build.and_(build.sub(column_end, at), index(-columns)))
            for_range(build, "columns", at, end, copied, columns)
            at = end

    at, lanes = row_begin, target.lanes(dtype)
    for rows in sorted({lanes, min(lanes, 4), 1}, reverse=True):
        end = build.add(at, build.and_(build.sub(row_end, at), index(-rows)))
        for_range(build, f"rows{rows}", at, end, functools.partial(columns_of, rows=rows), rows)
        at = end
    build.ret_void()
    return function


def _emit_block(
    module: ir.Module, name: str, dtype: np.dtype, rows: int, columns: int
) -> ir.Function:
    """``block(source, source_ld, copy, copy_ld)``: a square, or a column of the source.

    It is a function of its own: in a loop LLVM would search long for the best way to step through
    its many addresses.
    """
    pointer, i64, real = ir.PointerType(), ir.IntType(64), element_type(dtype)
    function, build = define(module, name, [pointer, i64, pointer, i64])
    function.attributes.add("noinline")
    source, source_ld, copy, copy_ld = function.args

    def vectors(
        base: ir.Value, stride: ir.Value, number: int, size: int
    ) -> list[tuple[ir.Value, Any]]:
        steps = [build.mul(stride, index(i)) for i in range(number)]
        vector = vector_type(real, size)
        return [(element(build, base, step, real), vector) for step in steps]

    values = [
        build.load(place, typ=vector, align=dtype.itemsize)
        for place, vector in vectors(source, source_ld, rows, columns)
    ]
    if columns > 1:
        values = _transposed(build, values, min(rows, LANE_BYTES // dtype.itemsize))
    else:
        whole: ir.Value = ir.Constant(ir.VectorType(real, rows), None) if rows > 1 else values[0]
        for i, value in enumerate(values if rows > 1 else []):
            whole = build.insert_element(whole, value, ir.IntType(32)(i))
        values = [whole]
    for value, (place, _) in zip(values, vectors(copy, copy_ld, columns, rows), strict=True):
        build.store(value, place, align=dtype.itemsize)
    build.ret_void()
    return function


def _transposed(build: ir.IRBuilder, rows: list[ir.Value], lane: int) -> list[ir.Value]:
    """The columns of a square of rows, by shuffles that are one instruction each.

    First within lanes of 128 bits, which have ``lane`` elements, then with whole lanes.
    """
    size = len(rows)
    inner = [_columns(build, rows[first : first + lane], 1, lane) for first in range(0, size, lane)]
    outer = [_columns(build, list(blocks), lane, size) for blocks in zip(*inner, strict=True)]
    return [outer[c % lane][c // lane] for c in range(size)]


def _columns(build: ir.IRBuilder, rows: list[ir.Value], unit: int, group: int) -> list[ir.Value]:
    """Transpose units within groups of elements: those of even columns, and those of odd ones."""
    if len(rows) == 1:
        return rows
    size = lanes_of(rows[0])
    places = [place for place in range(2 * size) if place % size // group == 0]
    halves = []
    for odd in (0, 1):
        chosen = [place for place in places if place // unit % 2 == odd]
        mask = [first + place for first in range(0, size, group) for place in chosen]
        constant = ir.Constant(ir.VectorType(ir.IntType(32), size), mask)
        pairs = zip(rows[::2], rows[1::2], strict=True)
        half = [build.shuffle_vector(a, b, constant) for a, b in pairs]
        halves.append(_columns(build, half, unit, group))
    return [column for pair in zip(*halves, strict=True) for column in pair]

"""Matrix products, column sums and transposed copies as native code.

What a product function computes, for the ranges of rows ``r`` and columns ``c`` it is given::

    acc = start(r, c)
    for k in 0 .. depth-1:  acc = fma(left(r, k), right[k, c], acc)
    epilogue(acc, r, c)

``left`` is read as rows, ``x[r, k]`` (``z = x @ w`` and, with a transposed copy of w,
``dx = dz @ w.T``), or as columns, ``x[k, r]`` (``dw = x.T @ dz``, and nothing is transposed).  The
epilogue is a Python callable that writes the code that uses a finished sum: an activation, the VJP
of one, an optimiser's update.  Sizes, strides and ranges are arguments at run time, so layers of
different sizes share one function, and threads share the work by ranges of rows or columns.

Every sum is one chain in the order of k: neither the tile, nor the lanes, nor the ranges change a
bit of it.  A product that starts from its own earlier result continues the chain, so even blocking
the depth changes nothing.

Buffers are padded so that their rows are whole vectors: columns are read and written in whole
vectors, and what is in the padding never reaches a real column.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from .build import IR, count, element, element_type, index, ir_module, minimum
from .target import Target
from .tiles import SCALAR, Left, Tile, choose_tile, constant, tile_table, tile_type

Start = Literal["zero", "rows"]
Epilogue = Callable[[IR, IR, IR, IR, Sequence[IR]], None]

PRODUCT_ARGUMENTS = (
    "left",
    "left_ld",
    "right",
    "right_ld",
    "right_panel",
    "start",
    "start_ld",
    "row_begin",
    "row_end",
    "column_begin",
    "column_end",
    "depth",
)
"""Arguments of a product function in order; those of the epilogue follow."""

COLUMN_SUM_TILE = Tile(vectors=(4, 2, 1), rows=(1, 1, 1), unroll=(1, 1, 1), rest=(1,))
"""Column sums: several vectors side by side hide the latency of an addition."""

LEFT_BLOCK_BYTES = 1 << 19
"""Rows are taken in blocks whose left operand is about this large, to stay in second-level cache
while all the columns pass by."""


def emit_product(
    module: IR,
    name: str,
    target: Target,
    dtype: Any,
    *,
    left: Left,
    start: Start,
    epilogue: Epilogue,
    extra: Sequence[IR] = (),
    tile: Tile | None = None,
) -> IR:
    """Add to the module a function that multiplies and hands each vector of sums to a formula.

    It returns nothing and takes the following; all strides and positions count elements.

    ``left``, ``left_ld``
        Pointer to ``left(0, 0)`` and the stride of its stored rows.
    ``right``, ``right_ld``, ``right_panel``
        Pointer to ``right[0, 0]``, the stride from k to k + 1, and the stride from one panel of
        ``panel_columns(target, dtype, tile)`` columns to the next. A plain row-major matrix has its
        row stride and ``panel_columns``; panels packed one after the other have ``panel_columns``
        and that times the depth.
    ``start``, ``start_ld``
        With ``start="rows"`` the sum at (r, c) starts from element ``r * start_ld + c``, so that a
        stride of 0 is a row of biases. With ``"zero"`` both are ignored.
    ``row_begin``, ``row_end``, ``column_begin``, ``column_end``, ``depth``
        What to compute. Columns are multiples of the lanes; with packed panels they begin at a
        panel. A depth of 0 gives the starts.
    ``*extra``
        Passed on to the epilogue.

    Parameters
    ----------
    module : ir.Module
    name : str
        Name of the function.
    target : Target
    dtype : float32 or float64
    left : {"rows", "columns"}
        Whether ``left(r, k)`` is ``x[r, k]`` or ``x[k, r]``.
    start : {"zero", "rows"}
    epilogue : callable
        ``epilogue(build, value, row, column, extra)``, called once, here. It writes the code that
        uses and stores ``value``, the vector of columns ``column .. column + lanes - 1`` of
        ``row``. It may open blocks; ``build`` must end in the one where the code goes on.
    extra : sequence of ir.Type
        Types of the epilogue's arguments.
    tile : Tile, optional
        By default what `choose_tile` says.

    Returns
    -------
    ir.Function
        With internal linkage.
    """
    ir = ir_module()
    tile = tile or choose_tile(target)
    dtype = np.dtype(dtype)
    lanes, item, panel = target.lanes(dtype), dtype.itemsize, panel_columns(target, dtype, tile)
    pointer, i64, byte = ir.PointerType(), ir.IntType(64), ir.IntType(8)
    vector = ir.VectorType(element_type(dtype), lanes)
    tiles = tile_table(module, target, dtype, left, tile)
    row_of_zeros = ir.ArrayType(vector, tile.vectors[0])
    zeros = constant(
        module,
        f"zeros.{SCALAR[dtype.name][1]}x{lanes}x{tile.vectors[0]}",
        ir.Constant(row_of_zeros, None),
    )

    kinds = [pointer if a in ("left", "right", "start") else i64 for a in PRODUCT_ARGUMENTS]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [*kinds, *extra]), name)
    function.linkage = "internal"
    given = dict(zip(PRODUCT_ARGUMENTS, function.args, strict=False))
    rest = function.args[len(given) :]
    for key, argument in given.items():
        argument.name = key

    build = ir.IRBuilder(function.append_basic_block("entry"))
    scratch = build.alloca(ir.ArrayType(vector, tile.scratch), name="scratch")
    scratch.align = target.vector_bytes
    stride = {
        key: build.mul(given[key], index(item))
        for key in ("left_ld", "right_ld", "right_panel", "start_ld")
    }
    one_row_left = stride["left_ld"] if left == "rows" else index(item)
    height = tile.rows[0]
    fitting = build.udiv(
        index(LEFT_BLOCK_BYTES // item // height), build.add(given["depth"], index(1))
    )
    fitting = build.select(build.icmp_unsigned(">", fitting, index(1)), fitting, index(1))
    block = build.mul(fitting, index(height))

    def tile_of(row: IR, end: IR, column: IR, width: IR, wide: IR, tall: IR) -> IR:
        """One tile at (row, column) and its epilogue; returns its height."""
        rows, heights = _largest(build, build.sub(end, row), tall, tile.rest)
        which = build.add(build.mul(wide, index(1 + len(tile.rest))), heights)
        kernel = build.load(element(build, tiles, which, pointer), typ=ir.PointerType(tile_type()))
        panels = build.mul(build.udiv(column, index(panel)), stride["right_panel"])
        within = build.mul(build.urem(column, index(panel)), index(item))
        if start == "rows":
            first_ld = stride["start_ld"]
            offset = build.add(build.mul(row, first_ld), build.mul(column, index(item)))
            first = element(build, given["start"], offset, byte)
        else:
            first, first_ld = zeros, index(0)
        arguments = [
            element(build, given["left"], build.mul(row, one_row_left), byte),
            stride["left_ld"],
            element(build, given["right"], build.add(panels, within), byte),
            stride["right_ld"],
            given["depth"],
            first,
            first_ld,
            scratch,
        ]
        build.call(kernel, arguments)

        def row_of(i: IR) -> None:
            def vector_of(j: IR) -> None:
                place = element(build, scratch, build.add(build.mul(i, width), j), vector)
                value = build.load(place, typ=vector)
                here = build.add(column, build.mul(j, index(lanes)))
                epilogue(build, value, build.add(row, i), here, rest)

            count(build, "vector", index(0), width, vector_of)

        count(build, "row", index(0), rows, row_of)
        return rows

    def block_of(first: IR) -> IR:
        end = minimum(build, given["row_end"], build.add(first, block))

        def panel_of(column: IR) -> IR:
            room = build.udiv(build.sub(given["column_end"], column), index(lanes))
            width, wide = _largest(build, room, index(tile.vectors[0]), tile.vectors[1:])
            tall = index(tile.rows[-1])
            for at, rows in enumerate(tile.rows[:-1]):
                tall = build.select(build.icmp_unsigned("==", wide, index(at)), index(rows), tall)
            count(
                build,
                "tile",
                first,
                end,
                lambda row: tile_of(row, end, column, width, wide, tall),
            )
            return build.mul(width, index(lanes))

        count(build, "panel", given["column_begin"], given["column_end"], panel_of)
        return block

    count(build, "block", given["row_begin"], given["row_end"], block_of)
    build.ret_void()
    return function


def panel_columns(target: Target, dtype: Any, tile: Tile | None = None) -> int:
    """How many columns a panel of the right operand has: those of the widest tile."""
    return (tile or choose_tile(target)).vectors[0] * target.lanes(dtype)


def _largest(build: IR, room: IR, first: IR, others: Sequence[int]) -> tuple[IR, IR]:
    """The first of descending sizes that fits, and its number; the last one always does."""
    sizes = [first, *map(index, others)]
    size, which = sizes[-1], index(len(sizes) - 1)
    for at in reversed(range(len(sizes) - 1)):
        fits = build.icmp_signed(">=", room, sizes[at])
        size = build.select(fits, sizes[at], size)
        which = build.select(fits, index(at), which)
    return size, which


def emit_column_sum(
    module: IR,
    name: str,
    target: Target,
    dtype: Any,
    *,
    epilogue: Epilogue,
    extra: Sequence[IR] = (),
) -> IR:
    """Add to the module a function that sums columns, in the order of the rows.

    It is the product with a left operand of ones, since ``fma(1, x, acc)`` is ``acc + x``. It takes
    the source and its row stride, ``row_begin``, ``row_end``, ``column_begin``, ``column_end``,
    and then what the epilogue takes; strides and positions count elements.

    Parameters
    ----------
    module, name, target, dtype, extra
        As for `emit_product`.
    epilogue : callable
        As for `emit_product`; the row that it is given is 0.

    Returns
    -------
    ir.Function
        With internal linkage.
    """
    ir = ir_module()
    tile = COLUMN_SUM_TILE
    product = emit_product(
        module,
        f"{name}.product",
        target,
        dtype,
        left="columns",
        start="zero",
        epilogue=epilogue,
        extra=extra,
        tile=tile,
    )
    real = element_type(dtype)
    ones = constant(module, f"one.{SCALAR[np.dtype(dtype).name][1]}", ir.Constant(real, 1.0))
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    kinds = [pointer, *[i64] * 5, *extra]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "internal"
    source, stride, row_begin, row_end, column_begin, column_end, *rest = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    arguments = {
        "left": ones,
        "left_ld": index(0),
        "right": element(build, source, build.mul(row_begin, stride), real),
        "right_ld": stride,
        "right_panel": index(panel_columns(target, dtype, tile)),
        "start": ones,
        "start_ld": index(0),
        "row_begin": index(0),
        "row_end": index(1),
        "column_begin": column_begin,
        "column_end": column_end,
        "depth": build.sub(row_end, row_begin),
    }
    build.call(product, [*(arguments[key] for key in PRODUCT_ARGUMENTS), *rest])
    build.ret_void()
    return function


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

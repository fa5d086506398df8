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

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from .build import IR, count, element, element_type, index, ir_module, minimum
from .target import Target
from .tiles import SCALAR, Left, Tile, choose_tile, tile_function, tile_type

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

COLUMN_SUM_TILE = Tile(vectors=(4, 2, 1), rows=(1, 1, 1), rest=(1,), unroll=1)
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
    tiles = _tile_table(module, target, dtype, left, tile)
    zeros = zero_vectors(module, target, dtype, tile.vectors[0])

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
        kernel = build.load(
            element(build, tiles, which, pointer), typ=ir.PointerType(tile_type())
        )
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
                tall = build.select(
                    build.icmp_unsigned("==", wide, index(at)), index(rows), tall
                )
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


def zero_vectors(module: IR, target: Target, dtype: Any, number: int) -> IR:
    """Find in the module, or add to it, a constant of so many vectors of zeros."""
    ir = ir_module()
    dtype = np.dtype(dtype)
    vector = ir.VectorType(element_type(dtype), target.lanes(dtype))
    return _constant(
        module,
        f"zeros.{SCALAR[dtype.name][1]}x{vector.count}.{number}",
        ir.Constant(ir.ArrayType(vector, number), None),
    )


def _tile_table(module: IR, target: Target, dtype: Any, left: Left, tile: Tile) -> IR:
    """The tile functions' addresses, by number of width and then of height."""
    ir = ir_module()
    functions = []
    for vectors, rows in zip(tile.vectors, tile.rows, strict=True):
        shapes = [(rows, tile.unroll), *((r, 1) for r in tile.rest)]
        functions += [
            tile_function(module, target, dtype, left, r, vectors, unroll) for r, unroll in shapes
        ]
    name = "tiles." + ".".join(f.name.removeprefix("tile.") for f in functions)
    return _constant(
        module, name, ir.Constant(ir.ArrayType(ir.PointerType(), len(functions)), functions)
    )


def _constant(module: IR, name: str, value: IR) -> IR:
    if name in module.globals:
        return module.globals[name]
    ir = ir_module()
    made = ir.GlobalVariable(module, value.type, name)
    made.linkage, made.global_constant, made.initializer = "internal", True, value
    return made

"""Matrix products (gemm) as native code.

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

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from ..ir.builder import (
    INDEX_BYTES,
    allocate,
    define,
    element,
    for_range,
    index,
    ir,
    load_element,
    prefetch,
)
from ..machine.target import Target
from .gemm_loops import (
    PRODUCT_ARGUMENTS,
    ProductKind,
    Start,
    WidthEntry,
    emit_gemm_loops,
    finish_type,
    table_of,
)
from .tile import Tile, choose_tile, covering_widths, tile_function
from .tile_ir import Left

Values = Sequence["ir.Value"]
Epilogue = Callable[["ir.IRBuilder", "ir.Value", "ir.Value", "ir.Value", Values], None]
Prepare = Callable[["ir.IRBuilder", Values], Values]
Reads = Callable[["ir.IRBuilder", "ir.Value", "ir.Value", Values], Values]


def emit_product(
    module: ir.Module,
    name: str,
    target: Target,
    dtype: Any,
    *,
    left: Left,
    start: Start,
    epilogue: Epilogue,
    extra: Sequence[ir.Type] = (),
    prepare: Prepare | None = None,
    reads: Reads | None = None,
    columns: Collection[int] | None = None,
    tile: Tile | None = None,
) -> ir.Function:
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
        ``epilogue(build, value, row, column, extra)`` writes the code that uses and stores
        ``value``, the vector of columns ``column .. column + lanes - 1`` of ``row``. It is called
        for every vector of a tile's row, here. It may open blocks; ``build`` must end in the one
        where the code goes on.
    extra : sequence of ir.Type
        Types of the epilogue's arguments.
    prepare : callable, optional
        ``prepare(build, extra)`` writes what is computed once, and gives what the epilogue gets in
        the place of ``extra``.
    reads : callable, optional
        ``reads(build, row, column, extra)`` gives the addresses that the epilogue of a vector
        reads, so that they are prefetched one tile ahead: for more than a near cache holds.
    columns : collection of int, optional
        The only numbers of columns that it will be called for; there is no code for others.
    tile : Tile, optional
        By default what `choose_tile` says.

    Returns
    -------
    ir.Function
        With internal linkage.
    """
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    kinds = [pointer if a in ("left", "right", "start") else i64 for a in PRODUCT_ARGUMENTS]
    function, build = define(module, name, [*kinds, *extra])
    tile, dtype = tile or choose_tile(target), np.dtype(dtype)
    widths = covering_widths(tile, target.lanes(dtype), columns)
    kind = ProductKind(target, dtype, left, start, tile)
    _Product(function, build, kind, epilogue, prepare, reads).emit(widths)
    return function


def _slot(build: ir.IRBuilder, workspace: ir.Value, number: int) -> ir.Value:
    """The address of an argument of the epilogues, which `finish_type` functions find there."""
    return element(build, workspace, index(number), ir.IntType(64))


class _Product:
    """Writes one product function, and the functions that finish its tiles."""

    def __init__(
        self,
        function: ir.Function,
        build: ir.IRBuilder,
        kind: ProductKind,
        epilogue: Epilogue,
        prepare: Prepare | None,
        reads: Reads | None,
    ) -> None:
        self.function, self.build, self.kind = function, build, kind
        self.epilogue, self.lanes = epilogue, kind.lanes
        self.prepare: Prepare = prepare or (lambda build, extra: extra)
        self.reads = reads
        self.extra = function.args[len(PRODUCT_ARGUMENTS) :]
        self.workspace = allocate(build, INDEX_BYTES * len(self.extra), INDEX_BYTES)
        for number, value in enumerate(self.extra):
            build.store(value, _slot(build, self.workspace, number))

    def emit(self, widths: Sequence[int]) -> None:
        build, tile, name = self.build, self.kind.tile, self.function.name
        entries, finish = [], self._finish()
        for wide in widths:
            vectors, height = tile.vectors[wide], tile.rows[wide]
            main = self._tile(wide, height)
            rest = tuple(self._tile(wide, rows) for rows in tile.rest)
            columns = vectors * self.lanes
            entries.append(WidthEntry(vectors, columns, height, main, finish, rest))
        table = table_of(self.function.module, f"{name}.widths", entries)
        given = self.function.args[: len(PRODUCT_ARGUMENTS)]
        loops = emit_gemm_loops(self.function.module, self.kind)
        build.call(loops, [*given, table, index(len(entries)), self.workspace])
        build.ret_void()

    def _tile(self, wide: int, rows: int) -> ir.Function:
        """The tile function of a width and a height."""
        kind, tile = self.kind, self.kind.tile
        unroll = tile.unroll[wide] if rows == tile.rows[wide] else 1
        shape = rows, tile.vectors[wide], unroll
        where = self.function.module, kind.target, kind.dtype, kind.left
        return tile_function(*where, shape)

    def _finish(self) -> ir.Function:
        """The function of a tile's epilogues."""
        name = f"{self.function.name}.finish"
        function, build = define(self.function.module, name, finish_type().args)
        scratch, rows, width, row, column, workspace = function.args
        extra = self.prepare(
            build,
            [
                build.load(_slot(build, workspace, number), typ=value.type)
                for number, value in enumerate(self.extra)
            ],
        )

        def row_of(i: ir.Value) -> None:
            here, sums = build.add(row, i), build.mul(i, width)

            def vector_of(j: ir.Value) -> None:
                at = build.add(column, build.mul(j, index(self.lanes)))
                if self.reads:  # the next tile of these columns stands below this one
                    for place in self.reads(build, build.add(here, rows), at, extra):
                        prefetch(build, place)
                value = load_element(build, scratch, build.add(sums, j), self.kind.vector)
                self.epilogue(build, value, here, at, extra)

            for_range(build, "vector", index(0), width, vector_of)

        for_range(build, "row", index(0), rows, row_of)
        build.ret_void()
        return function

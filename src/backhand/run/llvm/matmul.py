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
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

import numpy as np

from .build import IR, count, element, element_type, index, ir_module, minimum, prefetch
from .target import Target
from .tile_text import SCALAR, Left, tile_type
from .tiles import (
    Tile,
    choose_tile,
    constant,
    covering_widths,
    interleaved_tile,
    panel_columns,
    tile_function,
    tile_table,
)

Start = Literal["zero", "rows"]
Epilogue = Callable[[IR, IR, IR, IR, Sequence[IR]], None]
Prepare = Callable[[IR, Sequence[IR]], Sequence[IR]]
Reads = Callable[[IR, IR, IR, Sequence[IR]], Sequence[IR]]

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
    prepare: Prepare | None = None,
    interleaved: bool = False,
    short: bool = False,
    reads: Reads | None = None,
    columns: Collection[int] | None = None,
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
        ``epilogue(build, value, row, column, extra)`` writes the code that uses and stores
        ``value``, the vector of columns ``column .. column + lanes - 1`` of ``row``. It is called
        for every vector of a tile's row, here. It may open blocks; ``build`` must end in the one
        where the code goes on.
    extra : sequence of ir.Type
        Types of the epilogue's arguments.
    prepare : callable, optional
        ``prepare(build, extra)`` writes what is computed once, and gives what the epilogue gets in
        the place of ``extra``.
    interleaved : bool
        Whether the epilogues of a tile run between the sums of the tile that follows: for those
        that wait for divisions. What they write must not be an operand.
    short : bool
        Whether the epilogue is so short that the way to it counts: it is then written out for each
        vector of a row.
    reads : callable, optional
        ``reads(build, row, column, extra)`` gives the addresses that the epilogue of a vector will
        read, so that an interleaved product can ask for them a tile ahead.
    columns : collection of int, optional
        The only numbers of columns that it will be called for; there is no code for others.
    tile : Tile, optional
        By default what `choose_tile` says.

    Returns
    -------
    ir.Function
        With internal linkage.
    """
    ir = ir_module()
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    kinds = [pointer if a in ("left", "right", "start") else i64 for a in PRODUCT_ARGUMENTS]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [*kinds, *extra]), name)
    function.linkage = "internal"
    tile = tile or choose_tile(target)
    product = _Product(function, target, np.dtype(dtype), left, start, tile, epilogue)
    widths = covering_widths(tile, target.lanes(dtype), columns)
    product.emit(prepare, interleaved, short, widths, reads)
    return function


class _Product:
    """Writes one product function."""

    def __init__(
        self,
        function: IR,
        target: Target,
        dtype: np.dtype,
        left: Left,
        start: Start,
        tile: Tile,
        epilogue: Epilogue,
    ) -> None:
        ir = ir_module()
        self.function, self.target, self.dtype = function, target, dtype
        self.left, self.tile, self.epilogue = left, tile, epilogue
        self.lanes, self.item = target.lanes(dtype), dtype.itemsize
        self.panel = panel_columns(target, dtype, tile)
        self.pointer, self.i64, self.byte = ir.PointerType(), ir.IntType(64), ir.IntType(8)
        self.vector = ir.VectorType(element_type(dtype), self.lanes)
        self.given = dict(zip(PRODUCT_ARGUMENTS, function.args, strict=False))
        for key, argument in self.given.items():
            argument.name = key
        self.build = ir.IRBuilder(function.append_basic_block("entry"))
        self.first: IR = None
        if start == "zero":
            kind = ir.ArrayType(self.vector, tile.vectors[0])
            name = f"zeros.{SCALAR[dtype.name][1]}x{self.lanes}x{tile.vectors[0]}"
            self.first = constant(function.module, name, ir.Constant(kind, None))

    def emit(
        self,
        prepare: Prepare | None,
        interleaved: bool,
        short: bool,
        widths: Sequence[int],
        reads: Reads | None,
    ) -> None:
        build, given, tile = self.build, self.given, self.tile
        self.scratch = self.area("scratch")
        self.stride = {
            key: build.mul(given[key], index(self.item))
            for key in ("left_ld", "right_ld", "right_panel", "start_ld")
        }
        self.rest = self.function.args[len(given) :]
        if prepare:
            self.rest = prepare(build, self.rest)
        self.short, self.reads = short and not interleaved, reads
        self.finishers: dict[int, IR] = {}
        self.pending = {w: _Pending(self, w) for w in widths} if interleaved else {}
        height = tile.rows[0]
        fitting = build.udiv(
            index(LEFT_BLOCK_BYTES // self.item // height), build.add(given["depth"], index(1))
        )
        fitting = build.select(build.icmp_unsigned(">", fitting, index(1)), fitting, index(1))
        block = build.mul(fitting, index(height))

        def block_of(first: IR) -> IR:
            end = minimum(build, given["row_end"], build.add(first, block))
            column = given["column_begin"]
            for wide in widths:
                width = tile.vectors[wide]
                columns = index(width * self.lanes)
                room = build.sub(given["column_end"], column)
                whole = build.sub(room, build.urem(room, columns))
                stop = build.add(column, whole)
                count(
                    build,
                    f"panel{width}",
                    column,
                    stop,
                    functools.partial(self._panel, first, end, wide),
                    width * self.lanes,
                )
                column = stop
            return block

        count(build, "block", given["row_begin"], given["row_end"], block_of)
        for pending in self.pending.values():
            pending.flush()
        build.ret_void()

    def area(self, name: str) -> IR:
        """Room for the sums of the largest tile."""
        room = self.build.alloca(ir_module().ArrayType(self.vector, self.tile.scratch), name=name)
        room.align = self.target.vector_bytes
        return room

    def _panel(self, first: IR, end: IR, wide: int, column: IR) -> None:
        self.panel_of(column, first, end, wide)

    def panel_of(self, column: IR, first: IR, end: IR, wide: int) -> None:
        """All tiles of a width in a block of rows: those of the main height, then the rest."""
        build, tall = self.build, self.tile.rows[wide]
        whole = build.sub(end, build.urem(build.sub(end, first), index(tall)))

        def main(row: IR) -> None:
            arguments = self.operands(row, column)
            if wide in self.pending:
                self.pending[wide].tile(row, column, arguments)
            else:
                self.build.call(self.function_of(wide, tall), [*arguments, self.scratch])
                self.finished(index(tall), row, column, self.scratch, wide)

        count(build, "tile", first, whole, main, tall)

        heights = tile_table([self.function_of(wide, rows) for rows in self.tile.rest])

        def remainder(row: IR) -> IR:
            rows, which = _largest(build, build.sub(end, row), self.tile.rest)
            address = element(build, heights, which, self.pointer)
            kernel = build.load(address, typ=ir_module().PointerType(tile_type()))
            build.call(kernel, [*self.operands(row, column), self.scratch])
            self.finished(rows, row, column, self.scratch, wide)
            return rows

        count(build, "rest", whole, end, remainder)

    def operands(self, row: IR, column: IR) -> list[IR]:
        """What a tile function takes for a tile, but for its scratch."""
        build, given, stride = self.build, self.given, self.stride
        panels = build.mul(build.udiv(column, index(self.panel)), stride["right_panel"])
        within = build.mul(build.urem(column, index(self.panel)), index(self.item))
        first, first_ld = self.first, index(0)
        if first is None:
            first_ld = stride["start_ld"]
            offset = build.add(build.mul(row, first_ld), build.mul(column, index(self.item)))
            first = element(build, given["start"], offset, self.byte)
        one_row_left = stride["left_ld"] if self.left == "rows" else index(self.item)
        return [
            element(build, given["left"], build.mul(row, one_row_left), self.byte),
            stride["left_ld"],
            element(build, given["right"], build.add(panels, within), self.byte),
            stride["right_ld"],
            given["depth"],
            first,
            first_ld,
        ]

    def function_of(self, wide: int, rows: int) -> IR:
        """The tile function of a width and a height."""
        tile = self.tile
        unroll = tile.unroll[wide] if rows == tile.rows[wide] else 1
        module, vectors = self.function.module, tile.vectors[wide]
        return tile_function(module, self.target, self.dtype, self.left, rows, vectors, unroll)

    def finished(self, rows: IR, row: IR, column: IR, scratch: IR, wide: int) -> None:
        """The epilogues of a tile."""
        width = index(self.tile.vectors[wide])
        self.build.call(self.finisher(wide), [scratch, rows, width, row, column, *self.rest])

    def finisher(self, wide: int) -> IR:
        """The function of a tile's epilogues: written for its width if they are short."""
        wide = wide if self.short else 0
        if wide not in self.finishers:
            self.finishers[wide] = self.finishing(self.tile.vectors[wide] if self.short else 0)
        return self.finishers[wide]

    def finishing(self, written: int) -> IR:
        """``finish(scratch, rows, width, row, column, *rest)``; 0 is for any width."""
        ir = ir_module()
        kinds = [self.pointer, *[self.i64] * 4, *(value.type for value in self.rest)]
        name = f"{self.function.name}.finish{written or ''}"
        function = ir.Function(self.function.module, ir.FunctionType(ir.VoidType(), kinds), name)
        function.linkage = "internal"
        scratch, rows, width, row, column, *rest = function.args
        build = ir.IRBuilder(function.append_basic_block("entry"))

        def load(i: IR, j: IR) -> IR:
            at = build.add(build.mul(i, index(written) if written else width), j)
            return build.load(element(build, scratch, at, self.vector), typ=self.vector)

        def row_of(i: IR) -> None:
            if written:
                values = [load(i, index(j)) for j in range(written)]
                self.vectors_of(build, values, build.add(row, i), column, rest)
                return

            def vector_of(j: IR) -> None:
                here = build.add(column, build.mul(j, index(self.lanes)))
                self.vectors_of(build, [load(i, j)], build.add(row, i), here, rest)

            count(build, "vector", index(0), width, vector_of)

        count(build, "row", index(0), rows, row_of)
        build.ret_void()
        return function

    def vectors_of(
        self, build: IR, values: Sequence[IR], row: IR, column: IR, rest: Sequence[IR]
    ) -> None:
        """The epilogues of one row of a tile."""
        for j, value in enumerate(values):
            here = build.add(column, index(j * self.lanes))
            self.epilogue(build, value, row, here, rest)

    def announced(self, build: IR, row: IR, column: IR, rest: Sequence[IR], width: int) -> None:
        """Ask for what the epilogues of a row will read."""
        if self.reads is None:
            return
        for j in range(width):
            here = build.add(column, index(j * self.lanes))
            for place in self.reads(build, row, here, rest):
                prefetch(build, place)


class _Pending:
    """The tile whose epilogues are still to come; see `tiles.interleaved_tile`."""

    def __init__(self, product: _Product, wide: int) -> None:
        self.of, self.wide = product, wide
        build, tile = product.build, product.tile
        self.areas = [product.area(f"even{wide}"), product.area(f"odd{wide}")]
        self.state = {
            key: build.alloca(product.i64, name=f"pending{wide}.{key}")
            for key in ("rows", "row", "column", "odd")
        }
        for place in self.state.values():
            build.store(index(0), place)
        self.kernel = interleaved_tile(
            product.function.module,
            f"{product.function.name}.tile{tile.vectors[wide]}",
            product.target,
            product.dtype,
            product.left,
            (tile.rows[wide], tile.vectors[wide], tile.unroll[wide]),
            [value.type for value in product.rest],
            product.vectors_of,
            functools.partial(product.announced, width=tile.vectors[wide]),
        )

    def now(self) -> dict[str, IR]:
        return {
            key: self.of.build.load(place, typ=self.of.i64) for key, place in self.state.items()
        }

    def areas_of(self, odd: IR) -> tuple[IR, IR]:
        """Where the pending tile's sums are, and where the next one's go."""
        build = self.of.build
        is_odd = build.icmp_signed("!=", odd, index(0))
        even, other = self.areas
        even, other = build.bitcast(even, self.of.pointer), build.bitcast(other, self.of.pointer)
        return build.select(is_odd, other, even), build.select(is_odd, even, other)

    def tile(self, row: IR, column: IR, arguments: list[IR]) -> None:
        """Sum a tile, finish the pending one, and make this one pending."""
        build, now = self.of.build, self.now()
        pending, following = self.areas_of(now["odd"])
        place = [now["rows"], now["row"], now["column"]]
        build.call(
            self.kernel, [*arguments, following, row, column, pending, *place, *self.of.rest]
        )
        state = {
            "rows": index(self.of.tile.rows[self.wide]),
            "row": row,
            "column": column,
            "odd": build.xor(now["odd"], index(1)),
        }
        for key, value in state.items():
            build.store(value, self.state[key])

    def flush(self) -> None:
        """Finish the last tile."""
        now = self.now()
        pending, _ = self.areas_of(now["odd"])
        self.of.finished(now["rows"], now["row"], now["column"], pending, self.wide)


def _largest(build: IR, room: IR, sizes: Sequence[int]) -> tuple[IR, IR]:
    """The first of descending sizes that fits, and its number; the last one always does."""
    size, which = index(sizes[-1]), index(len(sizes) - 1)
    for at in reversed(range(len(sizes) - 1)):
        fits = build.icmp_signed(">=", room, index(sizes[at]))
        size = build.select(fits, index(sizes[at]), size)
        which = build.select(fits, index(at), which)
    return size, which

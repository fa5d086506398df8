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

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..ir.builder import (
    INDEX_BYTES,
    allocate,
    count,
    define,
    element,
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
from .tile import Tile, choose_tile, covering_widths, interleaved_tile, tile_function
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
    interleaved: bool = False,
    short: bool = False,
    reads: Reads | None = None,
    columns: Collection[int] | None = None,
    last: int | None = None,
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
        for every vector of a tile's row, here. It may open blocks, unless tiles are interleaved;
        ``build`` must end in the one where the code goes on.
    extra : sequence of ir.Type
        Types of the epilogue's arguments.
    prepare : callable, optional
        ``prepare(build, extra)`` writes what is computed once, and gives what the epilogue gets in
        the place of ``extra``.
    interleaved : bool
        Whether the epilogues of a tile run between the sums of the tile that follows: for those
        that wait for divisions. What they write must not be an operand.
    short : bool
        Whether the epilogue is so short that the way to it counts: for the widest tiles it is then
        written out for each vector of a row.
    reads : callable, optional
        ``reads(build, row, column, extra)`` gives the addresses that the epilogue of a vector will
        read, so that an interleaved product can ask for them a tile ahead.
    columns : collection of int, optional
        The only numbers of columns that it will be called for; there is no code for others.
    last : int, optional
        Lanes of the last vector of columns that are computed, if not all; see `lanes_of_last`. The
        epilogue gets zeros for the others.
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
    lasts = dict.fromkeys(widths[-1:], last)
    kind = ProductKind(target, dtype, left, start, tile, interleaved)
    product = _Product(function, build, kind, epilogue, prepare, lasts)
    product.lay_out(widths if interleaved else (), reads)
    product.emit(widths, short)
    return function


class Workspace:
    """A layout of the memory that a product's functions share.

    It holds the epilogues' arguments, and pending tiles.
    """

    def __init__(self, alignment: int) -> None:
        self.bytes, self.alignment = 0, alignment

    def take(self, size: int, whole: bool = False) -> int:
        """Reserve ``size`` bytes and return their offset; ``whole`` aligns it for vectors."""
        unit = self.alignment if whole else INDEX_BYTES
        place = -(-self.bytes // unit) * unit
        self.bytes = place + size
        return place


def _at(build: ir.IRBuilder, workspace: ir.Value, place: int | ir.Value) -> ir.Value:
    """The address of an offset in a workspace."""
    offset = index(place) if isinstance(place, int) else place
    return element(build, workspace, offset, ir.IntType(8))


class _Product:
    """Writes one product function, and the functions that finish its tiles."""

    def __init__(
        self,
        function: ir.Function,
        build: ir.IRBuilder,
        kind: ProductKind,
        epilogue: Epilogue,
        prepare: Prepare | None,
        lasts: Mapping[int, int | None],
    ) -> None:
        self.function, self.build, self.kind = function, build, kind
        self.epilogue, self.lasts, self.lanes = epilogue, lasts, kind.lanes
        self.prepare: Prepare = prepare or (lambda build, extra: extra)
        self.layout = Workspace(kind.target.vector_bytes)
        self.extra = function.args[len(PRODUCT_ARGUMENTS) :]
        self.slots = [self.layout.take(INDEX_BYTES) for _ in self.extra]
        self.pending: dict[int, PendingTile] = {}

    def lay_out(self, interleaved: Sequence[int], reads: Reads | None) -> None:
        """Allocate the workspace; make main tiles of some widths that finish the one before."""
        build, kept, pending = self.build, [], []
        values = self.prepare(build, self.extra) if interleaved else ()
        for value in values:
            vector = isinstance(value.type, ir.VectorType)
            size = self.kind.target.vector_bytes if vector else INDEX_BYTES
            kept.append((self.layout.take(size, vector), value.type))
        if interleaved:  # all widths, so that offsets do not depend on which there are
            widths = range(len(self.kind.tile.vectors))
            pending = [PendingTile(self, wide, kept, reads) for wide in widths]
        self.workspace = allocate(build, self.layout.bytes, self.layout.alignment)
        stored = [*zip(self.extra, self.slots, strict=True)]
        stored += [(value, place) for value, (place, _) in zip(values, kept, strict=True)]
        for value, place in stored:
            build.store(value, _at(build, self.workspace, place))
        self.pending = {wide: pending[wide] for wide in interleaved}
        for tile in self.pending.values():
            tile.begin(build, self.workspace)

    def emit(self, widths: Sequence[int], short: bool) -> None:
        build, tile, name = self.build, self.kind.tile, self.function.name
        entries: list[WidthEntry] = []
        finish: ir.Function | None = None
        for wide in widths:
            vectors, height = tile.vectors[wide], tile.rows[wide]
            pending = self.pending.get(wide)
            main = pending.kernel() if pending else self._tile(wide, height)
            rest = tuple(self._tile(wide, rows) for rows in tile.rest)
            if short and not self.pending and not entries:
                chosen = self._finishing(vectors)
            else:
                chosen = finish = finish or self._finishing(0)
            columns = vectors * self.lanes
            entries.append(WidthEntry(vectors, columns, height, main, chosen, rest))
        table = table_of(self.function.module, f"{name}.widths", entries)
        given = self.function.args[: len(PRODUCT_ARGUMENTS)]
        loops = emit_gemm_loops(self.function.module, self.kind)
        build.call(loops, [*given, table, index(len(entries)), self.workspace])
        for pending in self.pending.values():
            assert finish is not None
            arguments = pending.arguments(build, self.workspace)
            build.call(finish, [*arguments, self.workspace])
        build.ret_void()

    def _tile(self, wide: int, rows: int) -> ir.Function:
        """The tile function of a width and a height."""
        kind, tile = self.kind, self.kind.tile
        unroll = tile.unroll[wide] if rows == tile.rows[wide] else 1
        shape = rows, tile.vectors[wide], unroll
        where = self.function.module, kind.target, kind.dtype, kind.left
        return tile_function(*where, shape, self.lasts.get(wide))

    def _finishing(self, written: int) -> ir.Function:
        """The function of a tile's epilogues; written out for a number of vectors, or for any."""
        module, name = self.function.module, f"{self.function.name}.finish{written or ''}"
        function, build = define(module, name, finish_type().args)
        scratch, rows, width, row, column, workspace = function.args
        extra = self.prepare(
            build,
            [
                build.load(_at(build, workspace, place), typ=value.type)
                for place, value in zip(self.slots, self.extra, strict=True)
            ],
        )

        def load(i: ir.Value, j: ir.Value) -> ir.Value:
            at = build.add(build.mul(i, index(written) if written else width), j)
            return load_element(build, scratch, at, self.kind.vector)

        def row_of(i: ir.Value) -> None:
            here = build.add(row, i)
            if written:
                for j, value in enumerate([load(i, index(j)) for j in range(written)]):
                    at = build.add(column, index(j * self.lanes))
                    self.epilogue(build, value, here, at, extra)
                return

            def vector_of(j: ir.Value) -> None:
                at = build.add(column, build.mul(j, index(self.lanes)))
                self.epilogue(build, load(i, j), here, at, extra)

            count(build, "vector", index(0), width, vector_of)

        count(build, "row", index(0), rows, row_of)
        build.ret_void()
        return function


class PendingTile:
    """The tile whose epilogues are still to come, and the tile function that runs them.

    Parameters
    ----------
    product : _Product
    wide : int
        Which width of its tiles.
    kept : sequence of (int, ir.Type)
        Where in the workspace the prepared values lie.
    reads : callable or None
        As for `emit_product`.
    """

    def __init__(
        self,
        product: _Product,
        wide: int,
        kept: Sequence[tuple[int, ir.Type]],
        reads: Reads | None,
    ) -> None:
        self.product, self.kept, self.reads = product, kept, reads
        tile, layout = product.kind.tile, product.layout
        self.height, self.vectors = tile.rows[wide], tile.vectors[wide]
        self.sums = self.height * self.vectors * product.kind.target.vector_bytes
        self.areas = layout.take(2 * self.sums, whole=True)
        keys = ("rows", "row", "column", "there", "free")
        self.state = {key: layout.take(INDEX_BYTES) for key in keys}
        self.unroll, self.last = tile.unroll[wide], product.lasts.get(wide)

    def begin(self, build: ir.IRBuilder, workspace: ir.Value) -> None:
        """With none pending."""
        start = dict.fromkeys(self.state, 0)
        start |= {"there": self.areas, "free": self.areas + self.sums}
        for key, place in self.state.items():
            build.store(index(start[key]), _at(build, workspace, place))

    def kernel(self) -> ir.Function:
        """Make the tile function."""
        function, kind = self.product.function, self.product.kind
        name = f"{function.name}.tile{self.vectors}"
        what = function.module, name, kind.target, kind.dtype, kind.left
        shape = self.height, self.vectors, self.unroll
        return interleaved_tile(*what, shape, self, self.last)

    def arguments(self, build: ir.IRBuilder, workspace: ir.Value) -> list[ir.Value]:
        """What finishing takes: where the sums are, rows, vectors, the first row, the column."""
        state = self.read(build, workspace)
        sums = _at(build, workspace, state["there"])
        return [sums, state["rows"], index(self.vectors), state["row"], state["column"]]

    def read(self, build: ir.IRBuilder, workspace: ir.Value) -> dict[str, ir.Value]:
        i64 = ir.IntType(64)
        places = self.state.items()
        return {key: build.load(_at(build, workspace, at), typ=i64) for key, at in places}

    def follow(
        self,
        build: ir.IRBuilder,
        workspace: ir.Value,
        state: dict[str, ir.Value],
        row: ir.Value,
        column: ir.Value,
    ) -> None:
        """Make the tile at work the pending one."""
        after = {"rows": index(self.height), "row": row, "column": column}
        after |= {"there": state["free"], "free": state["there"]}
        for key, place in self.state.items():
            build.store(after[key], _at(build, workspace, place))

    def finish(
        self,
        build: ir.IRBuilder,
        number: ir.Value,
        sums: ir.Value,
        state: dict[str, ir.Value],
        workspace: ir.Value,
        following: tuple[ir.Value, ir.Value] | None,
    ) -> None:
        """The code that uses one vector of the pending tile; see `tile_ir.EarlierTile`."""
        kind = self.product.kind
        at = element(build, sums, number, kind.vector)
        value = build.load(at, typ=kind.vector, align=kind.dtype.itemsize)
        places = [(_at(build, workspace, place), type_) for place, type_ in self.kept]
        extra = [build.load(place, typ=type_) for place, type_ in places]
        if following and self.reads:
            for place in self.reads(build, *self._place(build, number, *following), extra):
                prefetch(build, place)
        row, column = self._place(build, number, state["row"], state["column"])
        self.product.epilogue(build, value, row, column, extra)

    def _place(
        self, build: ir.IRBuilder, number: ir.Value, row: ir.Value, column: ir.Value
    ) -> tuple[ir.Value, ir.Value]:
        """Row and column of a tile's vector."""
        vectors = index(self.vectors)
        within = build.mul(build.urem(number, vectors), index(self.product.lanes))
        return build.add(row, build.udiv(number, vectors)), build.add(column, within)

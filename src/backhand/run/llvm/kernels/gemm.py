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

from ..ir.builder import INDEX_BYTES, IR, count, element, element_type, index, ir_module, prefetch
from ..machine.target import Target
from .gemm_loops import PRODUCT_ARGUMENTS, Start, WidthEntry, emit_gemm_loops, finish_type, table_of
from .tile import Tile, choose_tile, covering_widths, interleaved_tile, tile_function
from .tile_ir import Left

Epilogue = Callable[[IR, IR, IR, IR, Sequence[IR]], None]
Prepare = Callable[[IR, Sequence[IR]], Sequence[IR]]
Reads = Callable[[IR, IR, IR, Sequence[IR]], Sequence[IR]]


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
    last: int | None = None,
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
    ir = ir_module()
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    kinds = [pointer if a in ("left", "right", "start") else i64 for a in PRODUCT_ARGUMENTS]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [*kinds, *extra]), name)
    function.linkage = "internal"
    tile, dtype = tile or choose_tile(target), np.dtype(dtype)
    widths = covering_widths(tile, target.lanes(dtype), columns)
    lasts = dict.fromkeys(widths[-1:], last)
    product = _Product(function, target, dtype, left, tile, epilogue, prepare, lasts)
    if interleaved:
        product.interleave(widths, reads)
    product.emit(
        emit_gemm_loops(module, target, dtype, left, start, tile, interleaved), widths, short
    )
    return function


class Workspace:
    """Memory that a product's functions share: the epilogues' arguments, and pending tiles."""

    def __init__(self, build: IR, alignment: int) -> None:
        ir = ir_module()
        self.bytes, self.alignment, self.byte = 0, alignment, ir.IntType(8)
        self.area = build.alloca(ir.IntType(64), size=index(0), name="workspace")
        self.area.align = alignment
        self.base = element(build, self.area, index(0), self.byte)
        self.base.type = ir.PointerType()  # llvmlite would hold on to that of the words

    def take(self, size: int, whole: bool = False) -> int:
        """Reserve ``size`` bytes and return their offset; ``whole`` aligns it for vectors."""
        unit = self.alignment if whole else INDEX_BYTES
        place = -(-self.bytes // unit) * unit
        self.bytes = place + size
        self.area.operands[0] = index(-(-self.bytes // INDEX_BYTES))
        return place

    def at(self, build: IR, place: int, base: IR = None) -> IR:
        return element(build, self.base if base is None else base, index(place), self.byte)


class _Product:
    """Writes one product function, and the functions that finish its tiles."""

    def __init__(
        self,
        function: IR,
        target: Target,
        dtype: np.dtype,
        left: Left,
        tile: Tile,
        epilogue: Epilogue,
        prepare: Prepare | None,
        lasts: Mapping[int, int | None],
    ) -> None:
        ir = ir_module()
        self.function, self.target, self.dtype = function, target, dtype
        self.left, self.tile, self.epilogue, self.lasts = left, tile, epilogue, lasts
        self.prepare: Prepare = prepare or (lambda build, extra: extra)
        self.lanes = target.lanes(dtype)
        self.vector = ir.VectorType(element_type(dtype), self.lanes)
        self.build = ir.IRBuilder(function.append_basic_block("entry"))
        self.workspace = Workspace(self.build, target.vector_bytes)
        self.extra = function.args[len(PRODUCT_ARGUMENTS) :]
        self.slots = [self.workspace.take(INDEX_BYTES) for _ in self.extra]
        for value, place in zip(self.extra, self.slots, strict=True):
            self.build.store(value, self.workspace.at(self.build, place))
        self.pending: dict[int, PendingTile] = {}

    def interleave(self, widths: Sequence[int], reads: Reads | None) -> None:
        """Make main tiles that finish the one before them."""
        build, kept = self.build, []
        for value in self.prepare(build, self.extra):
            vector = isinstance(value.type, ir_module().VectorType)
            size = self.target.vector_bytes if vector else INDEX_BYTES
            kept.append((self.workspace.take(size, vector), value.type))
            build.store(value, self.workspace.at(build, kept[-1][0]))
        for wide in range(
            len(self.tile.vectors)
        ):  # all of them, so that offsets do not depend on widths
            pending = PendingTile(self, wide, kept, reads)
            if wide in widths:
                self.pending[wide] = pending.begin()

    def emit(self, loops: IR, widths: Sequence[int], short: bool) -> None:
        build, tile, name = self.build, self.tile, self.function.name
        entries: list[WidthEntry] = []
        finish: IR = None
        for wide in widths:
            vectors, height = tile.vectors[wide], tile.rows[wide]
            pending = self.pending.get(wide)
            main = pending.kernel if pending else self._tile(wide, height)
            rest = tuple(self._tile(wide, rows) for rows in tile.rest)
            written = short and not self.pending and not entries
            chosen = self._finishing(vectors) if written else finish or self._finishing(0)
            finish = finish if written else chosen
            entries.append(WidthEntry(vectors, vectors * self.lanes, height, main, chosen, rest))
        table = table_of(self.function.module, f"{name}.widths", entries)
        given = self.function.args[: len(PRODUCT_ARGUMENTS)]
        workspace = self.workspace.base
        build.call(loops, [*given, table, index(len(entries)), workspace])
        for pending in self.pending.values():
            build.call(finish, [*pending.now(build, workspace), workspace])
        build.ret_void()

    def _tile(self, wide: int, rows: int) -> IR:
        """The tile function of a width and a height."""
        tile = self.tile
        unroll = tile.unroll[wide] if rows == tile.rows[wide] else 1
        module, shape = self.function.module, (rows, tile.vectors[wide], unroll)
        where = module, self.target, self.dtype, self.left
        return tile_function(*where, shape, self.lasts.get(wide))

    def _finishing(self, written: int) -> IR:
        """The function of a tile's epilogues; written out for a number of vectors, or for any."""
        module, name = self.function.module, f"{self.function.name}.finish{written or ''}"
        function = ir_module().Function(module, finish_type(), name)
        function.linkage = "internal"
        scratch, rows, width, row, column, workspace = function.args
        build = ir_module().IRBuilder(function.append_basic_block("entry"))
        extra = self.prepare(
            build,
            [
                build.load(self.workspace.at(build, place, workspace), typ=value.type)
                for place, value in zip(self.slots, self.extra, strict=True)
            ],
        )

        def load(i: IR, j: IR) -> IR:
            at = build.add(build.mul(i, index(written) if written else width), j)
            return build.load(element(build, scratch, at, self.vector), typ=self.vector)

        def row_of(i: IR) -> None:
            if written:
                values = [load(i, index(j)) for j in range(written)]
                self.vectors_of(build, values, build.add(row, i), column, extra)
                return

            def vector_of(j: IR) -> None:
                here = build.add(column, build.mul(j, index(self.lanes)))
                self.vectors_of(build, [load(i, j)], build.add(row, i), here, extra)

            count(build, "vector", index(0), width, vector_of)

        count(build, "row", index(0), rows, row_of)
        build.ret_void()
        return function

    def vectors_of(
        self, build: IR, values: Sequence[IR], row: IR, column: IR, extra: Sequence[IR]
    ) -> None:
        """The epilogues of one row of a tile."""
        for j, value in enumerate(values):
            here = build.add(column, index(j * self.lanes))
            self.epilogue(build, value, row, here, extra)


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
        self, product: _Product, wide: int, kept: Sequence[tuple[int, Any]], reads: Reads | None
    ) -> None:
        self.of, self.kept, self.reads = product, kept, reads
        tile, workspace = product.tile, product.workspace
        self.height, self.vectors = tile.rows[wide], tile.vectors[wide]
        self.sums = self.height * self.vectors * product.target.vector_bytes
        self.areas = workspace.take(2 * self.sums, whole=True)
        self.state = {
            key: workspace.take(INDEX_BYTES) for key in ("rows", "row", "column", "there", "free")
        }
        self.unroll, self.kernel = tile.unroll[wide], None
        self.last = product.lasts.get(wide)

    def begin(self) -> PendingTile:
        """With none pending; and make the tile function."""
        product, build = self.of, self.of.build
        start = dict.fromkeys(self.state, 0)
        start |= {"there": self.areas, "free": self.areas + self.sums}
        for key, place in self.state.items():
            build.store(index(start[key]), product.workspace.at(build, place))
        self.kernel = interleaved_tile(
            product.function.module,
            f"{product.function.name}.tile{self.vectors}",
            product.target,
            product.dtype,
            product.left,
            (self.height, self.vectors, self.unroll),
            self,
            self.last,
        )
        return self

    def now(self, build: IR, workspace: IR) -> list[IR]:
        """What finishing takes: where the sums are, rows, vectors, the first row, the column."""
        state = self.read(build, workspace)
        sums = element(build, workspace, state["there"], self.of.workspace.byte)
        return [sums, state["rows"], index(self.vectors), state["row"], state["column"]]

    def read(self, build: IR, workspace: IR) -> dict[str, IR]:
        i64 = ir_module().IntType(64)
        return {
            key: build.load(self.of.workspace.at(build, place, workspace), typ=i64)
            for key, place in self.state.items()
        }

    def follow(self, build: IR, workspace: IR, state: dict[str, IR], row: IR, column: IR) -> None:
        """Make the tile at work the pending one."""
        after = {"rows": index(self.height), "row": row, "column": column}
        after |= {"there": state["free"], "free": state["there"]}
        for key, place in self.state.items():
            build.store(after[key], self.of.workspace.at(build, place, workspace))

    def _extra(self, build: IR, workspace: IR) -> list[IR]:
        return [
            build.load(self.of.workspace.at(build, place, workspace), typ=kind)
            for place, kind in self.kept
        ]

    def finish(
        self,
        build: IR,
        number: IR,
        sums: IR,
        state: dict[str, IR],
        workspace: IR,
        following: tuple[IR, IR] | None,
    ) -> None:
        """The code that uses one vector of the pending tile; see `tile_ir.EarlierTile`."""
        at = element(build, sums, number, self.of.vector)
        value = build.load(at, typ=self.of.vector, align=self.of.dtype.itemsize)
        extra = self._extra(build, workspace)
        if following and self.reads:
            for place in self.reads(build, *self._place(build, number, *following), extra):
                prefetch(build, place)
        place = self._place(build, number, state["row"], state["column"])
        self.of.epilogue(build, value, *place, extra)

    def _place(self, build: IR, number: IR, row: IR, column: IR) -> tuple[IR, IR]:
        """Row and column of a tile's vector."""
        vectors = index(self.vectors)
        within = build.mul(build.urem(number, vectors), index(self.of.lanes))
        return build.add(row, build.udiv(number, vectors)), build.add(column, within)

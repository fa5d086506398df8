"""The loops around the tiles of a product, one function for all products of a kind.

What is multiplied with what, and what becomes of the sums, come to it as arguments and in a table
of functions, so products with different formulas share its machine code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..ir.builder import (
    define,
    element,
    element_type,
    for_range,
    for_whole_steps,
    index,
    ir,
    unoptimised,
)
from ..machine.target import Target
from .tile import Tile, constant, panel_columns
from .tile_ir import SCALAR, Left, tile_type

Start = Literal["zero", "rows"]

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


@dataclasses.dataclass(frozen=True)
class WidthEntry:
    """What the loops call for the tiles of one width: an entry of their table.

    Attributes
    ----------
    vectors, columns, height : int
        Of its main tile.
    main : ir.Function
        Of type `tile_type`.
    finish : ir.Function
        Of type `finish_type`: what becomes of a tile's sums.
    rest : tuple of ir.Function
        Tiles for the rows that are left over, as tall as ``Tile.rest`` says.
    """

    vectors: int
    columns: int
    height: int
    main: ir.Function
    finish: ir.Function
    rest: tuple[ir.Function, ...]

    def fields(self) -> list[ir.Value]:
        numbers = [index(n) for n in (self.vectors, self.columns, self.height)]
        return [*numbers, self.main, self.finish, *self.rest]


def finish_type() -> ir.FunctionType:
    """The type of ``finish(sums, rows, vectors, row, column, workspace)``."""
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    return ir.FunctionType(ir.VoidType(), [pointer, i64, i64, i64, i64, pointer])


def table_of(module: ir.Module, name: str, widths: Sequence[WidthEntry]) -> ir.Value:
    """Add to the module the table that the loops read; returns its address."""
    kinds = [field.type for field in widths[0].fields()]
    entry = ir.LiteralStructType(kinds)
    rows = [ir.Constant(entry, width.fields()) for width in widths]
    return constant(module, name, ir.Constant(ir.ArrayType(entry, len(rows)), rows))


@dataclasses.dataclass(frozen=True)
class ProductKind:
    """What products have in common that share loops; see `gemm.emit_product`.

    Attributes
    ----------
    target : Target
    dtype : dtype
    left : {"rows", "columns"}
    start : {"zero", "rows"}
    tile : Tile
    """

    target: Target
    dtype: np.dtype
    left: Left
    start: Start
    tile: Tile

    @property
    def lanes(self) -> int:
        return self.target.lanes(self.dtype)

    @property
    def vector(self) -> ir.Type:
        return ir.VectorType(element_type(self.dtype), self.lanes)

    def __str__(self) -> str:
        sizes = (self.tile.vectors, self.tile.rows, self.tile.rest)
        shape = "-".join("".join(map(str, some)) for some in sizes)
        kind = f"{SCALAR[self.dtype.name][1]}x{self.lanes}"
        return f"product.{self.left}.{self.start}.{kind}.{shape}"


def emit_gemm_loops(module: ir.Module, kind: ProductKind) -> ir.Function:
    """Find in the module, or add to it, the loops of a kind of product.

    The function takes what a product takes, then its table, the number of its widths, and the
    workspace, a pointer that it passes on.
    """
    return module.globals.get(str(kind)) or _GemmLoops(module, kind).emit()


class _GemmLoops:
    def __init__(self, module: ir.Module, kind: ProductKind) -> None:
        self.pointer, self.i64, self.byte = ir.PointerType(), ir.IntType(64), ir.IntType(8)
        self.kind, self.item = kind, kind.dtype.itemsize
        arguments = (*PRODUCT_ARGUMENTS, "table", "widths", "workspace")
        pointers = ("left", "right", "start", "table", "workspace")
        kinds = [self.pointer if a in pointers else self.i64 for a in arguments]
        self.function, self.build = define(module, str(kind), kinds)
        unoptimised(self.function)
        self.given = dict(zip(arguments, self.function.args, strict=True))
        for key, argument in self.given.items():
            argument.name = key
        self.panel = panel_columns(kind.target, kind.dtype, kind.tile)
        scratch = ir.ArrayType(kind.vector, kind.tile.scratch)
        self.scratch = self.build.alloca(scratch, name="scratch")
        self.scratch.align = kind.target.vector_bytes
        self.zeros: ir.Value | None = None
        if kind.start == "zero":
            zeros = ir.ArrayType(kind.vector, kind.tile.vectors[0])
            self.zeros = constant(module, f"{kind}.zeros", ir.Constant(zeros, None))

    def emit(self) -> ir.Function:
        build, given = self.build, self.given
        strides = ("left_ld", "right_ld", "right_panel", "start_ld")
        self.stride = {key: build.mul(given[key], index(self.item)) for key in strides}
        self.at_column = build.alloca(self.i64, name="column")
        build.store(given["column_begin"], self.at_column)
        for_range(build, "width", index(0), given["widths"], self._width)
        build.ret_void()
        return self.function

    def _width(self, number: ir.Value) -> None:
        """All columns that tiles of a width cover."""
        build, end = self.build, self.given["row_end"]
        size = 5 + len(self.kind.tile.rest)
        entry = element(build, self.given["table"], build.mul(number, index(size)), self.i64)

        def field(place: int, kind: ir.Type) -> ir.Value:
            return build.load(element(build, entry, index(place), self.i64), typ=kind)

        vectors, columns, height = (field(place, self.i64) for place in range(3))
        main = field(3, self._function(tile_type()))
        finish = field(4, self._function(finish_type()))
        others = element(build, entry, index(5), self.i64)

        def finished(row: ir.Value, rows: ir.Value, column: ir.Value) -> None:
            build.call(finish, [self.scratch, rows, vectors, row, column, self.given["workspace"]])

        def panel(column: ir.Value) -> None:
            right, start = self._right(column), self._start(column)

            def tile(row: ir.Value) -> None:
                build.call(main, self._operands(row, right, start))
                finished(row, height, column)

            def remainder(row: ir.Value) -> ir.Value:
                rows, which = _largest(build, build.sub(end, row), self.kind.tile.rest)
                address = element(build, others, which, self.pointer)
                kernel = build.load(address, typ=self._function(tile_type()))
                build.call(kernel, self._operands(row, right, start))
                finished(row, rows, column)
                return rows

            reached = for_whole_steps(build, "tile", self.given["row_begin"], end, height, tile)
            for_range(build, "rest", reached, end, remainder)

        column = build.load(self.at_column, typ=self.i64)
        reached = for_whole_steps(build, "panel", column, self.given["column_end"], columns, panel)
        build.store(reached, self.at_column)

    @staticmethod
    def _function(kind: ir.Type) -> ir.Type:
        return ir.PointerType(kind)

    def _right(self, column: ir.Value) -> ir.Value:
        """Where the right operand has a column."""
        build = self.build
        panels = build.mul(build.udiv(column, index(self.panel)), self.stride["right_panel"])
        within = build.mul(build.urem(column, index(self.panel)), index(self.item))
        return element(build, self.given["right"], build.add(panels, within), self.byte)

    def _start(self, column: ir.Value) -> ir.Value:
        """Where the sums of row 0 start from."""
        if self.zeros is not None:
            return self.zeros
        offset = self.build.mul(column, index(self.item))
        return element(self.build, self.given["start"], offset, self.byte)

    def _operands(self, row: ir.Value, right: ir.Value, start: ir.Value) -> list[ir.Value]:
        """What a tile function takes."""
        build, given, stride = self.build, self.given, self.stride
        start_ld: ir.Value = index(0)
        if self.zeros is None:
            start_ld = stride["start_ld"]
            start = element(build, start, build.mul(row, start_ld), self.byte)
        one_row_left = stride["left_ld"] if self.kind.left == "rows" else index(self.item)
        left = element(build, given["left"], build.mul(row, one_row_left), self.byte)
        operands = [left, stride["left_ld"], right, stride["right_ld"], given["depth"]]
        return [*operands, start, start_ld, self.scratch]


def _largest(
    build: ir.IRBuilder, workspace: ir.Value, sizes: Sequence[int]
) -> tuple[ir.Value, ir.Value]:
    """The first of descending sizes that fits, and its number; the last one always does."""
    size: ir.Value = index(sizes[-1])
    which: ir.Value = index(len(sizes) - 1)
    for at in reversed(range(len(sizes) - 1)):
        fits = build.icmp_signed(">=", workspace, index(sizes[at]))
        size = build.select(fits, index(sizes[at]), size)
        which = build.select(fits, index(at), which)
    return size, which

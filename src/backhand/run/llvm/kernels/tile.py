"""The innermost loops of a matrix product, one register tile at a time.

What a tile function computes, for its number of rows and of vectors of columns::

    for r, c:  acc = start[r, c]
               for k in 0 .. depth-1:  acc = fma(left(r, k), right[k, c], acc)
               out[r, c] = acc

Every output is one chain of fused multiply-adds in the order of k, so its bits depend neither on
the tile nor on the number of lanes.  A tile knows nothing of biases, activations or updates: it
leaves its sums in a small scratch area, which the product in ``gemm.py`` then reads.  That is why
a program needs each tile only once, whatever its layers and their formulas.

The functions are written as text: they are the bulk of a program's instructions, and one object
for each instruction would take longer to build than the machine code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np

from .. import tuning
from ..ir.builder import declare, element_type, ir
from ..machine.target import Target
from .tile_ir import SCALAR, Left, TileWriter, tile_type


@dataclasses.dataclass(frozen=True)
class Tile:
    """The shapes that cover a product: for every width a preferred height, then a few smaller ones.

    Attributes
    ----------
    vectors : tuple of int
        Widths in vectors, descending to 1.
    rows : tuple of int
        For every width the height in rows of its main tile.
    rest : tuple of int
        Heights, descending to 1, for the rows that are left over.
    unroll : tuple of int
        For every width the steps of k that its main tile takes at once.
    """

    vectors: tuple[int, ...]
    rows: tuple[int, ...]
    unroll: tuple[int, ...]
    rest: tuple[int, ...] = (4, 1)

    def __post_init__(self) -> None:
        for name, sizes in (("vectors", self.vectors), ("rest", self.rest)):
            if not sizes or sizes[-1] != 1 or list(sizes) != sorted(set(sizes), reverse=True):
                raise ValueError(f"Tile.{name} must descend to 1, got {sizes}")
        if len(self.rows) != len(self.vectors) or min(self.rows) < self.rest[0]:
            raise ValueError(
                f"Tile.rows must have a height of at least {self.rest[0]} for each of "
                f"{len(self.vectors)} widths, got {self.rows}"
            )
        if len(self.unroll) != len(self.vectors) or any(u not in (1, 2, 4, 8) for u in self.unroll):
            raise ValueError(
                f"Tile.unroll must be 1, 2, 4 or 8 for each of {len(self.vectors)} widths, "
                f"got {self.unroll}"
            )

    @property
    def registers(self) -> int:
        """Vector registers in use: the sums, a row of the right operand, an element of the left."""
        return max(r * v + v + 1 for r, v in zip(self.rows, self.vectors, strict=True))

    @property
    def scratch(self) -> int:
        """Vectors that the largest tile leaves behind."""
        return max(r * v for r, v in zip(self.rows, self.vectors, strict=True))


def choose_tile(target: Target, *, single_row: bool = False) -> Tile:
    """Choose shapes that keep the multipliers busy and spill no register.

    Parameters
    ----------
    target : Target
    single_row : bool
        For batches of one row, where only width gives the multipliers independent sums.

    Returns
    -------
    Tile
    """
    if single_row:
        return Tile(**tuning.TILE_SINGLE_ROW)
    many = target.registers >= 32
    return Tile(**(tuning.TILE_32_REGISTERS if many else tuning.TILE_16_REGISTERS))


def tile_function(
    module: ir.Module,
    target: Target,
    dtype: Any,
    left: Left,
    shape: tuple[int, int, int],
) -> ir.Function:
    """Find in the module, or add to it, the function of one tile.

    It takes: left pointer and row stride, right pointer and row stride, depth, start pointer and
    row stride, scratch pointer; strides in bytes.

    Parameters
    ----------
    module : ir.Module
    target : Target
    dtype : float32 or float64
    left : {"rows", "columns"}
        Whether ``left(r, k)`` is ``x[r, k]`` or ``x[k, r]``.
    shape : (int, int, int)
        Rows, vectors and steps of k in one iteration.

    Returns
    -------
    ir.Function
    """
    lanes = target.lanes(dtype)
    dtype = np.dtype(dtype).name
    rows, vectors, unroll = shape
    name = f"tile.{left}.{SCALAR[dtype][1]}x{lanes}.{rows}x{vectors}.{unroll}"
    if name in module.globals:
        return module.globals[name]
    vector = ir.VectorType(element_type(dtype), lanes)
    declare(module, f"llvm.fma.v{lanes}{SCALAR[dtype][1]}", [vector] * 3, vector)
    return _written(module, name, TileWriter(name, dtype, lanes, left, shape).function())


def constant(module: ir.Module, name: str, value: ir.Constant) -> ir.Value:
    """Find in the module, or add to it, a constant in memory; returns its address."""
    if name in module.globals:
        return module.globals[name]
    made = ir.GlobalVariable(module, value.type, name)
    made.linkage, made.global_constant, made.initializer = "internal", True, value
    return made


def _written(module: ir.Module, name: str, text: str) -> ir.Function:
    """Add a tile function to the module, whose definition is a text."""

    class Written(ir.Function):
        text = ""

        def __str__(self) -> str:
            return self.text

    function = Written(module, tile_type(), name)
    function.linkage, function.text = "internal", text
    return function


def panel_columns(target: Target, dtype: Any, tile: Tile | None = None) -> int:
    """How many columns a panel of the right operand has: whole tiles, and 64 on any processor."""
    return max(tuning.PANEL_COLUMNS, (tile or choose_tile(target)).vectors[0] * target.lanes(dtype))


def covering_widths(tile: Tile, lanes: int, columns: Collection[int] | None) -> list[int]:
    """Which widths of a tile, by number, cover ``columns``; by default any could."""
    if columns is None:
        return list(range(len(tile.vectors)))
    used = set()
    for left in {-(-one // lanes) for one in columns}:
        for wide, width in enumerate(tile.vectors):
            if left >= width:
                used.add(wide)
                left %= width
    return sorted(used)

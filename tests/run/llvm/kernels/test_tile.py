"""Tile shapes: they fit the registers, and the code keeps its sums in them."""

from __future__ import annotations

import re

import pytest
from llvmlite import ir

from backhand.run.llvm.kernels.tile import Tile, choose_tile, lanes_of_last, tile_function
from backhand.run.llvm.machine.target import NAMED, Target, emit_assembly


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("single_row", [False, True])
def test_chosen_tiles_fit_the_registers(name, single_row):
    target = Target.named(name)
    tile = choose_tile(target, single_row=single_row)
    if not single_row:  # one row needs no register for an element of the left
        assert tile.registers <= target.registers
    assert tile.scratch >= max(tile.vectors)


@pytest.mark.parametrize("name", ["avx512", "avx2", "fma128"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("left", ["rows", "columns"])
@pytest.mark.parametrize("narrow", [False, True])
def test_no_vector_is_spilled_or_spread_twice(name, dtype, left, narrow):
    target = Target.named(name)
    tile = choose_tile(target)
    for vectors, rows, unroll in zip(tile.vectors, tile.rows, tile.unroll, strict=True):
        lanes = target.lanes(dtype)
        if narrow and vectors * lanes % 16:
            continue  # rows have room for 16 columns: their end is in a wider tile
        module, last = ir.Module(), lanes // 2 if narrow else None
        shape = rows, vectors, unroll
        tile_function(module, target, dtype, left, shape, last).linkage = "external"
        assembly = emit_assembly(str(module).replace("define internal", "define"), target)
        spilled = re.findall(r"vmov\w+\s+%[xyz]mm\d+, -?\d*\(%rsp\)", assembly)
        assert not spilled, (rows, vectors)
        again = re.findall(r"vbroadcast\w+\s+%xmm\d+, %[xyz]mm\d+", assembly)
        assert not narrow or not again, (rows, vectors)


@pytest.mark.parametrize(
    ("columns", "lanes", "last"),
    [
        (50, 16, 4),  # four vectors in one tile, two columns in the last
        (52, 16, 4),
        (53, 16, 8),
        (57, 16, None),  # more than half of the last vector
        (64, 16, None),
        (50, 8, None),  # two tiles of four vectors share a function
        (98, 16, 4),  # the last of 4, 2 and 1 vectors is in a tile of its own
        (114, 16, None),  # 4 and 4
        (2, 16, 4),  # and not two: fewer lanes cost no less
        (2, 8, None),  # rows have room for 16 columns: a tile of two vectors
        (2, 4, None),
        (10, 8, 4),
    ],
)
def test_how_many_lanes_the_last_columns_take(columns, lanes, last):
    tile = Tile(vectors=(4, 2, 1), rows=(6, 8, 16), unroll=(4, 2, 2))
    assert lanes_of_last(tile, lanes, columns) == last


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": (4, 2)}, "must descend to 1"),
        ({"vectors": (2, 4, 1)}, "must descend to 1"),
        ({"rest": ()}, "must descend to 1"),
        ({"rows": (6, 8)}, "for each of 3 widths"),
        ({"rows": (6, 8, 3)}, "at least 4"),
        ({"unroll": (3, 1, 1)}, "1, 2, 4 or 8"),
        ({"unroll": (1,)}, "for each of 3 widths"),
    ],
)
def test_a_shape_that_cannot_cover_a_product_is_refused(changes, message):
    right = {"vectors": (4, 2, 1), "rows": (6, 8, 14), "unroll": (4, 2, 2)}
    with pytest.raises(ValueError, match=message):
        Tile(**(right | changes))

"""Tile shapes: they fit the registers, and the code keeps its sums in them."""

from __future__ import annotations

import re

import pytest
from llvmlite import ir

from backhand.run.llvm.kernels.tile import Tile, choose_tile, tile_function
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
def test_no_vector_is_spilled(name, dtype, left):
    target = Target.named(name)
    tile = choose_tile(target)
    for vectors, rows, unroll in zip(tile.vectors, tile.rows, tile.unroll, strict=True):
        module, shape = ir.Module(), (rows, vectors, unroll)
        tile_function(module, target, dtype, left, shape).linkage = "external"
        assembly = emit_assembly(str(module).replace("define internal", "define"), target)
        spilled = re.findall(r"vmov\w+\s+%[xyz]mm\d+, -?\d*\(%rsp\)", assembly)
        assert not spilled, (rows, vectors)


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

"""Tile functions, each by itself, against NumPy."""

from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest

from backhand.run.llvm.ir.builder import ir
from backhand.run.llvm.kernels.tile import choose_tile, tile_function
from backhand.run.llvm.machine.target import compile_module

from ..products import DTYPES, TARGETS

TILE = ctypes.CFUNCTYPE(
    None, *(ctypes.c_int64 if number in (1, 3, 4, 6) else ctypes.c_void_p for number in range(8))
)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("left", ["rows", "columns"])
def test_a_tile_of_any_shape_sums_what_numpy_sums(rng, target, dtype, left):
    """Whole numbers, whose products and sums are exact in any order."""
    target, module = TARGETS[target], ir.Module()
    tile = choose_tile(target)
    shapes = {*zip(tile.rows, tile.vectors, tile.unroll, strict=True)}
    shapes |= {(rows, vectors, 1) for rows in tile.rest for vectors in tile.vectors}
    names = {}
    for shape in shapes:
        function = tile_function(module, target, dtype, left, shape)
        function.text = function.text.replace("define internal", "define")
        names[shape] = function.name
    library = compile_module(module, target)
    for (rows, vectors, unroll), depth in itertools.product(shapes, (0, 1, 3, 4, 9)):
        columns = vectors * target.lanes(dtype)
        x = rng.integers(-9, 9, (rows, depth + 2)).astype(dtype)
        w = rng.integers(-9, 9, (depth, columns + 3)).astype(dtype)
        start = rng.integers(-9, 9, (rows, columns + 1)).astype(dtype)
        given = x if left == "rows" else np.ascontiguousarray(x.T)
        out = np.empty((rows, columns), dtype)
        TILE(library.address(names[rows, vectors, unroll]))(
            given.ctypes.data,
            given.strides[0],
            w.ctypes.data,
            (columns + 3) * out.itemsize,
            depth,
            start.ctypes.data,
            start.strides[0],
            out.ctypes.data,
        )
        want = start[:, :columns] + x[:, :depth] @ w[:, :columns]
        assert np.array_equal(out, want), (rows, vectors, unroll, depth)

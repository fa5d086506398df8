"""What products share: their loops and tiles."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand.run.llvm.ir.builder import ir
from backhand.run.llvm.kernels.gemm_loops import ProductKind, emit_gemm_loops
from backhand.run.llvm.kernels.tile import choose_tile

from ..products import HOST, TILES, module_of

KIND = ProductKind(HOST, np.dtype("float32"), "rows", "rows", choose_tile(HOST))


def test_functions_of_one_module_share_their_tiles():
    names = [f.name for f in module_of(HOST, "float32", None).functions]
    tiles = [name for name in names if name.startswith("tile.")]
    assert len(tiles) == len(set(tiles))
    chosen = choose_tile(HOST)
    for kind in ("rows", "columns"):
        made = [name for name in tiles if name.startswith(f"tile.{kind}.")]
        assert len(made) >= len(chosen.vectors) * (1 + len(chosen.rest))


def test_loops_are_found_in_their_module_again():
    module = ir.Module("test")
    assert emit_gemm_loops(module, KIND) is emit_gemm_loops(module, dataclasses.replace(KIND))
    assert emit_gemm_loops(ir.Module("other"), KIND) is not emit_gemm_loops(module, KIND)


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": np.dtype("float64")},
        {"left": "columns"},
        {"start": "zero"},
        {"tile": TILES["three"]},
        {"target": dataclasses.replace(HOST, vector_bytes=HOST.vector_bytes // 2)},
    ],
)
def test_whatever_changes_the_loops_changes_their_name(change):
    assert str(dataclasses.replace(KIND, **change)) != str(KIND)

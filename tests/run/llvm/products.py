"""Products as native code, and operands for them; for the tests of what they are made of."""

from __future__ import annotations

import ctypes
import functools

import numpy as np
from llvmlite import ir

from backhand.run.llvm.kernels import column_sum as column_sums
from backhand.run.llvm.kernels import gemm as matmul
from backhand.run.llvm.kernels import gemm_loops, transpose
from backhand.run.llvm.kernels.tile import Tile, choose_tile, panel_columns
from backhand.run.llvm.machine.target import Target, compile_module

HOST = Target.host()
NAMES = [
    name
    for name in ("avx512", "avx2", "fma128", "aarch64")
    if Target.named(name).is_host_family and Target.named(name).vector_bytes <= HOST.vector_bytes
]
TARGETS = {"host": HOST} | {name: Target.named(name) for name in NAMES}
TILES = {
    "chosen": None,
    "one row": choose_tile(HOST, single_row=True),
    "narrow": Tile(vectors=(2, 1), rows=(14, 5), unroll=(1, 4), rest=(4, 2, 1)),
    "three": Tile(vectors=(3, 2, 1), rows=(7, 4, 9), unroll=(2, 1, 8), rest=(3, 1)),
    "single": Tile(vectors=(1,), rows=(1,), unroll=(1,), rest=(1,)),
}
# below, at and above the heights, widths and unrolled depths of every tile; and primes
SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 17, 19, 23, 31, 32, 33, 47, 64, 65, 67, 97)
PAD = 16
DTYPES = ("float32", "float64")
NUMBER, ADDRESS = ctypes.c_int64, ctypes.c_void_p
PRODUCT = [
    ADDRESS if a in ("left", "right", "start") else NUMBER for a in gemm_loops.PRODUCT_ARGUMENTS
]
SIGNATURES = {
    **{key: [*PRODUCT, ADDRESS, NUMBER] for key in ("rows", "columns", "zero")},
    "sum": [ADDRESS, *[NUMBER] * 5, ADDRESS, NUMBER],
    "transpose": [ADDRESS, NUMBER, ADDRESS, *[NUMBER] * 5],
}


def storing(dtype):
    """An epilogue that stores what it is given at ``out[row, column]``."""

    def epilogue(build, value, row, column, extra):
        out, stride = extra
        position = build.add(build.mul(row, stride), column)
        kind = value.type.element
        place = build.gep(out, [position], source_etype=kind)
        build.store(value, place, align=np.dtype(dtype).itemsize)

    return epilogue


def module_of(target, dtype, tile):
    module = ir.Module()
    common = {"epilogue": storing(dtype), "extra": [ir.PointerType(), ir.IntType(64)]}
    made = [
        matmul.emit_product(
            module, name, target, dtype, left=left, start=start, tile=tile, **common
        )
        for name, left, start in (
            ("rows", "rows", "rows"),
            ("columns", "columns", "rows"),
            ("zero", "rows", "zero"),
        )
    ]
    made.append(column_sums.emit_column_sum(module, "sum", target, dtype, **common))
    made.append(transpose.emit_transpose(module, "transpose", target, dtype))
    for function in made:
        function.linkage = "external"
    return module


@functools.cache
def compiled(target_name="host", dtype="float32", tile_name="chosen"):
    target = TARGETS[target_name]
    library = compile_module(module_of(target, dtype, TILES[tile_name]), target)
    functions = {
        name: ctypes.CFUNCTYPE(None, *kinds)(library.address(name))
        for name, kinds in SIGNATURES.items()
    }
    functions["library"] = library
    functions["panel"] = panel_columns(target, dtype, TILES[tile_name])
    return functions


def padded(columns):
    return -(-columns // PAD) * PAD


def matrix(rng, rows, columns, dtype, *, wide=None):
    """A matrix in whole vectors; the padding holds NaN, which must reach nobody."""
    stored = np.full((rows, wide or padded(columns)), np.nan, dtype)
    stored[:, :columns] = rng.standard_normal((rows, columns))
    return stored


def product(
    code, left, right, start, rows, columns, *, transposed=False, ranges=None, zero=False, out=None
):
    """Run a product over ranges of rows; returns what it stored, around it a frame of 7s."""
    depth = len(right)
    if out is None:
        out = np.full((rows, padded(columns) + PAD), 7, right.dtype)
    name = "columns" if transposed else "zero" if zero else "rows"
    for begin, end in ranges or [(0, rows)]:
        code[name](
            left.ctypes.data,
            left.strides[0] // left.itemsize,
            right.ctypes.data,
            right.strides[0] // right.itemsize,
            code["panel"],
            start.ctypes.data,
            0 if len(start) == 1 else start.strides[0] // start.itemsize,
            begin,
            end,
            0,
            padded(columns),
            depth,
            out.ctypes.data,
            out.strides[0] // out.itemsize,
        )
    return out


def problem(rng, dtype, transposed, shape=None):
    rows, depth, columns = shape or (int(n) for n in rng.choice(SIZES, 3))
    left = matrix(rng, *((depth, rows) if transposed else (rows, depth)), dtype)
    return left, matrix(rng, depth, columns, dtype), matrix(rng, 1, columns, dtype), rows, columns

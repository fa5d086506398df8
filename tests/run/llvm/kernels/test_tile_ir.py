"""Tiles whose last vector has fewer lanes, and products that prefetch what they replace."""

from __future__ import annotations

import ctypes
import functools

import numpy as np
import pytest
from llvmlite import ir

from backhand.run.llvm.kernels import gemm
from backhand.run.llvm.kernels.tile import choose_tile, lanes_of_last, panel_columns
from backhand.run.llvm.machine.target import compile_module

from ..products import (
    DTYPES,
    HOST,
    PAD,
    SIGNATURES,
    SIZES,
    TARGETS,
    compiled,
    padded,
    problem,
    product,
    storing,
)


@functools.cache
def narrow_last(target_name, dtype, columns, last):
    """Products for so many columns only, of which the last vector computes only so many lanes."""
    module, target = ir.Module(), TARGETS[target_name]
    for name in ("rows", "columns"):
        gemm.emit_product(
            module,
            name,
            target,
            dtype,
            left=name,
            start="rows",
            epilogue=storing(dtype),
            extra=[ir.PointerType(), ir.IntType(64)],
            columns={padded(columns)},
            last=last,
        ).linkage = "external"
    library = compile_module(module, target)
    functions = {
        name: ctypes.CFUNCTYPE(None, *SIGNATURES[name])(library.address(name))
        for name in ("rows", "columns")
    }
    return functions | {"library": library, "panel": panel_columns(target, dtype)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_same_bits_where_the_last_vector_has_fewer_lanes(rng, dtype, transposed):
    tried = 0
    for target_name, target in TARGETS.items():
        for columns in (1, 3, 12, 17, 20, 28, 33, 40, 44, 49, 50, 52, 56, 97, 113):
            lanes = target.lanes(dtype)
            last = lanes_of_last(choose_tile(target), lanes, columns)
            if last is None:
                continue
            tried += 1
            code = narrow_last(target_name, dtype, columns, last)
            rows, depth = (int(n) for n in rng.choice(SIZES, 2))
            given = problem(rng, dtype, transposed, (rows, depth, columns))
            want = product(compiled(target_name, dtype), *given, transposed=transposed)
            got = product(code, *given, transposed=transposed)
            assert got[:, :columns].tobytes() == want[:, :columns].tobytes(), (rows, depth, columns)
            end = padded(columns)
            assert (got[:, end - lanes + last : end] == 0).all()
            assert (got[:, end:] == 7).all()
    assert tried or HOST.lanes(dtype) < 8


def place_of(build, row, column, extra):
    out, stride = extra
    return out, build.add(build.mul(row, stride), column)


def dividing(dtype):
    """An epilogue like an optimiser's: it reads what it replaces, and divides."""

    def epilogue(build, value, row, column, extra):
        out, position = place_of(build, row, column, extra)
        item = np.dtype(dtype).itemsize
        place = build.gep(out, [position], source_etype=value.type.element)
        before = build.load(place, typ=value.type, align=item)
        build.store(build.fdiv(value, before), place, align=item)

    return epilogue


def far_away(build, row, column, extra):
    """Addresses to prefetch, far from anything that the process has."""
    out, position = place_of(build, row, column, extra)
    return [build.gep(out, [build.shl(position, position.type(40))], source_etype=ir.IntType(8))]


@functools.cache
def updating(target_name, dtype):
    module, target = ir.Module(), TARGETS[target_name]
    extra = [ir.PointerType(), ir.IntType(64)]
    common = {"left": "columns", "start": "rows", "epilogue": dividing(dtype), "extra": extra}
    for name, reads in (("plain", None), ("prefetching", far_away)):
        gemm.emit_product(module, name, target, dtype, reads=reads, **common).linkage = "external"
    library = compile_module(module, target)
    return library, [
        {"columns": ctypes.CFUNCTYPE(None, *SIGNATURES["columns"])(library.address(name))}
        | {"panel": panel_columns(target, dtype)}
        for name in ("plain", "prefetching")
    ]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_address_may_be_prefetched_and_changes_no_bit(rng, target, dtype):
    _, (plain, prefetching) = updating(target, dtype)
    for depth in (0, 1, 5, 50):
        rows, columns = int(rng.choice(SIZES)), int(rng.choice(SIZES))
        given = problem(rng, dtype, True, (rows, max(depth, 1), columns))
        left, right, start = (np.nan_to_num(part, nan=1.0) for part in given[:3])
        given = left, right[:depth], start, rows, columns
        first = rng.uniform(1, 2, (rows, padded(columns) + PAD)).astype(dtype)
        want = product(plain, *given, transposed=True, out=first.copy())
        got = product(prefetching, *given, transposed=True, out=first.copy())
        assert got.tobytes() == want.tobytes(), (rows, depth, columns)

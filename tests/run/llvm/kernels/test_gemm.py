"""Products, column sums and transposed copies against NumPy, their own bits, and unmapped pages."""

from __future__ import annotations

import ctypes
import functools
import itertools
import mmap
import sys
import threading

import numpy as np
import pytest
from llvmlite import ir

from backhand.run.llvm.kernels import gemm
from backhand.run.llvm.kernels.tile import panel_columns
from backhand.run.llvm.machine.target import Target, compile_module, emit_object

from ..products import (
    DTYPES,
    PAD,
    SIGNATURES,
    SIZES,
    TARGETS,
    TILES,
    compiled,
    module_of,
    padded,
    problem,
    product,
)


def share_of_bound(got, left, right, start):
    """The largest error, as a share of gamma_k * (|start| + |left| @ |right|)."""
    a, b, c = (part.astype(np.longdouble) for part in (left, right, start))
    k = len(right)

    def gamma(kind):
        unit = k * np.finfo(kind).eps / 2
        return unit / (1 - unit)

    # k roundings of ours and as many of the reference's, each at most half an eps
    bound = (gamma(got.dtype) + 2 * gamma(np.longdouble)) * (abs(c) + abs(a) @ abs(b))
    return np.max(abs(got - (c + a @ b)) / bound)


def checked(code, rng, dtype, transposed, zero=False):
    left, right, start, rows, columns = problem(rng, dtype, transposed)
    out = product(code, left, right, start, rows, columns, transposed=transposed, zero=zero)
    depth = len(right)
    plain = left[:, :rows].T if transposed else left[:, :depth]
    begin = np.zeros((1, columns)) if zero else start[:, :columns]
    assert (out[:, padded(columns) :] == 7).all(), (rows, depth, columns)
    return share_of_bound(out[:, :columns], plain, right[:, :columns], begin)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tile", TILES)
def test_products_are_within_the_derived_bound(rng, dtype, tile):
    code = compiled("host", dtype, tile)
    for _ in range(60):
        assert checked(code, rng, dtype, False) <= 1
        assert checked(code, rng, dtype, True) <= 1
        assert checked(code, rng, dtype, False, zero=True) <= 1


@pytest.mark.parametrize("fault", ["last row of right", "last left", "neighbour"])
def test_the_bound_notices_one_wrong_term(rng, fault):
    """A planted fault: what a loop that is one short or one off would give."""
    left, right, start, rows, columns = problem(rng, "float32", False, (23, 64, 33))
    a, b = left[:, :64].copy(), right[:, :columns].copy()
    if fault == "last row of right":
        right[-1] = 0
    elif fault == "last left":
        left[-1, 63] = 0
    else:
        left[:, 0], left[:, 1] = a[:, 1], a[:, 0]
    out = product(compiled(), left, right, start, rows, columns)
    assert share_of_bound(out[:, :columns], a, b, start[:, :columns]) > 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_same_bits_for_any_target_and_tile(rng, dtype, transposed):
    for _ in range(15):
        given = problem(rng, dtype, transposed)
        want = product(compiled("host", dtype), *given, transposed=transposed)[:, : given[-1]]
        for target in TARGETS:
            got = product(compiled(target, dtype), *given, transposed=transposed)[:, : given[-1]]
            assert got.tobytes() == want.tobytes(), (target, given[-2:])
        for tile in TILES:
            code = compiled("host", dtype, tile)
            got = product(code, *given, transposed=transposed)[:, : given[-1]]
            assert got.tobytes() == want.tobytes(), (tile, given[-2:])


def test_same_bits_as_one_chain_of_exact_fmas(rng):
    """float32 products are exact in float64, so a float64 sum rounded to float32 is an fma, save
    for double rounding, which these few bits of mantissa rule out."""
    rows, depth, columns = 17, 30, 19
    left, right, start, *_ = problem(rng, "float32", False, (rows, depth, columns))
    for part in (left, right, start):
        np.round(part * 64, out=part)
        part /= 64
    got = product(compiled(), left, right, start, rows, columns)[:, :columns]
    want = np.broadcast_to(start[0, :columns], got.shape)
    for k in range(depth):
        term = np.multiply.outer(left[:, k].astype(float), right[k, :columns].astype(float))
        want = (want + term).astype(np.float32)
    assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("transposed", [False, True])
def test_same_bits_for_any_ranges_on_any_thread(rng, transposed):
    code = compiled()
    for _ in range(20):
        given = problem(rng, "float32", transposed)
        rows, columns = given[-2:]
        want = product(code, *given, transposed=transposed)
        cuts = sorted({0, rows, *rng.integers(0, rows + 1, 3).tolist()})
        ranges = list(itertools.pairwise(cuts))
        out = np.full_like(want, 7)
        threads = [
            threading.Thread(
                target=product,
                args=(code, *given),
                kwargs={"transposed": transposed, "ranges": [part], "out": out},
            )
            for part in ranges
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = slice(0, columns)
        assert out[:, used].tobytes() == want[:, used].tobytes(), (ranges, columns)


def test_only_the_given_rows_and_columns_are_written(rng):
    code = compiled()
    left, right, start, rows, columns = problem(rng, "float32", False, (29, 9, 80))
    out = np.full((rows, columns), 7, np.float32)
    stride = right.strides[0] // 4
    where = [right.ctypes.data, stride, code["panel"], start.ctypes.data, 0, 5, 22, 16, 48, 9]
    code["rows"](left.ctypes.data, left.shape[1], *where, out.ctypes.data, columns)
    mine = np.zeros(out.shape, bool)
    mine[5:22, 16:48] = True
    assert (out[~mine] == 7).all()
    whole = product(code, left, right, start, rows, columns)[:, :columns]
    assert (out[mine] == whole[mine]).all()


def test_empty_ranges_write_nothing_and_no_depth_gives_the_start(rng):
    code = compiled()
    left, right, start, rows, columns = problem(rng, "float32", False, (8, 4, 16))
    assert (product(code, left, right, start, rows, columns, ranges=[(3, 3)]) == 7).all()
    out = product(code, left, right[:0], start, rows, columns)
    assert (out[:, :columns] == start[0]).all()


def test_blocking_the_depth_continues_the_chain(rng):
    code = compiled()
    left, right, start, rows, columns = problem(rng, "float32", False, (33, 97, 64))
    want = product(code, left, right, start, rows, columns)
    out = product(code, left, right[:40], start, rows, columns)
    out = product(code, left[:, 40:], right[40:], out, rows, columns, out=out)
    assert out.tobytes() == want.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_packed_panels_give_the_same_bits(rng, dtype):
    code, panel = compiled("host", dtype), compiled("host", dtype)["panel"]
    for columns in (panel, 3 * panel, 2 * panel + PAD):
        given = problem(rng, dtype, False, (19, 23, columns))
        left, right, start, rows, _ = given
        want = product(code, *given)
        parts = -(-columns // panel)
        packed = np.zeros((parts, len(right), panel), dtype)
        for part in range(parts):
            piece = right[:, part * panel : (part + 1) * panel]
            packed[part, :, : piece.shape[1]] = piece
        out = np.full_like(want, 7)
        strides = (packed.ctypes.data, panel, panel * len(right), start.ctypes.data, 0)
        ranges = (0, rows, 0, columns, len(right))
        code["rows"](
            left.ctypes.data, left.shape[1], *strides, *ranges, out.ctypes.data, out.shape[1]
        )
        assert out.tobytes() == want.tobytes()


class Guarded:
    """Memory between two unmapped pages, flush against one of them."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.kept = []

    def copy(self, array, *, at_end):
        page = mmap.PAGESIZE
        size = -(-array.nbytes // page) * page
        memory = mmap.mmap(-1, size + 2 * page)
        whole = np.frombuffer(memory, np.uint8)
        for edge in (whole.ctypes.data, whole.ctypes.data + page + size):
            assert self.libc.mprotect(ctypes.c_void_p(edge), ctypes.c_size_t(page), 0) == 0
        begin = page + (size - array.nbytes if at_end else 0)
        placed = whole[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
        placed[...] = array
        self.kept.append((memory, whole))
        return placed


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("at_end", [True, False])
def test_nothing_outside_the_operands_is_touched(rng, at_end):
    for dtype in DTYPES:
        code = compiled("host", dtype)
        for _ in range(40):
            guarded, transposed = Guarded(), bool(rng.integers(2))
            *operands, rows, columns = problem(rng, dtype, transposed)
            # the left operand may be the caller's own array, without any padding
            used = rows if transposed else len(operands[1])
            operands[0] = np.ascontiguousarray(operands[0][:, :used])
            want = product(code, *operands, rows, columns, transposed=transposed)
            placed = [guarded.copy(part, at_end=at_end) for part in operands]
            out = guarded.copy(np.zeros((rows, padded(columns)), dtype), at_end=at_end)
            product(code, *placed, rows, columns, transposed=transposed, out=out)
            assert out[:, :columns].tobytes() == want[:, :columns].tobytes()
            copy = guarded.copy(np.zeros((columns, rows), dtype), at_end=at_end)
            whole = (0, rows, 0, columns)
            code["transpose"](out.ctypes.data, out.shape[1], copy.ctypes.data, rows, *whole)
            assert (copy == out[:, :columns].T).all()
            total = guarded.copy(np.zeros(padded(columns), dtype), at_end=at_end)
            place = (out.ctypes.data, out.shape[1], 0, rows, 0, padded(columns))
            code["sum"](*place, total.ctypes.data, 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_code_is_made_for_a_processor_that_is_not_here(dtype):
    target = Target.named("aarch64")
    assert emit_object(module_of(target, dtype, None), target)


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

"""Gathering rows of a batch from the caller's array, in its own dtype and row stride.

    for i in row_begin .. row_end-1:
        source row n = order[first + i], or first + i without an order
        for k in 0 .. columns-1:  out[i, k] = convert(source[n, k])
        for k in columns .. out_ld-1:  out[i, k] = 0

Nothing outside a row's ``columns`` elements is read: what is left of a row behind the last whole
vector is read one element at a time.
"""

from __future__ import annotations

import numpy as np

from .build import IR, count, element, element_type, index, ir_module, minimum

ROWS_AHEAD = 8
LINES_AHEAD, CACHE_LINE = 3, 64
"""Rows come from anywhere in memory: the first lines of one further on are asked for early. What
follows in a long row the processor foresees by itself."""

READABLE = tuple(
    np.dtype(name)
    for name in (
        [
            "float32",
            "float64",
            "bool",
            "int8",
            "uint8",
            "int16",
            "uint16",
            "int32",
            "uint32",
            "int64",
            "uint64",
        ]
    )
)
"""Dtypes that are gathered as they are; anything else is converted once by the caller."""


def emit_gather(module: IR, name: str, lanes: int, source: np.dtype, out: np.dtype) -> IR:
    """Add the function that gathers rows.

    It takes source, source_stride (bytes between rows), order (or null), first, out, out_ld
    (elements), columns, row_begin, row_end.
    """
    ir = ir_module()
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    function = ir.Function(
        module,
        ir.FunctionType(ir.VoidType(), [pointer, i64, pointer, i64, pointer, i64, i64, i64, i64]),
        name,
    )
    function.linkage = "internal"
    base, stride, order, first, to, ld, columns, begin, end = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    narrow, wide = element_type(source), element_type(out)
    last = build.sub(build.add(first, end), index(1))
    prefetch = (
        ir.Function(
            module,
            ir.FunctionType(
                ir.VoidType(), [pointer, ir.IntType(32), ir.IntType(32), ir.IntType(32)]
            ),
            "llvm.prefetch.p0",
        )
        if "llvm.prefetch.p0" not in module.globals
        else module.globals["llvm.prefetch.p0"]
    )
    vectors = build.mul(build.sdiv(columns, index(lanes)), index(lanes))
    ordered = build.icmp_unsigned("!=", order, ir.Constant(pointer, None))

    def row_at(here: IR) -> IR:
        with build.if_else(ordered) as (yes, no):
            with yes:
                picked = build.load(element(build, order, here, i64), typ=i64)
                picked_in = build.block
            with no:
                plain_in = build.block
        row = build.phi(i64)
        row.add_incoming(picked, picked_in)
        row.add_incoming(here, plain_in)
        return build.gep(base, [build.mul(row, stride)], source_etype=ir.IntType(8))

    def one_row(i: IR) -> None:
        here = build.add(first, i)
        ahead = row_at(minimum(build, build.add(here, index(ROWS_AHEAD)), last))
        for line in range(LINES_AHEAD):
            place = build.gep(ahead, [index(line * CACHE_LINE)], source_etype=ir.IntType(8))
            build.call(prefetch, [place, *(ir.Constant(ir.IntType(32), v) for v in (0, 3, 1))])
        start = row_at(here)
        target = element(build, to, build.mul(i, ld), wide)

        def move(k: IR, width: int) -> None:
            kinds = (
                (narrow, wide)
                if width == 1
                else (ir.VectorType(narrow, width), ir.VectorType(wide, width))
            )
            value = build.load(
                element(build, start, k, narrow), typ=kinds[0], align=source.itemsize
            )
            value = convert(build, value, source, out, kinds[1])
            build.store(value, element(build, target, k, wide), align=out.itemsize)

        count(build, "vectors", index(0), vectors, lambda k: move(k, lanes), step=lanes)
        count(build, "rest", vectors, columns, lambda k: move(k, 1))

        def clear(k: IR) -> None:
            build.store(ir.Constant(wide, 0), element(build, target, k, wide), align=out.itemsize)

        count(build, "pad", columns, ld, clear)

    count(build, "row", begin, end, one_row)
    build.ret_void()
    return function


def convert(build: IR, value: IR, source: np.dtype, out: np.dtype, kind: IR) -> IR:
    """NumPy's ``astype`` between numbers."""
    if out.kind == "f":
        if source.kind == "f":
            if source.itemsize == out.itemsize:
                return value
            return (build.fptrunc if source.itemsize > out.itemsize else build.fpext)(value, kind)
        return (build.sitofp if source.kind == "i" else build.uitofp)(value, kind)
    if source.itemsize == out.itemsize:
        return value
    if source.itemsize > out.itemsize:
        return build.trunc(value, kind)
    return (build.sext if source.kind == "i" else build.zext)(value, kind)

"""Gathering rows of a batch from the caller's array, in its own dtype and row stride.

    for i in row_begin .. row_end-1:
        source row n = order[first + i], or first + i without an order
        for k in 0 .. columns-1:  out[i, k] = convert(source[n, k])
        for k in columns .. padded-1:  out[i, k] = 0

Nothing outside a row's ``columns`` elements is read: what is left of a row behind the last whole
vector is read in halves of one, quarters, and so on.
"""

from __future__ import annotations

import numpy as np

from .. import tuning
from ..ir.builder import (
    choose,
    define,
    element,
    element_type,
    for_range,
    index,
    ir,
    load_element,
    minimum,
    null,
    prefetch,
    vector_type,
)

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
DOUBLE = np.dtype(np.float64)
"""What sums over a batch, or over a gradient, are converted to."""


def emit_gather(
    module: ir.Module, lanes: int, source: np.dtype, out: np.dtype, columns: int, padded: int
) -> ir.Function:
    """Find in the module, or add to it, the function that gathers rows of ``columns`` columns.

    It takes source, source_stride (bytes between rows), order (or null), first, out, out_ld
    (elements), columns, row_begin, row_end, and how many rows there are from row 0 of the order:
    up to there it may ask ahead. Rows whose columns differ by whole vectors share it.
    """
    rest, pads = columns % lanes, padded - columns
    lines = -(-columns * source.itemsize // tuning.CACHE_LINE)
    length = "short" if lines <= tuning.SHORT_ROW_LINES else "long"
    read = lines if length == "short" else length
    name = f"gather.{source.name}.{out.name}.{rest}.{pads}.{read}"
    if name in module.globals:
        return module.globals[name]
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    function, build = define(module, name, [pointer, i64, pointer, i64, pointer, *[i64] * 5])
    base, stride, order, first, to, ld, count_of, begin, end, known = function.args
    source_kind, out_kind = element_type(source), element_type(out)
    last = build.sub(known, index(1))
    whole = build.sub(count_of, index(rest))

    def row_at(here: ir.Value) -> ir.Value:
        row = row_number(build, order, here)
        return element(build, base, build.mul(row, stride), ir.IntType(8))

    def ask(row: ir.Value, at: ir.Value) -> None:
        prefetch(build, element(build, row, at, ir.IntType(8)), locality=2)

    size = build.mul(count_of, index(source.itemsize))
    most = minimum(build, size, index(tuning.PREFETCHED_LINES * tuning.CACHE_LINE))

    def one_row(i: ir.Value) -> None:
        here = build.add(first, i)
        ahead = row_at(minimum(build, build.add(here, index(tuning.ROWS_AHEAD[length])), last))
        if length == "short":
            for line in range(lines):
                prefetch(
                    build, element(build, ahead, index(line * tuning.CACHE_LINE), ir.IntType(8))
                )
        else:
            for_range(
                build, "ahead", index(0), most, lambda at: ask(ahead, at), step=tuning.CACHE_LINE
            )
        start = row_at(here)
        target = element(build, to, build.mul(i, ld), out_kind)

        def move(k: ir.Value, width: int) -> None:
            kinds = [vector_type(kind, width) for kind in (source_kind, out_kind)]
            place = element(build, start, k, source_kind)
            value = build.load(place, typ=kinds[0], align=source.itemsize)
            value = convert(build, value, source, out, kinds[1])
            build.store(value, element(build, target, k, out_kind), align=out.itemsize)

        def clear(k: ir.Value, width: int) -> None:
            zeros = ir.Constant(vector_type(out_kind, width), None if width > 1 else 0)
            build.store(zeros, element(build, target, k, out_kind), align=out.itemsize)

        for_range(build, "vectors", index(0), whole, lambda k: move(k, lanes), step=lanes)
        for action, begins, many in ((move, whole, rest), (clear, count_of, pads)):
            at = 0
            for width in (1 << power for power in reversed(range(many.bit_length()))):
                if many & width:
                    action(build.add(begins, index(at)), width)
                    at += width

    for_range(build, "row", begin, end, one_row)
    build.ret_void()
    return function


def row_number(build: ir.IRBuilder, order: ir.Value, place: ir.Value) -> ir.Value:
    """``order[place]``, or ``place`` without an order (null)."""
    ordered = build.icmp_unsigned("!=", order, null())
    return choose(
        build,
        ordered,
        lambda: load_element(build, order, place, ir.IntType(64)),
        lambda: place,
    )


def convert(
    build: ir.IRBuilder, value: ir.Value, source: np.dtype, out: np.dtype, kind: ir.Type
) -> ir.Value:
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

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
from ..ir.builder import IR, count, element, element_type, index, ir_module, minimum, prefetch

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


def emit_gather(
    module: IR, lanes: int, source: np.dtype, out: np.dtype, columns: int, padded: int
) -> IR:
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
    ir = ir_module()
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    function = ir.Function(
        module,
        ir.FunctionType(ir.VoidType(), [pointer, i64, pointer, i64, pointer, *[i64] * 5]),
        name,
    )
    function.linkage = "internal"
    base, stride, order, first, to, ld, count_of, begin, end, known = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    source_kind, out_kind = element_type(source), element_type(out)
    last = build.sub(known, index(1))
    whole = build.sub(count_of, index(rest))
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

    def ask(row: IR, at: IR) -> None:
        prefetch(build, element(build, row, at, ir.IntType(8)), locality=2)

    size = build.mul(count_of, index(source.itemsize))
    most = minimum(build, size, index(tuning.PREFETCHED_LINES * tuning.CACHE_LINE))

    def one_row(i: IR) -> None:
        here = build.add(first, i)
        ahead = row_at(minimum(build, build.add(here, index(tuning.ROWS_AHEAD[length])), last))
        if length == "short":
            for line in range(lines):
                prefetch(
                    build, element(build, ahead, index(line * tuning.CACHE_LINE), ir.IntType(8))
                )
        else:
            count(build, "ahead", index(0), most, lambda at: ask(ahead, at), step=tuning.CACHE_LINE)
        start = row_at(here)
        target = element(build, to, build.mul(i, ld), out_kind)

        def move(k: IR, width: int) -> None:
            kinds = [_several(kind, width) for kind in (source_kind, out_kind)]
            place = element(build, start, k, source_kind)
            value = build.load(place, typ=kinds[0], align=source.itemsize)
            value = convert(build, value, source, out, kinds[1])
            build.store(value, element(build, target, k, out_kind), align=out.itemsize)

        def clear(k: IR, width: int) -> None:
            zeros = ir.Constant(_several(out_kind, width), None if width > 1 else 0)
            build.store(zeros, element(build, target, k, out_kind), align=out.itemsize)

        count(build, "vectors", index(0), whole, lambda k: move(k, lanes), step=lanes)
        for action, begins, many in ((move, whole, rest), (clear, count_of, pads)):
            at = 0
            for width in (1 << power for power in reversed(range(many.bit_length()))):
                if many & width:
                    action(build.add(begins, index(at)), width)
                    at += width

    count(build, "row", begin, end, one_row)
    build.ret_void()
    return function


def _several(kind: IR, width: int) -> IR:
    """The type of ``width`` elements side by side."""
    return kind if width == 1 else ir_module().VectorType(kind, width)


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

"""The length of all gradients together, in one fixed order.

    for each gradient:  for each of its rows, as `rows` sums one:  total += sum of squares
    clip = clip_factor(total)

Squares are formed and added up in double: in float32 they would overflow while the loss is still
finite. Every thread works the sum out for itself from the same numbers and gets the same bits, so
none has to wait for another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....expr.trace import trace
from ....formulas.optimisers import clip_factor
from ..ir.builder import IR, count, element, element_type, index, ir_module
from ..ir.simd import Lanes
from ..lowering.lower import emit_vector
from ..lowering.rows import VIRTUAL_LANES
from ..machine.target import Target


class ClipFactor:
    """The functions that work out the factor, in a module."""

    def __init__(self, module: IR, target: Target, dtype: np.dtype) -> None:
        self._squares = emit_squares(module, "squares", target, dtype)
        self._factor = emit_factor(module, "clip_factor", dtype)
        self._real = element_type(dtype)

    def store(
        self, build: IR, gradients: Sequence[tuple[IR, int, int]], limit: IR, place: IR
    ) -> None:
        """Store the factor at a place, for gradients (address, rows, padded columns)."""
        total: IR = ir_module().Constant(ir_module().DoubleType(), 0)
        for a, rows, columns in gradients:
            shape = index(columns), index(rows), index(columns)
            total = build.fadd(total, build.call(self._squares, [a, *shape]))
        longest = build.load(limit, typ=self._real)
        build.store(build.call(self._factor, [total, longest]), place)


def emit_squares(module: IR, name: str, target: Target, dtype: np.dtype) -> IR:
    """``squares(a, a_ld, rows, columns) -> double``; what is beyond the columns' end is zero.

    ``columns`` is a multiple of 16.
    """
    ir = ir_module()
    pointer, i64, double = ir.PointerType(), ir.IntType(64), ir.DoubleType()
    function = ir.Function(module, ir.FunctionType(double, [pointer, i64, i64, i64]), name)
    function.linkage = "internal"
    base, stride, rows, columns = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    lanes = Lanes(build, np.dtype(np.float64), target.lanes(np.float64))
    ways = VIRTUAL_LANES // lanes.count
    real = element_type(dtype)
    loaded = real if lanes.count == 1 else ir.VectorType(real, lanes.count)
    total = build.alloca(double)
    build.store(ir.Constant(double, 0), total)
    sums = [build.alloca(lanes.vector) for _ in range(ways)]

    def one_row(row: IR) -> None:
        for place in sums:
            build.store(lanes.real(0.0), place)
        start = build.mul(row, stride)

        def some(column: IR) -> None:
            for way, place in enumerate(sums):
                at = build.add(start, build.add(column, index(way * lanes.count)))
                a = build.load(element(build, base, at, real), typ=loaded, align=dtype.itemsize)
                a = a if real == double else build.fpext(a, lanes.vector)
                build.store(lanes.fma(a, a, build.load(place, typ=lanes.vector)), place)

        count(build, "column", index(0), columns, some, step=VIRTUAL_LANES)
        parts = [build.load(place, typ=lanes.vector) for place in sums]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [lanes.add(parts[i], parts[i + half]) for i in range(half)]
        whole = parts[0]
        while hasattr(whole.type, "count") and whole.type.count > 2:
            whole = lanes.add(*lanes.halves(whole))
        if lanes.count > 1:
            whole = lanes.add(
                *(build.extract_element(whole, lanes.word_element(k)) for k in (0, 1))
            )
        build.store(build.fadd(build.load(total, typ=double), whole), total)

    count(build, "row", index(0), rows, one_row)
    build.ret(build.load(total, typ=double))
    return function


def emit_factor(module: IR, name: str, dtype: np.dtype) -> IR:
    """``factor(squares, clip_norm) -> factor``, by the formula; a double, then two of the dtype."""
    ir = ir_module()
    double, real = ir.DoubleType(), element_type(dtype)
    graph = trace(clip_factor, [("squares", "real"), ("clip_norm", "real")])
    function = ir.Function(module, ir.FunctionType(real, [double, real]), name)
    function.linkage = "internal"
    squares, limit = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    limit = limit if real == double else build.fpext(limit, double)
    lanes = Lanes(build, np.dtype(np.float64), 1)
    (factor,) = emit_vector(graph, lanes, {"squares": squares, "clip_norm": limit})
    build.ret(factor if real == double else build.fptrunc(factor, real))
    return function

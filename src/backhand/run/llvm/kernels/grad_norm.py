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
from ..ir.builder import define, element, element_type, fold, index, ir, vector_type
from ..ir.simd import Lanes, tree
from ..lowering.lower import emit_vector
from ..lowering.rows import VIRTUAL_LANES
from ..machine.target import Target
from .gather import DOUBLE, convert


class ClipFactor:
    """The functions that work out the factor, in a module."""

    def __init__(self, module: ir.Module, target: Target, dtype: np.dtype) -> None:
        self._squares = emit_squares(module, "squares", target, dtype)
        self._factor = emit_factor(module, "clip_factor", dtype)
        self._real = element_type(dtype)

    def store(
        self,
        build: ir.IRBuilder,
        gradients: Sequence[tuple[ir.Value, int, int, int]],
        limit: ir.Value,
        place: ir.Value,
    ) -> None:
        """Store the factor at a place, for gradients (address, rows, padded columns, columns)."""
        total: ir.Value = ir.Constant(ir.DoubleType(), 0)
        for a, rows, stride, columns in gradients:
            shape = index(stride), index(rows), index(columns)
            total = build.fadd(total, build.call(self._squares, [a, *shape]))
        longest = build.load(limit, typ=self._real)
        build.store(build.call(self._factor, [total, longest]), place)


def emit_squares(module: ir.Module, name: str, target: Target, dtype: np.dtype) -> ir.Function:
    """``squares(a, a_ld, rows, columns) -> double``; rows have room for whole vectors."""
    pointer, i64, double = ir.PointerType(), ir.IntType(64), ir.DoubleType()
    function, build = define(module, name, [pointer, i64, i64, i64], double)
    base, stride, rows, columns = function.args
    lanes = Lanes(build, DOUBLE, target.lanes(DOUBLE))
    ways, real = VIRTUAL_LANES // lanes.count, element_type(dtype)
    loaded = vector_type(real, lanes.count)
    inside = lanes.splat(build.trunc(columns, lanes.word_element))

    def one_row(row: ir.Value, held: list[ir.Value]) -> list[ir.Value]:
        start = build.mul(row, stride)

        def some(column: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            new = []
            for way, total in enumerate(sums):
                here = build.add(column, index(way * lanes.count))
                place = element(build, base, build.add(start, here), real)
                a = build.load(place, typ=loaded, align=dtype.itemsize)
                a = convert(build, a, dtype, DOUBLE, lanes.vector)
                a = lanes.where(lanes.word_below(lanes.columns(here), inside), a, lanes.real(0.0))
                new.append(lanes.fma(a, a, total))
            return new

        zeros = [lanes.real(0.0)] * ways
        parts = fold(build, "column", index(0), columns, zeros, some, VIRTUAL_LANES)
        whole = lanes.across(tree(parts, lanes.add), lanes.add)
        return [build.fadd(held[0], whole)]

    build.ret(*fold(build, "row", index(0), rows, [ir.Constant(double, 0)], one_row))
    return function


def emit_factor(module: ir.Module, name: str, dtype: np.dtype) -> ir.Function:
    """``factor(squares, clip_norm) -> factor``, by the formula; a double, then two of the dtype."""
    double, real = ir.DoubleType(), element_type(dtype)
    graph = trace(clip_factor, [("squares", "real"), ("clip_norm", "real")])
    function, build = define(module, name, [double, real], real)
    squares, limit = function.args
    limit = convert(build, limit, dtype, DOUBLE, double)
    lanes = Lanes(build, DOUBLE, 1)
    (factor,) = emit_vector(graph, lanes, {"squares": squares, "clip_norm": limit})
    build.ret(convert(build, factor, DOUBLE, dtype, real))
    return function

"""What a batch has one of: its sum of weights, its loss, the keys of its noise."""

from __future__ import annotations

import numpy as np

from ....expr.trace import trace
from ....formulas import noise
from ..ir.builder import define, element, element_type, fold, index, ir, load_element, null
from ..ir.simd import Lanes
from ..lowering.lower import emit_vector
from .gather import DOUBLE, convert, row_number


def emit_weight_sum(module: ir.Module, source: np.dtype) -> ir.Function:
    """``sum(weight, stride, order, first, rows) -> double``: sample weights of a batch.

    Without weights (null) it is the number of rows.
    """
    pointer, i64, double = ir.PointerType(), ir.IntType(64), ir.DoubleType()
    function, build = define(module, "weight_sum", [pointer, i64, pointer, i64, i64], double)
    weight, stride, order, first, rows = function.args
    with build.if_then(build.icmp_unsigned("==", weight, null())):
        build.ret(build.sitofp(rows, double))
    kind = element_type(source)

    def one(i: ir.Value, held: list[ir.Value]) -> list[ir.Value]:
        row = row_number(build, order, build.add(first, i))
        place = element(build, weight, build.mul(row, stride), ir.IntType(8))
        value = convert(build, build.load(place, typ=kind), source, DOUBLE, double)
        return [build.fadd(held[0], value)]

    build.ret(*fold(build, "row", index(0), rows, [ir.Constant(double, 0)], one))
    return function


def emit_add_loss(module: ir.Module, dtype: np.dtype) -> ir.Function:
    """``add(value, rows, weights, results)``: a batch's loss times its weights, and its weights."""
    pointer, i64, double = ir.PointerType(), ir.IntType(64), ir.DoubleType()
    function, build = define(module, "add_loss", [pointer, i64, double, pointer])
    value, rows, weights, results = function.args
    kind = element_type(dtype)

    def one(i: ir.Value, held: list[ir.Value]) -> list[ir.Value]:
        here = convert(build, load_element(build, value, i, kind), dtype, DOUBLE, double)
        return [build.fadd(held[0], here)]

    (total,) = fold(build, "row", index(0), rows, [ir.Constant(double, 0)], one)
    for place, amount in enumerate((build.fmul(total, weights), weights)):
        at = element(build, results, index(place), double)
        build.store(build.fadd(build.load(at, typ=double), amount), at)
    build.ret_void()
    return function


def emit_layer_key(module: ir.Module, dtype: np.dtype) -> ir.Function:
    """``layer_key(seed, step, layer) -> word``, by the formula."""
    names, word = ("seed", "step", "layer"), ir.IntType(32)
    graph = trace(noise.layer_key, [(name, "word") for name in names])
    function, build = define(module, "layer_key", [word] * len(names), word)
    lanes = Lanes(build, dtype, 1)
    build.ret(*emit_vector(graph, lanes, dict(zip(names, function.args, strict=True))))
    return function

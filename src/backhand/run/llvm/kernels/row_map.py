"""Formulas over the rows of a batch, which may reduce over a row: losses, norms, and others.

    for n in row_begin .. row_end-1:  stores[n] = formula(reads[n], numbers)

Rows of few columns go one to a lane, and longer ones with their columns in the lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ....expr.graph import Graph
from .. import tuning
from ..ir.builder import define, element, element_type, for_range, index, ir
from ..ir.simd import Lanes
from ..lowering.rows import emit_row
from ..lowering.rows_in_lanes import RowLanes, emit_rows_in_lanes
from ..machine.target import Target
from .gather import convert

Output = Literal["row", "columns", "number"]
"""What is stored: a row with room for whole vectors; columns with others beside them, which stay
as they are; or one number."""


def emit_row_map(
    module: ir.Module,
    name: str,
    target: Target,
    dtype: np.dtype,
    graph: Graph,
    columns: int,
    reads: Sequence[str],
    outputs: Sequence[Output],
    numbers: Sequence[tuple[str, ir.Type]] = (),
) -> ir.Function:
    """Add to the module the function of a formula over rows.

    It takes row_begin, row_end, ``total`` (a double), two numbers a and b, of which ``row`` is
    ``a + b * n`` for row n, then for each input and each output its address and row stride, then
    the numbers that are the same for all rows.

    Parameters
    ----------
    module, name, target, dtype
        As for `gemm.emit_product`.
    graph : Graph
        The formula, whose inputs may also be ``total`` and ``row``.
    columns : int
        Of a row.
    reads : sequence of str
        The inputs that lie in memory, in order.
    outputs : sequence of {"row", "columns", "number"}
        What the formula gives.
    numbers : sequence of (str, ir.Type)
        Names and types of the inputs that are the same for all rows.
    """
    word, i64, real, double = ir.IntType(32), ir.IntType(64), element_type(dtype), ir.DoubleType()
    pairs = [ir.PointerType(), i64] * (len(reads) + len(outputs))
    kinds = [i64, i64, double, i64, i64, *pairs, *(kind for _, kind in numbers)]
    function, build = define(module, name, kinds)
    begin, end, given, row_first, row_step, *rest = function.args
    same = {"total": convert(build, given, np.dtype(np.float64), dtype, real)}
    same |= {name: value for (name, _), value in zip(numbers, rest[len(pairs) :], strict=True)}
    lanes = Lanes(build, dtype, target.lanes(dtype))
    items = [word if graph.inputs.get(name) == "index" else real for name in reads]
    items += [real] * len(outputs)
    operands = [*zip(rest[: len(pairs) : 2], rest[1 : len(pairs) : 2], items, strict=True)]

    def number_of(row: ir.Value) -> ir.Value:
        return build.trunc(build.add(row_first, build.mul(row, row_step)), word)

    def one_row(row: ir.Value) -> None:
        """A row's columns in the lanes."""
        places = [element(build, a, build.mul(row, stride), k) for a, stride, k in operands]
        inputs: dict[str, ir.Value] = {**same, "row": number_of(row)}
        for name, place, item in zip(reads, places, items, strict=False):
            vector = graph.inputs.get(name) == "real"
            inputs[name] = place if vector else build.load(place, typ=item)
        stores = places[len(reads) :]
        results = emit_row(graph, lanes, columns, inputs, stores, outputs)
        for result, place in zip(results, stores, strict=True):
            if result is not None:
                build.store(result, place)

    def some_rows(first: ir.Value) -> None:
        """A row in each lane; where there are no more, the last one again."""
        left = build.trunc(build.sub(build.sub(end, index(1)), first), word)
        last, each = lanes.splat(left), lanes.iota()
        which = build.select(build.icmp_signed("<", each, last), each, last)
        rows = [
            RowLanes(lanes, element(build, a, build.mul(first, stride), k), stride, which, k)
            for a, stride, k in operands
        ]
        at = dict(zip(reads, rows, strict=False))
        everywhere = {name: lanes.splat(value) for name, value in same.items()}

        def load(name: str, column: int) -> ir.Value:
            if name == "row":
                steps = build.mul(which, lanes.splat(build.trunc(row_step, word)))
                return build.add(lanes.splat(number_of(first)), steps)
            return everywhere[name] if name in everywhere else at[name].load(column)

        results = emit_rows_in_lanes(graph, lanes, columns, load)
        for row, values, output in zip(rows[len(reads) :], results, outputs, strict=True):
            wide = 1 if output == "number" else columns
            for column in range(wide):
                row.store(column, values[column if len(values) > 1 else 0])

    if columns <= tuning.ROWS_IN_LANES_COLUMNS:
        for_range(build, "rows", begin, end, some_rows, step=lanes.count)
    else:
        for_range(build, "row", begin, end, one_row)
    build.ret_void()
    return function

"""The loss and its gradient over a batch: a formula with reductions, for every row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....expr.graph import Graph
from .. import tuning
from ..ir.builder import count, define, element, element_type, index, ir
from ..ir.simd import Lanes
from ..lowering.rows import emit_row
from ..lowering.rows_in_lanes import RowLanes, emit_rows_in_lanes
from ..machine.target import Target
from .gather import convert


def emit_row_loss(
    module: ir.Module,
    name: str,
    target: Target,
    dtype: np.dtype,
    graph: Graph,
    reads: Sequence[str],
    stores: int,
    columns: int,
) -> ir.Function:
    """Add to the module the function of a formula over rows.

    It takes row_begin, row_end, ``total`` (a double), then for each input and each output its
    address and row stride.

    Parameters
    ----------
    module, name, target, dtype
        As for `gemm.emit_product`.
    graph : Graph
        The formula; its input ``total`` is a number for all rows.
    reads : sequence of str
        Its other inputs, in order.
    stores : int
        How many outputs it has.
    columns : int
        Of a row.
    """
    word, real, double = ir.IntType(32), element_type(dtype), ir.DoubleType()
    pairs = [ir.PointerType(), ir.IntType(64)] * (len(reads) + stores)
    kinds = [ir.IntType(64), ir.IntType(64), double, *pairs]
    function, build = define(module, name, kinds)
    begin, end, given, *rest = function.args
    total = convert(build, given, np.dtype(np.float64), dtype, real)
    lanes = Lanes(build, dtype, target.lanes(dtype))
    items = [word if graph.inputs.get(name) == "index" else real for name in reads]
    operands = [*zip(rest[::2], rest[1::2], [*items, *[real] * stores], strict=True)]

    def one_row(row: ir.Value) -> None:
        """A row's columns in the lanes."""
        places = [element(build, a, build.mul(row, stride), k) for a, stride, k in operands]
        inputs: dict[str, ir.Value] = {"total": total}
        for name, place, item in zip(reads, places, items, strict=False):
            vector = graph.inputs.get(name) == "real"
            inputs[name] = place if vector else build.load(place, typ=item)
        outputs = places[len(reads) :]
        results = emit_row(graph, lanes, columns, inputs, outputs)
        for result, place in zip(results, outputs, strict=True):
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
        everywhere, at = lanes.splat(total), dict(zip(reads, rows, strict=False))

        def load(name: str, column: int) -> ir.Value:
            return everywhere if name == "total" else at[name].load(column)

        results = emit_rows_in_lanes(graph, lanes, columns, load)
        for row, values in zip(rows[len(reads) :], results, strict=True):
            for column, value in enumerate(values):
                row.store(column, value)

    if columns <= tuning.ROWS_IN_LANES_COLUMNS:
        count(build, "rows", begin, end, some_rows, step=lanes.count)
    else:
        count(build, "row", begin, end, one_row)
    build.ret_void()
    return function

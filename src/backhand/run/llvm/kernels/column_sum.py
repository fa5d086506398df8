"""Sums of columns as native code: the gradients of biases."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from .. import tuning
from ..ir.builder import define, element, element_type, index, ir
from ..machine.target import Target
from .gemm import Epilogue, Prepare, emit_product
from .gemm_loops import PRODUCT_ARGUMENTS, Start
from .tile import Tile, constant, panel_columns
from .tile_ir import SCALAR


def emit_column_sum(
    module: ir.Module,
    name: str,
    target: Target,
    dtype: Any,
    *,
    epilogue: Epilogue,
    start: Start = "zero",
    extra: Sequence[ir.Type] = (),
    prepare: Prepare | None = None,
    columns: Collection[int] | None = None,
) -> ir.Function:
    """Add to the module a function that sums columns, in the order of the rows.

    It is the product with a left operand of ones, since ``fma(1, x, acc)`` is ``acc + x``. It takes
    the source and its row stride, ``row_begin``, ``row_end``, ``column_begin``, ``column_end``,
    with ``start="rows"`` where the sums start from, and then what the epilogue takes; strides and
    positions count elements.

    Parameters
    ----------
    module, name, target, dtype, extra, prepare, columns
        As for `emit_product`.
    epilogue : callable
        As for `emit_product`; the row that it is given is 0.

    Returns
    -------
    ir.Function
        With internal linkage.
    """
    tile = Tile(**tuning.TILE_COLUMN_SUM)
    product = emit_product(
        module,
        f"{name}.product",
        target,
        dtype,
        left="columns",
        start=start,
        epilogue=epilogue,
        extra=extra,
        prepare=prepare,
        columns=columns,
        tile=tile,
    )
    real = element_type(dtype)
    ones = constant(module, f"one.{SCALAR[np.dtype(dtype).name][1]}", ir.Constant(real, 1.0))
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    kinds = [pointer, *[i64] * 5, *([pointer] if start == "rows" else []), *extra]
    function, build = define(module, name, kinds)
    source, stride, row_begin, row_end, column_begin, column_end, *rest = function.args
    first = rest.pop(0) if start == "rows" else ones
    arguments = {
        "left": ones,
        "left_ld": index(0),
        "right": element(build, source, build.mul(row_begin, stride), real),
        "right_ld": stride,
        "right_panel": index(panel_columns(target, dtype, tile)),
        "start": first,
        "start_ld": index(0),
        "row_begin": index(0),
        "row_end": index(1),
        "column_begin": column_begin,
        "column_end": column_end,
        "depth": build.sub(row_end, row_begin),
    }
    build.call(product, [*(arguments[key] for key in PRODUCT_ARGUMENTS), *rest])
    build.ret_void()
    return function

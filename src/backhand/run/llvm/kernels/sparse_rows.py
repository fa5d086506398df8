"""The first layer over the stored entries of the caller's CSR rows: nothing is made dense.

    for n in row_begin .. row_end-1:                         forward
        acc = b
        for k, x in the entries of row n:  acc = fma(x, w[k, :], acc)
        epilogue(acc, n)

    for n in 0 .. rows-1:                                    backward: dw = x.T @ dz
        for k, x in the entries of row n:
            if k_begin <= k < k_end:  dw[k, :] = fma(x, dz[n, :], dw[k, :])
    for k in k_begin .. k_end-1:  epilogue(dw[k, :], k);  dw[k, :] = 0

The same chains as those of the dense product in `gemm`, without the entries that are zero. With
finite numbers that changes no bit but the sign of a zero; what is infinite or NaN is not multiplied
by the zeros that are not stored. Threads share out rows, and then ranges of k, so their number
changes nothing either. Entries lie in order and indices within the columns, which the caller sees
to; backward, an index elsewhere is nobody's and is passed over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....errors import InputError
from .. import tuning
from ..ir.builder import define, element, element_type, fold, for_range, index, ir, load_element
from ..ir.simd import Lanes
from ..machine.target import Target
from .gather import READABLE, convert, row_number
from .gemm import Epilogue, Prepare


@dataclasses.dataclass(frozen=True)
class Entries:
    """The types of a CSR matrix's ``data`` and ``indices``; ``indptr`` is int64."""

    data: np.dtype
    indices: np.dtype


def stored_entries(x: Any) -> dict[str, Any]:
    """The arrays of a CSR matrix as a program reads them, where they lie if they can be read.

    Raises InputError for a matrix in another format, whose arrays mean something else.
    """
    if x.format != "csr":
        raise InputError(f"x is a sparse matrix in {x.format} format: pass x.tocsr()")
    known = x.data.dtype in READABLE and x.data.dtype.isnative
    wide = x.indices.dtype not in (np.dtype(np.int32), np.dtype(np.int64))
    return {
        "all_x": np.require(x.data, None if known else np.float64, ["C", "A"]),
        "all_x.indices": np.require(x.indices, np.int64 if wide else None, ["C", "A"]),
        "all_x.indptr": np.require(x.indptr, np.int64, ["C", "A"]),
    }


def step_flops(x: Any, batch: int, width: int) -> int:
    """What a training step's first layer takes, in operations."""
    entries = 6 * batch * x.nnz // max(1, x.shape[0])
    return int(entries + tuning.SPARSE_UPDATE_WORK * x.shape[1]) * width


class _Function:
    """A function that begins with the CSR matrix's data, indices, indptr, and the batch's order
    (or null) and first row."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        target: Target,
        dtype: np.dtype,
        entries: Entries,
        kinds: Sequence[ir.Type],
    ) -> None:
        self.pointer, self.i64 = ir.PointerType(), ir.IntType(64)
        csr = [*[self.pointer] * 4, self.i64]
        self.function, self.build = define(module, name, [*csr, *kinds])
        self.dtype, self.entries = dtype, entries
        self.data, self.indices, self.indptr, self.order, self.first = self.function.args[:5]
        self.rest = self.function.args[5:]
        self.lanes = Lanes(self.build, dtype, target.lanes(dtype))
        self.real = element_type(dtype)

    def range_of(self, row: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Where the entries of a row of the batch begin and end."""
        source = row_number(self.build, self.order, self.build.add(self.first, row))
        begin, end = (
            load_element(self.build, self.indptr, place, self.i64)
            for place in (source, self.build.add(source, index(1)))
        )
        return begin, end

    def column(self, entry: ir.Value) -> ir.Value:
        """The column k of an entry."""
        kind = element_type(self.entries.indices)
        k = load_element(self.build, self.indices, entry, kind)
        return k if kind == self.i64 else self.build.sext(k, self.i64)

    def value(self, entry: ir.Value) -> ir.Value:
        """The value of an entry, converted, in all lanes."""
        kind = element_type(self.entries.data)
        x = load_element(self.build, self.data, entry, kind)
        return self.lanes.splat(convert(self.build, x, self.entries.data, self.dtype, self.real))

    def at(self, base: ir.Value, row: ir.Value, stride: ir.Value, column: ir.Value) -> ir.Value:
        place = self.build.add(self.build.mul(row, stride), column)
        return element(self.build, base, place, self.real)

    def done(self) -> ir.Function:
        self.build.ret_void()
        return self.function


def emit_rows(
    module: ir.Module,
    name: str,
    target: Target,
    dtype: np.dtype,
    entries: Entries,
    columns: int,
    *,
    epilogue: Epilogue,
    extra: Sequence[ir.Type] = (),
) -> ir.Function:
    """Add the function of the forward product.

    After the CSR matrix it takes w, w_ld, bias, row_begin, row_end, and what the epilogue takes.
    ``columns`` are a whole number of vectors. Parameters are otherwise as for
    `gemm.emit_product`.
    """
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    made = _Function(
        module, name, target, dtype, entries, [pointer, i64, pointer, i64, i64, *extra]
    )
    build, lanes = made.build, made.lanes
    w, stride, bias, row_begin, row_end, *rest = made.rest
    vectors = columns // lanes.count
    scratch = build.alloca(lanes.vector, size=tuning.SPARSE_HELD_VECTORS)

    def panel(row: ir.Value, begin: ir.Value, end: ir.Value, first: ir.Value, width: int) -> None:
        columns_of = [build.add(first, index(v * lanes.count)) for v in range(width)]
        start = [lanes.load(element(build, bias, c, made.real)) for c in columns_of]

        def one(entry: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            k, x = made.column(entry), made.value(entry)
            places = [made.at(w, k, stride, c) for c in columns_of]
            return [lanes.fma(x, lanes.load(p), s) for p, s in zip(places, sums, strict=True)]

        for v, total in enumerate(fold(build, "entries", begin, end, start, one)):
            lanes.store(total, element(build, scratch, index(v), lanes.vector))

        def finish(v: ir.Value) -> None:
            value = lanes.load(element(build, scratch, v, lanes.vector))
            column = build.add(first, build.mul(v, index(lanes.count)))
            epilogue(build, value, row, column, rest)

        for_range(build, "finish", index(0), index(width), finish)

    def one_row(row: ir.Value) -> None:
        begin, end = made.range_of(row)
        whole, left = divmod(vectors, tuning.SPARSE_HELD_VECTORS)
        step = tuning.SPARSE_HELD_VECTORS * lanes.count
        if whole:
            for_range(
                build,
                "panel",
                index(0),
                index(whole * step),
                lambda first: panel(row, begin, end, first, tuning.SPARSE_HELD_VECTORS),
                step=step,
            )
        if left:
            panel(row, begin, end, index(whole * step), left)

    for_range(build, "row", row_begin, row_end, one_row)
    return made.done()


def emit_sums(
    module: ir.Module,
    name: str,
    target: Target,
    dtype: np.dtype,
    entries: Entries,
    columns: int,
    *,
    epilogue: Epilogue,
    prepare: Prepare,
    extra: Sequence[ir.Type],
) -> ir.Function:
    """Add the function of the gradient of the weights, and of what is done with it.

    After the CSR matrix it takes row_begin, row_end, dz, dz_ld, dw, dw_ld, k_begin, k_end, whether
    these are the last rows, and what ``prepare`` takes. Rows are added to ``dw``, which is zero
    before the first; after the last the epilogues follow, and ``dw`` is zero again, unless they
    store there. Parameters are otherwise as for `emit_rows`.
    """
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    kinds = [i64, i64, pointer, i64, pointer, i64, i64, i64, ir.IntType(1), *extra]
    made = _Function(module, name, target, dtype, entries, kinds)
    build, lanes = made.build, made.lanes
    row_begin, row_end, dz, dz_ld, dw, dw_ld, k_begin, k_end, last, *rest = made.rest

    def over_columns(body: Callable[[ir.Value], None]) -> None:
        for_range(build, "column", index(0), index(columns), body, step=lanes.count)

    def one_row(row: ir.Value) -> None:
        def one_entry(entry: ir.Value) -> None:
            k, x = made.column(entry), made.value(entry)

            def add(column: ir.Value) -> None:
                place = made.at(dw, k, dw_ld, column)
                term = lanes.load(made.at(dz, row, dz_ld, column))
                lanes.store(lanes.fma(x, term, lanes.load(place)), place)

            inside = build.icmp_unsigned("<", build.sub(k, k_begin), build.sub(k_end, k_begin))
            with build.if_then(inside):
                over_columns(add)

        for_range(build, "entry", *made.range_of(row), one_entry)

    for_range(build, "row", row_begin, row_end, one_row)

    def finish(k: ir.Value, ready: Sequence[ir.Value]) -> None:
        def use(column: ir.Value) -> None:
            place = made.at(dw, k, dw_ld, column)
            value = lanes.load(place)
            lanes.store(lanes.real(0.0), place)
            epilogue(build, value, k, column, ready)

        over_columns(use)

    with build.if_then(last):
        ready = prepare(build, rest)
        for_range(build, "k", k_begin, k_end, lambda k: finish(k, ready))
    return made.done()

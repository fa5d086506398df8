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
from ..ir.builder import IR, count, element, element_type, index, ir_module
from ..ir.simd import Lanes
from ..machine.target import Target
from .gather import READABLE, convert
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
        module: IR,
        name: str,
        target: Target,
        dtype: np.dtype,
        entries: Entries,
        kinds: Sequence[IR],
    ) -> None:
        ir = ir_module()
        self.pointer, self.i64 = ir.PointerType(), ir.IntType(64)
        csr = [*[self.pointer] * 4, self.i64]
        signature = ir.FunctionType(ir.VoidType(), [*csr, *kinds])
        function = ir.Function(module, signature, name)
        function.linkage = "internal"
        self.function, self.dtype, self.entries = function, dtype, entries
        self.data, self.indices, self.indptr, self.order, self.first = function.args[:5]
        self.rest = function.args[5:]
        self.build = ir.IRBuilder(function.append_basic_block("entry"))
        self.lanes = Lanes(self.build, dtype, target.lanes(dtype))
        self.real = element_type(dtype)

    def range_of(self, row: IR) -> tuple[IR, IR]:
        """Where the entries of a row of the batch begin and end."""
        build, i64 = self.build, self.i64
        source = build.add(self.first, row)
        null = ir_module().Constant(self.pointer, None)
        before = build.block
        with build.if_then(build.icmp_unsigned("!=", self.order, null)):
            picked = build.load(element(build, self.order, source, i64), typ=i64)
            inside = build.block
        chosen = build.phi(i64)
        chosen.add_incoming(source, before)
        chosen.add_incoming(picked, inside)
        following = build.add(chosen, index(1))
        begin, end = (
            build.load(element(build, self.indptr, place, i64), typ=i64)
            for place in (chosen, following)
        )
        return begin, end

    def column(self, entry: IR) -> IR:
        """The column k of an entry."""
        kind = element_type(self.entries.indices)
        k = self.build.load(element(self.build, self.indices, entry, kind), typ=kind)
        return k if kind == self.i64 else self.build.sext(k, self.i64)

    def value(self, entry: IR) -> IR:
        """The value of an entry, converted, in all lanes."""
        kind = element_type(self.entries.data)
        x = self.build.load(element(self.build, self.data, entry, kind), typ=kind)
        return self.lanes.splat(convert(self.build, x, self.entries.data, self.dtype, self.real))

    def at(self, base: IR, row: IR, stride: IR, column: IR) -> IR:
        place = self.build.add(self.build.mul(row, stride), column)
        return element(self.build, base, place, self.real)

    def done(self) -> IR:
        self.build.ret_void()
        return self.function


def emit_rows(
    module: IR,
    name: str,
    target: Target,
    dtype: np.dtype,
    entries: Entries,
    columns: int,
    *,
    epilogue: Epilogue,
    extra: Sequence[IR] = (),
) -> IR:
    """Add the function of the forward product.

    After the CSR matrix it takes w, w_ld, bias, row_begin, row_end, and what the epilogue takes.
    ``columns`` are a whole number of vectors. Parameters are otherwise as for
    `gemm.emit_product`.
    """
    pointer, i64 = ir_module().PointerType(), ir_module().IntType(64)
    made = _Function(
        module, name, target, dtype, entries, [pointer, i64, pointer, i64, i64, *extra]
    )
    build, lanes = made.build, made.lanes
    w, stride, bias, row_begin, row_end, *rest = made.rest
    vectors = columns // lanes.count
    scratch = build.alloca(lanes.vector, size=tuning.SPARSE_HELD_VECTORS)

    def panel(row: IR, begin: IR, end: IR, first: IR, width: int) -> None:
        columns_of = [build.add(first, index(v * lanes.count)) for v in range(width)]
        start = [lanes.load(element(build, bias, c, made.real)) for c in columns_of]

        def one(entry: IR, sums: list[IR]) -> list[IR]:
            k, x = made.column(entry), made.value(entry)
            places = [made.at(w, k, stride, c) for c in columns_of]
            return [lanes.fma(x, lanes.load(p), s) for p, s in zip(places, sums, strict=True)]

        for v, total in enumerate(_carry(build, begin, end, start, one)):
            lanes.store(total, element(build, scratch, index(v), lanes.vector))

        def finish(v: IR) -> None:
            value = lanes.load(element(build, scratch, v, lanes.vector))
            column = build.add(first, build.mul(v, index(lanes.count)))
            epilogue(build, value, row, column, rest)

        count(build, "finish", index(0), index(width), finish)

    def one_row(row: IR) -> None:
        begin, end = made.range_of(row)
        whole, left = divmod(vectors, tuning.SPARSE_HELD_VECTORS)
        step = tuning.SPARSE_HELD_VECTORS * lanes.count
        if whole:
            count(
                build,
                "panel",
                index(0),
                index(whole * step),
                lambda first: panel(row, begin, end, first, tuning.SPARSE_HELD_VECTORS),
                step=step,
            )
        if left:
            panel(row, begin, end, index(whole * step), left)

    count(build, "row", row_begin, row_end, one_row)
    return made.done()


def emit_sums(
    module: IR,
    name: str,
    target: Target,
    dtype: np.dtype,
    entries: Entries,
    columns: int,
    *,
    epilogue: Epilogue,
    prepare: Prepare,
    extra: Sequence[IR],
) -> IR:
    """Add the function of the gradient of the weights, and of what is done with it.

    After the CSR matrix it takes row_begin, row_end, dz, dz_ld, dw, dw_ld, k_begin, k_end, whether
    these are the last rows, and what ``prepare`` takes. Rows are added to ``dw``, which is zero
    before the first; after the last the epilogues follow, and ``dw`` is zero again, unless they
    store there. Parameters are otherwise as for `emit_rows`.
    """
    pointer, i64 = ir_module().PointerType(), ir_module().IntType(64)
    last = ir_module().IntType(1)
    kinds = [i64, i64, pointer, i64, pointer, i64, i64, i64, last, *extra]
    made = _Function(module, name, target, dtype, entries, kinds)
    build, lanes = made.build, made.lanes
    row_begin, row_end, dz, dz_ld, dw, dw_ld, k_begin, k_end, last, *rest = made.rest

    def over_columns(body: Callable[[IR], None]) -> None:
        count(build, "column", index(0), index(columns), body, step=lanes.count)

    def one_row(row: IR) -> None:
        def one_entry(entry: IR) -> None:
            k, x = made.column(entry), made.value(entry)

            def add(column: IR) -> None:
                place = made.at(dw, k, dw_ld, column)
                term = lanes.load(made.at(dz, row, dz_ld, column))
                lanes.store(lanes.fma(x, term, lanes.load(place)), place)

            inside = build.icmp_unsigned("<", build.sub(k, k_begin), build.sub(k_end, k_begin))
            with build.if_then(inside):
                over_columns(add)

        count(build, "entry", *made.range_of(row), one_entry)

    count(build, "row", row_begin, row_end, one_row)

    def finish(k: IR, ready: Sequence[IR]) -> None:
        def use(column: IR) -> None:
            place = made.at(dw, k, dw_ld, column)
            value = lanes.load(place)
            lanes.store(lanes.real(0.0), place)
            epilogue(build, value, k, column, ready)

        over_columns(use)

    with build.if_then(last):
        ready = prepare(build, rest)
        count(build, "k", k_begin, k_end, lambda k: finish(k, ready))
    return made.done()


def _carry(
    build: IR, begin: IR, end: IR, initial: list[IR], body: Callable[[IR, list[IR]], list[IR]]
) -> list[IR]:
    """``for i in range(begin, end): held = body(i, held)``; what is held in the end."""
    ir = ir_module()
    before = build.block
    loop, after = build.append_basic_block("entries"), build.append_basic_block("entries.end")
    build.cbranch(build.icmp_signed("<", begin, end), loop, after)
    build.position_at_end(loop)
    i, held = build.phi(ir.IntType(64)), [build.phi(value.type) for value in initial]
    new = body(i, held)
    following = build.add(i, index(1))
    inner = build.block
    build.cbranch(build.icmp_signed("<", following, end), loop, after)
    build.position_at_end(after)
    results = [build.phi(value.type) for value in initial]
    i.add_incoming(begin, before)
    i.add_incoming(following, inner)
    for start, phi, value, result in zip(initial, held, new, results, strict=True):
        for joined in (phi, result):
            joined.add_incoming(start, before)
            joined.add_incoming(value, inner)
    return results

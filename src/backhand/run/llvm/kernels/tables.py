"""Tables that are read by numbers in reals: lookup, its scatter-add, and sums along a table.

    lookup:    out[n, :] = table[c(n), :]
    scatter:   table[c, :] = 0;  for n in 0 .. rows-1:  table[c(n), :] += source[n, :]
    cumulate:  total = 0;  for c in 0 .. values-1:  total += source[c, :];  out[c, :] = total

with c(n), the number of row n. A number outside of the table, or that is none, means the nearest
row: callers look at numbers before, and memory is safe even if they change meanwhile. Scatter goes
through the rows in their order, and threads own ranges of c, so sums have the same bits on any
number of threads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..ir.builder import call, define, element, element_type, fold, for_range, index, ir, minimum
from ..ir.padding import padded_columns
from ..ir.simd import Lanes
from ..machine.target import Target


def over_vectors(
    lanes: Lanes, columns: int, body: Callable[[ir.Value, ir.Value | None], None]
) -> None:
    """``body(column, mask)`` for each vector of a row; a mask where it has fewer columns."""
    whole, rest = divmod(columns, lanes.count)
    end = index(whole * lanes.count)
    if whole:
        for_range(lanes.builder, "column", index(0), end, lambda k: body(k, None), lanes.count)
    if rest:
        body(end, lanes.first_lanes(rest))


def store(lanes: Lanes, value: ir.Value, place: ir.Value, mask: ir.Value | None) -> None:
    """Store a vector, or a part of it."""
    if mask is None:
        lanes.store(value, place)
    else:
        lanes.masked_store(value, place, mask)


class _Function:
    """A function over rows of some columns, named by what it depends on."""

    def __init__(
        self,
        module: ir.Module,
        target: Target,
        dtype: np.dtype,
        name: str,
        columns: int,
        kinds: str,
    ) -> None:
        self.name = f"{name}.{columns}"
        self.real, self.i64 = element_type(dtype), ir.IntType(64)
        self.dtype, self.columns = dtype, columns
        self.known = self.name in module.globals
        if self.known:
            self.function = module.globals[self.name]
            return
        types = {"p": ir.PointerType(), "i": self.i64, "b": ir.IntType(1)}
        self.function, self.build = define(module, self.name, [types[kind] for kind in kinds])
        self.lanes = Lanes(self.build, dtype, target.lanes(dtype))

    def row(self, base: ir.Value, number: ir.Value, stride: ir.Value) -> ir.Value:
        return element(self.build, base, self.build.mul(number, stride), self.real)

    def at(self, row: ir.Value, column: ir.Value) -> ir.Value:
        return element(self.build, row, column, self.real)

    def number(self, place: ir.Value, values: ir.Value) -> ir.Value:
        """The whole number at an address, within 0 .. values - 1."""
        build, kind = self.build, "f32" if self.dtype.itemsize == 4 else "f64"
        given = build.load(place, typ=self.real)
        whole = call(build, f"llvm.fptosi.sat.i64.{kind}", [given], self.i64)
        whole = build.select(build.icmp_signed(">", whole, index(0)), whole, index(0))
        return minimum(build, whole, build.sub(values, index(1)))

    def done(self) -> ir.Function:
        self.build.ret_void()
        return self.function


def emit_lookup(module: ir.Module, target: Target, dtype: np.dtype, columns: int) -> ir.Function:
    """Find in the module, or add to it, ``lookup``.

    It takes row_begin, row_end; the numbers and their row stride; the table, its row stride and
    how many rows it has; what is written and its row stride.
    """
    made = _Function(module, target, dtype, "lookup", columns, "ii" + "pi" + "pii" + "pi")
    if made.known:
        return made.function
    begin, end, numbers, number_ld, table, table_ld, values, out, out_ld = made.function.args

    def one(n: ir.Value) -> None:
        found = made.row(table, made.number(made.row(numbers, n, number_ld), values), table_ld)
        to = made.row(out, n, out_ld)
        over_vectors(
            made.lanes,
            columns,
            lambda k, mask: store(
                made.lanes, made.lanes.load(made.at(found, k)), made.at(to, k), mask
            ),
        )

    for_range(made.build, "row", begin, end, one)
    return made.done()


def emit_scatter(module: ir.Module, target: Target, dtype: np.dtype, columns: int) -> ir.Function:
    """Find in the module, or add to it, ``scatter``, for the rows of the table from c to d - 1.

    It takes the number of rows; the numbers and their row stride; what is added and its row
    stride; the table, its row stride and how many rows it has; c and d; and whether the table
    begins with zeros, or with what it holds.
    """
    made = _Function(module, target, dtype, "scatter", columns, "i" + "pi" + "pi" + "pii" + "iib")
    if made.known:
        return made.function
    rows, numbers, number_ld, source, source_ld, table, table_ld, values, c, d, clears = (
        made.function.args
    )
    build, lanes = made.build, made.lanes

    def clear(row: ir.Value) -> None:
        to = made.row(table, row, table_ld)
        wide = index(padded_columns(columns))
        zero = lanes.real(0.0)
        for_range(
            build, "zero", index(0), wide, lambda k: lanes.store(zero, made.at(to, k)), lanes.count
        )

    with build.if_then(clears):
        for_range(build, "clear", c, d, clear)

    def one(n: ir.Value) -> None:
        chosen = made.number(made.row(numbers, n, number_ld), values)
        mine = build.icmp_unsigned("<", build.sub(chosen, c), build.sub(d, c))
        with build.if_then(mine):
            to, given = made.row(table, chosen, table_ld), made.row(source, n, source_ld)

            def add(k: ir.Value, mask: ir.Value | None) -> None:
                place = made.at(to, k)
                total = lanes.add(lanes.load(place), lanes.load(made.at(given, k)))
                store(lanes, total, place, mask)

            over_vectors(lanes, columns, add)

    for_range(build, "row", index(0), rows, one)
    return made.done()


def emit_cumulate(
    module: ir.Module, target: Target, dtype: np.dtype, columns: int, reverse: bool, plus: bool
) -> ir.Function:
    """Find in the module, or add to it, ``cumulate``.

    It takes how many rows there are and their stride, which all share; what is summed; what is
    added to each sum if ``plus``, else anything; and what is written.
    """
    name = f"cumulate{'.back' * reverse}{'.plus' * plus}"
    made = _Function(module, target, dtype, name, columns, "iippp")
    if made.known:
        return made.function
    values, stride, source, other, out = made.function.args
    build, lanes = made.build, made.lanes
    wide = index(padded_columns(columns))

    def column_of(k: ir.Value) -> None:
        def one(i: ir.Value, held: list[ir.Value]) -> list[ir.Value]:
            c = build.sub(build.sub(values, index(1)), i) if reverse else i
            at = build.add(build.mul(c, stride), k)
            total = lanes.add(held[0], lanes.load(made.at(source, at)))
            added = lanes.add(total, lanes.load(made.at(other, at))) if plus else total
            lanes.store(added, made.at(out, at))
            return [total]

        fold(build, "value", index(0), values, [lanes.real(0.0)], one)

    for_range(build, "column", index(0), wide, column_of, lanes.count)
    return made.done()


def emit_member_sum(
    module: ir.Module, target: Target, dtype: np.dtype, columns: int
) -> ir.Function:
    """Find in the module, or add to it, the sum over members, in their order.

    It takes row_begin, row_end; what is summed, its row stride, the distance of two members and
    how many there are; what is written and its row stride.
    """
    made = _Function(module, target, dtype, "members", columns, "ii" + "piii" + "pi")
    if made.known:
        return made.function
    begin, end, source, source_ld, apart, members, out, out_ld = made.function.args
    build, lanes = made.build, made.lanes

    def one(n: ir.Value) -> None:
        start, to = made.row(source, n, source_ld), made.row(out, n, out_ld)

        def column_of(k: ir.Value, mask: ir.Value | None) -> None:
            def add(m: ir.Value, held: list[ir.Value]) -> list[ir.Value]:
                place = made.at(made.row(start, m, apart), k)
                return [lanes.add(held[0], lanes.load(place))]

            (total,) = fold(
                build, "member", index(1), members, [lanes.load(made.at(start, k))], add
            )
            store(lanes, total, made.at(to, k), mask)

        over_vectors(lanes, columns, column_of)

    for_range(build, "row", begin, end, one)
    return made.done()

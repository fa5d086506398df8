"""Leaving a batch before its end: loops that ask, after every few milliseconds, whether to go on.

Python asks by setting a word that all threads read, and a thread that leaves work undone sets the
word after it. Rows left undone leave the parameters as the previous step made them. Sums left
undone leave some parameters updated and others not, so that is only asked for where there is a copy
to restore. One more word says that a thread never started: the others then leave the first barrier.

A thread whose rows have a loss that is not finite leaves the batch likewise: parameters stay as
they were when that loss came of them, and Python can look for the first value that is not finite.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..ir.builder import (
    define,
    element,
    element_type,
    fold,
    for_range,
    index,
    ir,
    load_element,
    minimum,
)

ROWS, SUMS = 0, 2
"""The words by which Python asks; the word after each is the answer."""
NONFINITE = 4
"""The word that is set when a loss is not finite; the next word is the batch's first row."""
MISSING = 6
"""The word that is set when a thread never started: no barrier is passed any more."""
FAR = 1 << 62  # farther than any loop counts


def pieces(
    build: ir.IRBuilder,
    words: ir.Value,
    which: int,
    between: tuple[ir.Value, ir.Value],
    piece: ir.Value,
    body: Callable[[ir.Value, ir.Value], object],
) -> None:
    """``body(first, last)`` for every piece of a range, until somebody asks to leave."""
    begin, end = between

    def one(first: ir.Value) -> ir.Value:
        leave = is_set(build, words, which)
        with build.if_else(leave) as (left, stayed):
            with left:
                build.store(index(1), element(build, words, index(which + 1), ir.IntType(64)))
            with stayed:
                body(first, minimum(build, build.add(first, piece), end))
        return build.select(leave, index(FAR), piece)

    for_range(build, "piece", begin, end, one)


def is_set(build: ir.IRBuilder, words: ir.Value, which: int) -> ir.Value:
    """Whether a word is set now."""
    i64 = ir.IntType(64)
    word = build.load_atomic(element(build, words, index(which), i64), "monotonic", 8, typ=i64)
    return build.icmp_signed("!=", word, index(0))


def leave_if_nonfinite(
    build: ir.IRBuilder,
    words: ir.Value,
    dtype: np.dtype,
    value: ir.Value,
    between: tuple[ir.Value, ir.Value],
    begin: ir.Value,
) -> None:
    """Leave the batch that begins at a row if one of its losses, ``value``, is not finite."""
    first, last = between
    i64 = ir.IntType(64)
    mine = element(build, value, first, element_type(dtype))
    nonfinite = build.call(_any_nonfinite(build.module, dtype), [mine, build.sub(last, first)])
    with build.if_then(nonfinite):
        for place, value_ in ((ROWS + 1, index(1)), (NONFINITE, index(1)), (NONFINITE + 1, begin)):
            build.store(value_, element(build, words, index(place), i64))


def _any_nonfinite(module: ir.Module, dtype: np.dtype) -> ir.Function:
    """``any_nonfinite(values, count) -> bool``: whether one has all bits of its exponent set."""
    if "any_nonfinite" in module.globals:
        return module.globals["any_nonfinite"]
    word = ir.IntType(8 * dtype.itemsize)
    kinds = [ir.PointerType(), ir.IntType(64)]
    function, build = define(module, "any_nonfinite", kinds, ir.IntType(1))
    values, size = function.args
    exponent = word(int(np.array(np.inf, dtype).view(f"u{dtype.itemsize}")))

    def one(i: ir.Value, held: list[ir.Value]) -> list[ir.Value]:
        bits = build.and_(load_element(build, values, i, word), exponent)
        return [build.select(build.icmp_unsigned(">", bits, held[0]), bits, held[0])]

    (largest,) = fold(build, "value", index(0), size, [word(0)], one)
    build.ret(build.icmp_unsigned("==", largest, exponent))
    return function

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

from ..ir.builder import IR, accumulate, count, element, element_type, index, ir_module, minimum

ROWS, SUMS = 0, 2
"""The words by which Python asks; the word after each is the answer."""
NONFINITE = 4
"""The word that is set when a loss is not finite; the next word is the batch's first row."""
MISSING = 6
"""The word that is set when a thread never started: no barrier is passed any more."""
FAR = 1 << 62  # farther than any loop counts


def pieces(
    build: IR,
    words: IR,
    which: int,
    between: tuple[IR, IR],
    piece: IR,
    body: Callable[[IR, IR], object],
) -> None:
    """``body(first, last)`` for every piece of a range, until somebody asks to leave."""
    begin, end = between

    def one(first: IR) -> IR:
        leave = is_set(build, words, which)
        with build.if_else(leave) as (left, stayed):
            with left:
                build.store(
                    index(1), element(build, words, index(which + 1), ir_module().IntType(64))
                )
            with stayed:
                body(first, minimum(build, build.add(first, piece), end))
        return build.select(leave, index(FAR), piece)

    count(build, "piece", begin, end, one)


def is_set(build: IR, words: IR, which: int) -> IR:
    """Whether a word is set now."""
    i64 = ir_module().IntType(64)
    word = build.load_atomic(element(build, words, index(which), i64), "monotonic", 8, typ=i64)
    return build.icmp_signed("!=", word, index(0))


def leave_if_nonfinite(
    build: IR, words: IR, dtype: np.dtype, value: IR, between: tuple[IR, IR], begin: IR
) -> None:
    """Leave the batch that begins at a row if one of its losses, ``value``, is not finite."""
    first, last = between
    i64 = ir_module().IntType(64)
    mine = element(build, value, first, element_type(dtype))
    nonfinite = build.call(_any_nonfinite(build.module, dtype), [mine, build.sub(last, first)])
    with build.if_then(nonfinite):
        for place, value_ in ((ROWS + 1, index(1)), (NONFINITE, index(1)), (NONFINITE + 1, begin)):
            build.store(value_, element(build, words, index(place), i64))


def _any_nonfinite(module: IR, dtype: np.dtype) -> IR:
    """``any_lost(values, count) -> bool``: whether a number has all bits of its exponent set."""
    ir = ir_module()
    known = module.globals.get("any_nonfinite")
    if known:
        return known
    word = ir.IntType(8 * dtype.itemsize)
    function = ir.Function(
        module, ir.FunctionType(ir.IntType(1), [ir.PointerType(), ir.IntType(64)]), "any_nonfinite"
    )
    function.linkage = "internal"
    values, size = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    infinity = np.array(np.inf, dtype).view(f"u{dtype.itemsize}")
    exponent = ir.Constant(word, int(infinity))

    def one(i: IR, largest: IR) -> IR:
        bits = build.load(element(build, values, i, word), typ=word)
        bits = build.and_(bits, exponent)
        return build.select(build.icmp_unsigned(">", bits, largest), bits, largest)

    largest = accumulate(build, "value", size, ir.Constant(word, 0), one)
    build.ret(build.icmp_unsigned("==", largest, exponent))
    return function

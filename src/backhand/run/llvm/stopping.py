"""Leaving a batch before its end: loops that ask, after every few milliseconds, whether to go on.

Python asks in words that all threads can see, and a thread that leaves something undone says so in
the word after. Rows left undone leave the parameters as the step before made them; sums left undone
leave some updated and others not, so they are asked for only where there is a copy to go back to.
"""

from __future__ import annotations

from collections.abc import Callable

from .build import IR, count, element, index, ir_module, minimum

ROWS, SUMS = 0, 2
"""The words that ask; those after them answer."""
WORDS = 8  # a cache line of int64, which nothing else writes to
OPERATIONS = 1 << 29
"""Of a piece of work: some milliseconds, beside which asking costs nothing."""
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
        leave = said(build, words, which)
        with build.if_else(leave) as (left, stayed):
            with left:
                build.store(
                    index(1), element(build, words, index(which + 1), ir_module().IntType(64))
                )
            with stayed:
                body(first, minimum(build, build.add(first, piece), end))
        return build.select(leave, index(FAR), piece)

    count(build, "piece", begin, end, one)


def said(build: IR, words: IR, which: int) -> IR:
    """Whether a word is set now."""
    i64 = ir_module().IntType(64)
    word = build.load_atomic(element(build, words, index(which), i64), "monotonic", 8, typ=i64)
    return build.icmp_signed("!=", word, index(0))

"""Work in pieces that is left when a word is set, and losses that are not finite."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.run.llvm.ir.builder import define, element, index, ir
from backhand.run.llvm.kernels.cancellation import (
    NONFINITE,
    ROWS,
    SUMS,
    leave_if_nonfinite,
    pieces,
)

from ..native import ADDRESS, NUMBER, native


def counting(which):
    """``f(words, begin, end, piece, done)``: counts each element; asks to leave after three."""

    def emit(module):
        i64, pointer = ir.IntType(64), ir.PointerType()
        function, build = define(module, "f", [pointer, i64, i64, i64, pointer])
        words, begin, end, piece, done = function.args

        def body(first, last):
            size = build.sub(last, first)
            at = element(build, done, index(0), i64)
            total = build.add(build.load(at, typ=i64), size)
            build.store(total, at)
            with build.if_then(build.icmp_signed(">=", total, index(30))):
                build.store(index(1), element(build, words, index(which), i64))

        pieces(build, words, which, (begin, end), piece, body)
        build.ret_void()
        return function

    return native(emit, [ADDRESS, NUMBER, NUMBER, NUMBER, ADDRESS])


@pytest.mark.parametrize("which", [ROWS, SUMS])
def test_every_element_is_done_once_or_the_word_says_that_some_are_left(which):
    f = counting(which)
    for begin, end, piece, done, left in (
        (0, 29, 10, 29, 0),
        (5, 5, 10, 0, 0),
        (0, 30, 10, 30, 0),  # asked when nothing is left
        (0, 31, 10, 30, 1),
        (7, 100, 16, 32, 1),
    ):
        words, found = np.zeros(8, np.int64), np.zeros(1, np.int64)
        f(words.ctypes.data, begin, end, piece, found.ctypes.data)
        assert found[0] == done
        assert words[which + 1] == left


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_loss_that_is_not_finite_leaves_the_batch(dtype, bad):
    def emit(module):
        i64, pointer = ir.IntType(64), ir.PointerType()
        function, build = define(module, "f", [pointer, pointer, i64, i64])
        words, value, first, last = function.args
        leave_if_nonfinite(build, words, np.dtype(dtype), value, (first, last), index(77))
        build.ret_void()
        return function

    f, value = native(emit, [ADDRESS, ADDRESS, NUMBER, NUMBER]), np.zeros(9, dtype)
    value[1], value[6] = np.finfo(dtype).max, bad
    for first, last, lost in ((0, 6, False), (7, 9, False), (0, 9, True), (6, 7, True)):
        words = np.zeros(8, np.int64)
        f(words.ctypes.data, value.ctypes.data, first, last)
        assert words[NONFINITE : NONFINITE + 2].tolist() == [lost, 77 * lost]
        assert words[ROWS + 1] == lost

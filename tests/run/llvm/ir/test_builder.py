"""Loops, choices and functions against what the same lines of Python do."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.run.llvm.ir.builder import (
    call,
    choose,
    declare,
    define,
    element,
    fold,
    for_range,
    for_whole_steps,
    index,
    ir,
    minimum,
    null,
    vector_type,
)

from ..native import ADDRESS, NUMBER, native

RANGES = [(0, 0), (0, 1), (3, 10), (5, 2), (-4, 4), (0, 17)]


def function_of(body, arguments):
    """``f(*arguments) -> i64``, whose result ``body(build, *arguments)`` gives."""

    def emit(module):
        function, build = define(module, "f", [ir.IntType(64)] * arguments, ir.IntType(64))
        build.ret(body(build, *function.args))
        return function

    return native(emit, [NUMBER] * arguments, NUMBER)


@pytest.mark.parametrize("step", [1, 3])
def test_what_is_held_goes_from_one_turn_to_the_next(step):
    def body(build, begin, end):
        def one(i, held):
            return [held[1], build.add(build.mul(held[0], index(3)), i)]

        a, b = fold(build, "one", begin, end, [index(1), index(2)], one, step)
        return build.add(a, build.mul(b, index(1000)))

    f = function_of(body, 2)
    for begin, end in RANGES:
        a, b = 1, 2
        for i in range(begin, end, step):
            a, b = b, 3 * a + i
        assert f(begin, end) == a + 1000 * b


@pytest.mark.parametrize(("begin", "end"), RANGES)
def test_a_loop_between_constants_is_the_same(begin, end):
    def body(build, start):
        def one(i, held):
            return [build.add(held[0], i)]

        (total,) = fold(build, "one", index(begin), index(end), [start], one)
        return total

    assert function_of(body, 1)(100) == 100 + sum(range(begin, end))


def test_a_body_may_choose_the_next_step():
    def body(build, end):
        total = build.alloca(ir.IntType(64))
        build.store(index(0), total)

        def one(i):
            build.store(build.add(build.load(total, typ=ir.IntType(64)), i), total)
            return build.add(i, index(1))

        for_range(build, "one", index(0), end, one)
        return build.load(total, typ=ir.IntType(64))

    assert function_of(body, 1)(50) == 0 + 1 + 3 + 7 + 15 + 31


def test_whole_steps_leave_what_does_not_fit():
    def body(build, begin, end, step):
        return for_whole_steps(build, "one", begin, end, step, lambda i: None)

    f = function_of(body, 3)
    for begin, end in RANGES:
        for step in (1, 2, 7):
            assert f(begin, end, step) == begin + max(0, end - begin) // step * step


def test_only_what_is_chosen_is_computed():
    """The other way would read address 0."""

    def emit(module):
        i64 = ir.IntType(64)
        function, build = define(module, "f", [ir.PointerType(), i64], i64)
        place, otherwise = function.args
        there = build.icmp_unsigned("!=", place, null())
        build.ret(choose(build, there, lambda: build.load(place, typ=i64), lambda: otherwise))
        return function

    f, value = native(emit, [ADDRESS, NUMBER], NUMBER), np.array([42])
    assert f(value.ctypes.data, 7) == 42
    assert f(None, 7) == 7


def test_the_smaller_of_two():
    f = function_of(lambda build, a, b: minimum(build, a, b), 2)
    assert [f(1, 2), f(2, 1), f(-1, 1)] == [1, 1, -1]


def test_an_intrinsic_is_declared_once():
    module = ir.Module("test")
    _, build = define(module, "f", [])
    real = ir.DoubleType()
    call(build, "llvm.sqrt.f64", [ir.Constant(real, 4.0)], real)
    again = declare(module, "llvm.sqrt.f64", [real], real)
    call(build, "llvm.sqrt.f64", [ir.Constant(real, 9.0)], real)
    assert str(module).count("declare") == 1
    assert again is module.globals["llvm.sqrt.f64"]


def test_one_lane_is_a_scalar():
    real = ir.FloatType()
    assert vector_type(real, 1) == real
    assert vector_type(real, 4) == ir.VectorType(real, 4)


def test_elements_follow_one_another():
    def emit(module):
        function, build = define(module, "f", [ir.PointerType(), ir.IntType(64)], ir.IntType(32))
        base, position = function.args
        build.ret(build.load(element(build, base, position, ir.IntType(32)), typ=ir.IntType(32)))
        return function

    values = np.arange(9, dtype=np.int32) ** 2
    f = native(emit, [ADDRESS, NUMBER], NUMBER)
    assert [f(values.ctypes.data, i) & 0xFFFF for i in range(9)] == values.tolist()

"""Small tools for writing IR: types, constants, loops. Nothing here knows what is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

IR = Any  # llvmlite's classes carry no types
INDEX_BYTES = 8


def ir_module() -> Any:
    """llvmlite's ``ir``, imported when first needed."""
    from llvmlite import ir

    return ir


def element_type(dtype: Any) -> IR:
    """The IR type of an element of an array."""
    ir = ir_module()
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return {4: ir.FloatType(), 8: ir.DoubleType()}[dtype.itemsize]
    return ir.IntType(8 * dtype.itemsize)


def index(value: int) -> IR:
    """A 64-bit integer constant."""
    ir = ir_module()
    return ir.Constant(ir.IntType(64), value)


def element(build: IR, base: IR, position: IR, kind: IR) -> IR:
    """The address of element ``position`` of an array of ``kind``."""
    return build.gep(base, [position], source_etype=kind)


def count(
    build: IR, name: str, begin: IR, end: IR, body: Callable[[IR], IR | None], step: int = 1
) -> None:
    """``for i in range(begin, end, step): body(i)``; ``body`` may return another step."""
    ir = ir_module()
    before = build.block
    loop, after = build.append_basic_block(name), build.append_basic_block(f"{name}.end")
    build.cbranch(build.icmp_signed("<", begin, end), loop, after)
    build.position_at_end(loop)
    i = build.phi(ir.IntType(64), name=f"{name}.i")
    i.add_incoming(begin, before)
    advance = body(i)
    following = build.add(i, index(step) if advance is None else advance)
    i.add_incoming(following, build.block)
    build.cbranch(build.icmp_signed("<", following, end), loop, after)
    build.position_at_end(after)


def fitting(build: IR, name: str, begin: IR, end: IR, step: IR, body: Callable[[IR], None]) -> IR:
    """``i = begin; while i + step <= end: body(i); i += step``; the last i."""
    ir = ir_module()
    before = build.block
    loop, after = build.append_basic_block(name), build.append_basic_block(f"{name}.end")
    first = build.add(begin, step)
    build.cbranch(build.icmp_signed("<=", first, end), loop, after)
    build.position_at_end(loop)
    i = build.phi(ir.IntType(64), name=f"{name}.i")
    i.add_incoming(begin, before)
    body(i)
    following = build.add(i, step)
    i.add_incoming(following, build.block)
    more = build.icmp_signed("<=", build.add(following, step), end)
    inner = build.block
    build.cbranch(more, loop, after)
    build.position_at_end(after)
    reached = build.phi(ir.IntType(64))
    reached.add_incoming(begin, before)
    reached.add_incoming(following, inner)
    return reached


def accumulate(build: IR, name: str, end: IR, initial: IR, body: Callable[[IR, IR], IR]) -> IR:
    """``total = initial; for i in range(end): total = body(i, total)``; the last total."""
    ir = ir_module()
    before = build.block
    loop, after = build.append_basic_block(name), build.append_basic_block(f"{name}.end")
    build.cbranch(build.icmp_signed("<", index(0), end), loop, after)
    build.position_at_end(loop)
    i, total = build.phi(ir.IntType(64), name=f"{name}.i"), build.phi(initial.type)
    i.add_incoming(index(0), before)
    total.add_incoming(initial, before)
    following = body(i, total)
    nxt = build.add(i, index(1))
    i.add_incoming(nxt, build.block)
    total.add_incoming(following, build.block)
    build.cbranch(build.icmp_signed("<", nxt, end), loop, after)
    inner = build.block
    build.position_at_end(after)
    result = build.phi(initial.type)
    result.add_incoming(initial, before)
    result.add_incoming(following, inner)
    return result


def minimum(build: IR, a: IR, b: IR) -> IR:
    """The smaller of two integers."""
    return build.select(build.icmp_signed("<", a, b), a, b)


def unoptimised(function: IR) -> None:
    """Compile a function without optimisation (optnone): for loops around other functions.

    LLVM would search long for the best way to step through their addresses.
    """
    function.attributes.add("noinline")
    function.attributes.add("optnone")


def prefetch(build: IR, place: IR, locality: int = 3) -> None:
    """Ask for the cache line at an address, which is read soon and again. Any address is allowed.

    ``locality`` 3 brings it into the first cache; 2 into the second, which can wait for more lines.
    """
    ir = ir_module()
    module, word = build.module, ir.IntType(32)
    name = "llvm.prefetch.p0"
    function = module.globals.get(name) or ir.Function(
        module, ir.FunctionType(ir.VoidType(), [ir.PointerType(), word, word, word]), name
    )
    reading, data = 0, 1
    build.call(function, [place, *(ir.Constant(word, v) for v in (reading, locality, data))])

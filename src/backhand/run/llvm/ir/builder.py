"""Small tools for writing IR: types, functions, loops. Nothing here knows what is computed.

`ir` is llvmlite's module, typed by ``stubs/llvmlite``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from llvmlite import ir as ir
else:

    class _Late:
        """llvmlite's ``ir``, imported when something of it is first needed."""

        def __getattr__(self, name: str) -> Any:
            from llvmlite import ir

            setattr(self, name, getattr(ir, name))
            return getattr(ir, name)

    ir = _Late()

INDEX_BYTES = 8


# types and constants ------------------------------------------------------------------------------


def element_type(dtype: Any) -> ir.Type:
    """The IR type of an element of an array."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
    return ir.IntType(8 * dtype.itemsize)


def vector_type(element: ir.Type, lanes: int) -> ir.Type:
    """The type of elements side by side; that of one is its own."""
    return element if lanes == 1 else ir.VectorType(element, lanes)


def index(value: int) -> ir.Constant:
    """A 64-bit integer constant."""
    return ir.Constant(ir.IntType(64), value)


def null() -> ir.Constant:
    """The null address."""
    return ir.Constant(ir.PointerType(), None)


# functions ----------------------------------------------------------------------------------------


def define(
    module: ir.Module,
    name: str,
    kinds: Sequence[ir.Type],
    result: ir.Type | None = None,
    *,
    external: bool = False,
) -> tuple[ir.Function, ir.IRBuilder]:
    """Add a function to a module, by default internal and without a result; its builder too."""
    function = ir.Function(module, ir.FunctionType(result or ir.VoidType(), kinds), name)
    if not external:
        function.linkage = "internal"
    return function, ir.IRBuilder(function.append_basic_block("entry"))


def declare(
    module: ir.Module, name: str, kinds: Sequence[ir.Type], result: ir.Type | None = None
) -> ir.Function:
    """Find in a module, or declare in it, a function of another: an intrinsic, mostly."""
    if name in module.globals:
        return module.globals[name]
    return ir.Function(module, ir.FunctionType(result or ir.VoidType(), kinds), name)


def call(
    build: ir.IRBuilder, name: str, arguments: Sequence[ir.Value], result: ir.Type | None = None
) -> ir.Value:
    """Call a function that is only declared, such as an intrinsic."""
    kinds = [argument.type for argument in arguments]
    return build.call(declare(build.module, name, kinds, result), arguments)


def unoptimised(function: ir.Function) -> None:
    """Compile a function without optimisation (optnone): for loops around other functions.

    LLVM would search long for the best way to step through their addresses.
    """
    function.attributes.add("noinline")
    function.attributes.add("optnone")


# memory -------------------------------------------------------------------------------------------


def allocate(build: ir.IRBuilder, size: int, alignment: int) -> ir.Value:
    """Allocate ``size`` bytes on the stack, for values of any types; their address."""
    area = build.alloca(ir.IntType(64), size=index(-(-size // INDEX_BYTES)))
    area.align = alignment
    area.type = ir.PointerType()  # llvmlite would let only words be stored there
    return area


def element(build: ir.IRBuilder, base: ir.Value, position: ir.Value, kind: ir.Type) -> ir.Value:
    """The address of element ``position`` of an array of ``kind``."""
    return build.gep(base, [position], source_etype=kind)


def load_element(
    build: ir.IRBuilder, base: ir.Value, position: ir.Value, kind: ir.Type
) -> ir.Value:
    """Element ``position`` of an array of ``kind``."""
    return build.load(element(build, base, position, kind), typ=kind)


def prefetch(build: ir.IRBuilder, place: ir.Value, locality: int = 3) -> None:
    """Ask for the cache line at an address, which is read soon and again. Any address is allowed.

    ``locality`` 3 brings it into the first cache; 2 into the second, which can wait for more lines.
    """
    word = ir.IntType(32)
    reading, data = word(0), word(1)
    call(build, "llvm.prefetch.p0", [place, reading, word(locality), data])


# choices and loops --------------------------------------------------------------------------------


def minimum(build: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """The smaller of two integers."""
    return build.select(build.icmp_signed("<", a, b), a, b)


def choose(
    build: ir.IRBuilder,
    condition: ir.Value,
    then: Callable[[], ir.Value],
    otherwise: Callable[[], ir.Value],
) -> ir.Value:
    """``then() if condition else otherwise()``: only one of the two is computed."""
    results = []
    with build.if_else(condition) as branches:
        for branch, compute in zip(branches, (then, otherwise), strict=True):
            with branch:
                results.append((compute(), build.block))
    result = build.phi(results[0][0].type)
    for value, block in results:
        result.add_incoming(value, block)
    return result


def fold(
    build: ir.IRBuilder,
    name: str,
    begin: ir.Value,
    end: ir.Value,
    initial: Sequence[ir.Value],
    body: Callable[[ir.Value, list[ir.Value]], Sequence[ir.Value]],
    step: int | ir.Value = 1,
) -> list[ir.Value]:
    """``for i in range(begin, end, step): held = body(i, held)``; what is held in the end."""
    advance = index(step) if isinstance(step, int) else step
    return _loop(build, name, begin, end, initial, lambda i, held: (advance, body(i, held)))


def for_range(
    build: ir.IRBuilder,
    name: str,
    begin: ir.Value,
    end: ir.Value,
    body: Callable[[ir.Value], ir.Value | None],
    step: int = 1,
) -> None:
    """``for i in range(begin, end, step): body(i)``; ``body`` may return another step."""

    def advance(i: ir.Value, held: list[ir.Value]) -> tuple[ir.Value, Sequence[ir.Value]]:
        return body(i) or index(step), held

    _loop(build, name, begin, end, [], advance)


def for_whole_steps(
    build: ir.IRBuilder,
    name: str,
    begin: ir.Value,
    end: ir.Value,
    step: ir.Value,
    body: Callable[[ir.Value], None],
) -> ir.Value:
    """``i = begin; while i + step <= end: body(i); i += step``.

    Returns the first i not covered.
    """

    def one(i: ir.Value, held: list[ir.Value]) -> list[ir.Value]:
        body(i)
        return [build.add(i, step)]

    last = build.add(build.sub(end, step), index(1))
    (reached,) = fold(build, name, begin, last, [begin], one, step)
    return reached


def _loop(
    build: ir.IRBuilder,
    name: str,
    begin: ir.Value,
    end: ir.Value,
    initial: Sequence[ir.Value],
    body: Callable[[ir.Value, list[ir.Value]], tuple[ir.Value, Sequence[ir.Value]]],
) -> list[ir.Value]:
    """The one loop: ``body(i, held)`` gives the step to the next i, and what is held then."""
    before, certain = build.block, _less(begin, end)
    loop, after = build.append_basic_block(name), build.append_basic_block(f"{name}.end")
    if certain:
        build.branch(loop)
    else:
        build.cbranch(build.icmp_signed("<", begin, end), loop, after)
    build.position_at_end(loop)
    i = build.phi(begin.type, name=f"{name}.i")
    held = [build.phi(value.type) for value in initial]
    step, new = body(i, [*held])
    following = build.add(i, step)
    inner = build.block
    for phi, start, value in zip([i, *held], [begin, *initial], [following, *new], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(value, inner)
    build.cbranch(build.icmp_signed("<", following, end), loop, after)
    build.position_at_end(after)
    if certain:
        return [*new]
    results = [build.phi(value.type) for value in initial]
    for result, start, value in zip(results, initial, new, strict=True):
        result.add_incoming(start, before)
        result.add_incoming(value, inner)
    return [*results]


def _less(a: ir.Value, b: ir.Value) -> bool:
    """Whether two constants are known to be ascending."""
    if isinstance(a, ir.Constant) and isinstance(b, ir.Constant):
        return bool(a.constant < b.constant)
    return False

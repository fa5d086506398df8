"""Small functions that all threads call: a barrier, sums in a fixed order, keys of noise."""

from __future__ import annotations

import numpy as np

from ....expr.trace import trace
from ....formulas import noise
from .. import tuning
from ..ir.builder import IR, accumulate, element, element_type, index, ir_module
from ..ir.simd import Lanes
from ..lowering.lower import emit_vector


def emit_barrier(module: IR, wait: IR) -> IR:
    """``barrier(arrivals, threads, missing)``: return when every thread has called it as often.

    ``arrivals`` is a counter that is never reset within a run, so no thread can overtake: the a-th
    arrival waits until the counter reaches the next multiple of ``threads``. ``wait`` is from
    `emit_wait`, which explains ``missing``.
    """
    ir = ir_module()
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    function = ir.Function(
        module, ir.FunctionType(ir.VoidType(), [pointer, i64, pointer]), "barrier"
    )
    function.linkage = "internal"
    arrivals, threads, missing = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    before = build.atomic_rmw("add", arrivals, index(1), "acq_rel")
    round_ = build.add(build.udiv(before, threads), index(1))
    build.call(wait, [arrivals, build.mul(round_, threads), missing])
    build.ret_void()
    return function


def emit_wait(module: IR, pause: str, arguments: tuple[int, ...]) -> IR:
    """``wait(counter, goal, missing)``: return when a counter that others raise reaches ``goal``.

    It also returns when the word ``missing`` is set: a thread that would raise it never started.

    ``pause`` is the intrinsic that tells the processor of a spinning loop.
    """
    ir = ir_module()
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, i64, pointer]), "wait")
    function.linkage = "internal"
    counter, goal, missing = function.args
    i32 = ir.IntType(32)
    breathe = ir.Function(module, ir.FunctionType(ir.VoidType(), [i32] * len(arguments)), pause)
    give_way = ir.Function(module, ir.FunctionType(i32, []), "sched_yield")
    build = ir.IRBuilder(function.append_basic_block("entry"))
    spin, wait = function.append_basic_block("spin"), function.append_basic_block("wait")
    again = function.append_basic_block("again")
    yield_, done = function.append_basic_block("yield"), function.append_basic_block("done")
    entry = build.block
    build.branch(spin)

    build.position_at_end(spin)
    spun = build.phi(i64)
    spun.add_incoming(index(0), entry)
    here = build.load_atomic(counter, "acquire", 8, typ=i64)
    build.cbranch(build.icmp_signed(">=", here, goal), done, wait)

    build.position_at_end(wait)
    build.call(breathe, [ir.Constant(i32, value) for value in arguments])
    given_up = build.load_atomic(missing, "monotonic", 8, typ=i64)
    build.cbranch(build.icmp_signed("!=", given_up, index(0)), done, again)

    build.position_at_end(again)
    more = build.add(spun, index(1))
    spun.add_incoming(more, again)
    build.cbranch(build.icmp_signed("<", more, index(tuning.SPINS)), spin, yield_)

    build.position_at_end(yield_)
    build.call(give_way, [])
    spun.add_incoming(index(tuning.SPINS - 1), yield_)
    build.branch(spin)

    build.position_at_end(done)
    build.ret_void()
    return function


def emit_weight_sum(module: IR, source: np.dtype) -> IR:
    """``sum(weight, stride, order, first, rows) -> double``: sample weights of a batch.

    Without weights (null) it is the number of rows.
    """
    ir = ir_module()
    pointer, i64, double = ir.PointerType(), ir.IntType(64), ir.DoubleType()
    function = ir.Function(
        module, ir.FunctionType(double, [pointer, i64, pointer, i64, i64]), "weight_sum"
    )
    function.linkage = "internal"
    weight, stride, order, first, rows = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    null = ir.Constant(pointer, None)
    with build.if_then(build.icmp_unsigned("==", weight, null)):
        build.ret(build.sitofp(rows, double))
    kind = element_type(source)
    row = build.alloca(i64)

    def one(i: IR, total: IR) -> IR:
        here = build.add(first, i)
        build.store(here, row)
        with build.if_then(build.icmp_unsigned("!=", order, null)):
            build.store(build.load(element(build, order, here, i64), typ=i64), row)
        offset = build.mul(build.load(row, typ=i64), stride)
        value = build.load(build.gep(weight, [offset], source_etype=ir.IntType(8)), typ=kind)
        if source.kind == "f":
            value = value if source.itemsize == 8 else build.fpext(value, double)
        else:
            value = (build.sitofp if source.kind == "i" else build.uitofp)(value, double)
        return build.fadd(total, value)

    build.ret(accumulate(build, "row", rows, ir.Constant(double, 0), one))
    return function


def emit_add_loss(module: IR, dtype: np.dtype) -> IR:
    """``add(value, rows, weights, results)``: a batch's loss times its weights, and its weights."""
    ir = ir_module()
    pointer, i64, double = ir.PointerType(), ir.IntType(64), ir.DoubleType()
    function = ir.Function(
        module, ir.FunctionType(ir.VoidType(), [pointer, i64, double, pointer]), "add_loss"
    )
    function.linkage = "internal"
    value, rows, weights, results = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    kind = element_type(dtype)

    def one(i: IR, total: IR) -> IR:
        here = build.load(element(build, value, i, kind), typ=kind)
        return build.fadd(total, here if dtype.itemsize == 8 else build.fpext(here, double))

    total = accumulate(build, "row", rows, ir.Constant(double, 0), one)

    def add(place: int, amount: IR) -> None:
        at = element(build, results, index(place), double)
        build.store(build.fadd(build.load(at, typ=double), amount), at)

    add(0, build.fmul(total, weights))
    add(1, weights)
    build.ret_void()
    return function


def emit_layer_key(module: IR, dtype: np.dtype) -> IR:
    """``layer_key(seed, step, layer) -> word``, by the formula."""
    ir = ir_module()
    names, word = ("seed", "step", "layer"), ir.IntType(32)
    graph = trace(noise.layer_key, [(name, "word") for name in names])
    function = ir.Function(module, ir.FunctionType(word, [word] * len(names)), "layer_key")
    function.linkage = "internal"
    build = ir.IRBuilder(function.append_basic_block("entry"))
    lanes = Lanes(build, dtype, 1)
    (key,) = emit_vector(graph, lanes, dict(zip(names, function.args, strict=True)))
    build.ret(key)
    return function

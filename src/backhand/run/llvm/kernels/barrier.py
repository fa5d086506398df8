"""Threads wait for one another."""

from __future__ import annotations

from .. import tuning
from ..ir.builder import call, define, index, ir


def emit_barrier(module: ir.Module, wait: ir.Function) -> ir.Function:
    """``barrier(arrivals, threads, missing)``: return when every thread has called it as often.

    ``arrivals`` is a counter that is never reset within a run, so no thread can overtake: the a-th
    arrival waits until the counter reaches the next multiple of ``threads``. ``wait`` is from
    `emit_wait`, which explains ``missing``.
    """
    pointer, i64 = ir.PointerType(), ir.IntType(64)
    function, build = define(module, "barrier", [pointer, i64, pointer])
    arrivals, threads, missing = function.args
    before = build.atomic_rmw("add", arrivals, index(1), "acq_rel")
    round_ = build.add(build.udiv(before, threads), index(1))
    build.call(wait, [arrivals, build.mul(round_, threads), missing])
    build.ret_void()
    return function


def emit_wait(module: ir.Module, pause: str, arguments: tuple[int, ...]) -> ir.Function:
    """``wait(counter, goal, missing)``: return when a counter that others raise reaches ``goal``.

    It also returns when the word ``missing`` is set: a thread that would raise it never started.

    ``pause`` is the intrinsic that tells the processor of a spinning loop.
    """
    pointer, i64, i32 = ir.PointerType(), ir.IntType(64), ir.IntType(32)
    function, build = define(module, "wait", [pointer, i64, pointer])
    counter, goal, missing = function.args
    entry = build.block
    names = ("spin", "wait", "again", "yield", "done")
    spin, wait, again, yield_, done = (function.append_basic_block(name) for name in names)
    build.branch(spin)

    build.position_at_end(spin)
    spun = build.phi(i64)
    spun.add_incoming(index(0), entry)
    here = build.load_atomic(counter, "acquire", 8, typ=i64)
    build.cbranch(build.icmp_signed(">=", here, goal), done, wait)

    build.position_at_end(wait)
    call(build, pause, [i32(value) for value in arguments])
    given_up = build.load_atomic(missing, "monotonic", 8, typ=i64)
    build.cbranch(build.icmp_signed("!=", given_up, index(0)), done, again)

    build.position_at_end(again)
    more = build.add(spun, index(1))
    spun.add_incoming(more, again)
    build.cbranch(build.icmp_signed("<", more, index(tuning.SPINS)), spin, yield_)

    build.position_at_end(yield_)
    call(build, "sched_yield", [], i32)
    spun.add_incoming(index(tuning.SPINS - 1), yield_)
    build.branch(spin)

    build.position_at_end(done)
    build.ret_void()
    return function

"""The most that this machine's multipliers can do, measured; a share of the peak is one of it."""

from __future__ import annotations

import ctypes
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..run.llvm.ir.builder import IR, element_type, index, ir_module
from ..run.llvm.kernels.tile_ir import SCALAR
from ..run.llvm.machine.target import Target, compile_module

CHAINS, UNROLL = 12, 4  # independent sums: more than latency times multipliers
REPEATS = 50_000


def emit_peak(module: IR, target: Target, dtype: str) -> None:
    """``peak(repeats, _)``: nothing but fused multiply-adds that do not wait for one another."""
    ir = ir_module()
    vector = ir.VectorType(element_type(dtype), target.lanes(dtype))
    name = f"llvm.fma.v{vector.count}{SCALAR[dtype][1]}"
    fma = module.globals.get(name) or ir.Function(
        module, ir.FunctionType(vector, [vector] * 3), name
    )
    i64, pointer = ir.IntType(64), ir.PointerType()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [i64, pointer]), "peak")
    build = ir.IRBuilder(function.append_basic_block("entry"))
    start = build.load(function.args[1], typ=vector, align=4)
    entry, loop, done = build.block, function.append_basic_block(), function.append_basic_block()
    build.branch(loop)
    build.position_at_end(loop)
    i = build.phi(i64)
    i.add_incoming(index(0), entry)
    first = [build.phi(vector) for _ in range(CHAINS)]
    sums = list(first)
    for _ in range(UNROLL):
        sums = [build.call(fma, [one, start, start]) for one in sums]
    for phi, last in zip(first, sums, strict=True):
        phi.add_incoming(start, entry)
        phi.add_incoming(last, loop)
    following = build.add(i, index(1))
    i.add_incoming(following, loop)
    build.cbranch(build.icmp_signed("<", following, function.args[0]), loop, done)
    build.position_at_end(done)
    for at, last in enumerate(sums):
        place = build.gep(function.args[1], [index(at)], source_etype=vector)
        build.store(last, place, align=4)
    build.ret_void()


@functools.cache
def _loop(dtype: str) -> tuple[Any, Callable[..., None], int]:
    """The compiled loop, how to call it, and its operations a repeat."""
    target = Target.host()
    module = ir_module().Module("peak")
    emit_peak(module, target, dtype)
    library = compile_module(module, target)
    call = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(library.address("peak"))
    return library, call, 2 * CHAINS * UNROLL * target.lanes(dtype)


def measure_peak(threads: int, dtype: str = "float32") -> float:
    """Floating-point operations a second of a loop of independent fused multiply-adds.

    Parameters
    ----------
    threads : int
        How many run it at once; each counts.
    dtype : {"float32", "float64"}
    """
    _, call, operations = _loop(dtype)
    lanes = Target.host().lanes(dtype)
    buffers = [np.full(lanes * (CHAINS + 1), 0.5, dtype) for _ in range(threads)]
    meet = threading.Barrier(threads)
    spans: list[tuple[float, float]] = []

    def work(number: int) -> None:
        meet.wait()
        start = time.perf_counter()
        call(REPEATS, buffers[number].ctypes.data)
        spans.append((start, time.perf_counter()))

    team = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    return sum(operations * REPEATS / (end - start) for start, end in spans)

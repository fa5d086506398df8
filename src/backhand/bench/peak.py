"""The most that this machine's multipliers can do, measured; a share of the peak is one of it."""

from __future__ import annotations

import ctypes
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..run.llvm.ir.builder import define, element, fold, index, ir
from ..run.llvm.ir.simd import Lanes
from ..run.llvm.machine.target import Target, compile_module

CHAINS, UNROLL = 12, 4  # independent sums: more than latency times multipliers
REPEATS = 50_000


def emit_peak(module: ir.Module, target: Target, dtype: str) -> None:
    """``peak(repeats, _)``: nothing but fused multiply-adds that do not wait for one another."""
    function, build = define(module, "peak", [ir.IntType(64), ir.PointerType()], external=True)
    repeats, memory = function.args
    lanes = Lanes(build, dtype, target.lanes(dtype))
    start = lanes.load(memory)

    def one(_: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
        for _step in range(UNROLL):
            sums = [lanes.fma(total, start, start) for total in sums]
        return sums

    sums = fold(build, "repeat", index(0), repeats, [start] * CHAINS, one)
    for at, total in enumerate(sums):
        lanes.store(total, element(build, memory, index(at), lanes.vector))
    build.ret_void()


@functools.cache
def _loop(dtype: str) -> tuple[Any, Callable[..., None], int]:
    """The compiled loop, how to call it, and its operations a repeat."""
    target = Target.host()
    module = ir.Module("peak")
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

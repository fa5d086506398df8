"""How close the compiled products come to what this machine's multipliers can do.

    python benchmarks/kernels.py [--threads 1 2] [--rounds 7] [--packed] [--dtype float32]

The peak is measured, not looked up: a loop of independent fused multiply-adds, emitted like
everything else, on as many threads as the kernel beside it. Rounds are interleaved, the peak is
taken anew after every measurement, and medians are printed, with the best share of any round.
GF/s count the network's own sums; what padding adds is not counted, so a layer of 10 outputs
cannot reach 100 %.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from backhand.bench.peak import CHAINS, UNROLL, emit_peak
from backhand.run.llvm.ir.builder import for_range, index
from backhand.run.llvm.ir.padding import padded
from backhand.run.llvm.kernels import column_sum as column_sums
from backhand.run.llvm.kernels import gemm as matmul
from backhand.run.llvm.kernels import transpose
from backhand.run.llvm.kernels.tile import SCALAR, choose_tile, panel_columns
from backhand.run.llvm.machine.target import Library, Target, emit_object

NETWORKS = {
    "A": ((784, 50, 10), 64),
    "B": ((784, 256, 128, 10), 128),
    "C": ((20, 128, 128, 2), 256),
    "D": ((100, 256, 256, 256, 2), 256),
    "E": ((10, 32, 32, 2), 32),
    "W": ((1024, 1024, 1024, 10), 512),
}
SECONDS = 0.006  # of one measurement: long beside a thread's start, short beside a disturbance
Shape = tuple[int, int, int]


def shapes() -> Iterator[tuple[str, str, Shape]]:
    """Network, kernel and (rows, depth, columns) of every different product of the networks."""
    seen = set()
    for network, (widths, batch) in NETWORKS.items():
        for layer, (d, k) in enumerate(itertools.pairwise(widths)):
            products = [("forward", (batch, d, k)), ("dw", (d, batch, k))]
            if layer:
                products.append(("dx", (batch, k, d)))
            for kernel, shape in products:
                if (kernel, shape) not in seen:
                    seen.add((kernel, shape))
                    yield network, kernel, shape


def storing(build: Any, value: Any, row: Any, column: Any, extra: Sequence[Any]) -> None:
    """The least that an epilogue can do."""
    out, stride = extra
    kind = value.type.element
    place = build.gep(out, [build.add(build.mul(row, stride), column)], source_etype=kind)
    build.store(value, place, align=4)


def emit_repeated(module: Any, kernel: Any) -> None:
    """``repeat.NAME(repeats, ...)``: calls the kernel that often."""
    kinds = [ir.IntType(64), *(a.type for a in kernel.args)]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), f"repeat.{kernel.name}")
    build = ir.IRBuilder(function.append_basic_block("entry"))

    def once(_: Any) -> None:
        build.call(kernel, function.args[1:])

    for_range(build, "repeat", index(0), function.args[0], once)
    build.ret_void()


class Kernels:
    """The compiled kernels, callable from Python."""

    def __init__(self, dtype: str) -> None:
        target = Target.host()
        self.dtype, self.lanes = dtype, target.lanes(dtype)
        self.panel = panel_columns(target, dtype)
        began = time.perf_counter()
        module = ir.Module()
        extra = [ir.PointerType(), ir.IntType(64)]
        common: dict[str, Any] = {"epilogue": storing, "extra": extra}
        made = [
            matmul.emit_product(
                module, "forward", target, dtype, left="rows", start="rows", **common
            ),
            matmul.emit_product(module, "dx", target, dtype, left="rows", start="rows", **common),
            matmul.emit_product(
                module, "dw", target, dtype, left="columns", start="zero", **common
            ),
            column_sums.emit_column_sum(module, "sum", target, dtype, **common),
            transpose.emit_transpose(module, "transpose", target, dtype),
        ]
        for kernel in made:
            emit_repeated(module, kernel)
        emit_peak(module, target, dtype)
        text = str(module)
        built = time.perf_counter()
        image = emit_object(text, target)
        compiled = time.perf_counter()
        self.library = Library(image)
        self.times = (built - began, compiled - built)
        self.size = len(image)
        self.functions = {}
        for function in [*made, module.globals["peak"]]:
            peak = function.name == "peak"
            kinds = [
                ctypes.c_void_p if a.type.is_pointer else ctypes.c_int64 for a in function.args
            ]
            self.functions[function.name] = ctypes.CFUNCTYPE(
                None, *([] if peak else [ctypes.c_int64]), *kinds
            )(self.library.address("peak" if peak else f"repeat.{function.name}"))


def timed(call: Callable[[int, int], None], work: float, threads: int, rate: float) -> float:
    """GF/s of ``call(thread, repeats)`` on all threads together."""
    repeats = max(1, int(SECONDS * rate / work))
    others = [threading.Thread(target=call, args=(t, repeats)) for t in range(1, threads)]
    began = time.perf_counter()
    for thread in others:
        thread.start()
    call(0, repeats)
    for thread in others:
        thread.join()
    return repeats * work / (time.perf_counter() - began) / 1e9


def aligned(values: Any) -> Any:
    """A copy that begins on a cache line, as the executor's buffers do: vectors must not cross."""
    line = 64
    space = np.empty(values.nbytes + line, np.uint8)
    begin = -space.ctypes.data % line
    copy = space[begin : begin + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


class Case:
    """A product with operands of its own, shared out by rows among threads."""

    def __init__(self, kernels: Kernels, kernel: str, shape: Shape, threads: int, packed: bool):
        rows, depth, columns = shape
        item = np.dtype(kernels.dtype).itemsize
        rng = np.random.default_rng(0)

        def made(height: int, width: int) -> Any:
            values = rng.standard_normal((height, padded(width, item)))
            return aligned(values.astype(kernels.dtype))

        self.left = made(depth, rows) if kernel == "dw" else made(rows, depth)
        self.right, self.out, self.start = (
            made(depth, columns),
            made(rows, columns),
            made(1, columns),
        )
        self.call, self.work = kernels.functions[kernel], 2.0 * rows * depth * columns
        whole = -(-columns // kernels.lanes) * kernels.lanes
        strides = (self.right.shape[1], kernels.panel)
        if packed:
            self.right = made(-(-whole // kernels.panel) * depth, kernels.panel)
            self.right = aligned(self.right[:, : kernels.panel])
            strides = (kernels.panel, kernels.panel * depth)
        at = [part.ctypes.data for part in (self.left, self.right, self.start, self.out)]
        before = (at[0], self.left.shape[1], at[1], *strides, at[2], 0)
        after = (0, whole, depth, at[3], self.out.shape[1])
        cuts = [rows * t // threads for t in range(threads + 1)]
        self.arguments = [(*before, *cuts[t : t + 2], *after) for t in range(threads)]

    def __call__(self, thread: int, repeats: int) -> None:
        self.call(repeats, *self.arguments[thread])


def peak_rate(kernels: Kernels, threads: int) -> float:
    """GF/s of the multipliers."""
    spaces = [np.zeros(CHAINS * kernels.lanes, kernels.dtype) for _ in range(threads)]
    work = 2.0 * CHAINS * UNROLL * kernels.lanes * threads

    def run(thread: int, repeats: int) -> None:
        kernels.functions["peak"](repeats, spaces[thread].ctypes.data)

    return timed(run, work, threads, 2e11 * threads)


def report(kernels: Kernels, threads: int, rounds: int, packed: bool) -> None:
    """Measure every product and print its median rate and share of the peak."""
    cases = [(*key, Case(kernels, key[1], key[2], threads, packed)) for key in shapes()]
    rates: list[list[tuple[float, float]]] = [[] for _ in cases]
    for _ in range(rounds):
        for (*_key, case), found in zip(cases, rates, strict=True):
            rate = timed(case, case.work, threads, 1.5e11 * threads)
            found.append((rate, rate / peak_rate(kernels, threads)))
    top = statistics.median(rate / share for found in rates for rate, share in found)
    print(f"\n{threads} thread(s), {kernels.dtype}: peak {top:.0f} GF/s" + packed * ", packed")
    heads = f"{'':2} {'kernel':8} {'rows':>5} {'depth':>5} {'columns':>7}"
    print(f"{heads} {'GF/s':>6} {'of peak':>8} {'best':>6}")
    for (network, kernel, shape, _), found in zip(cases, rates, strict=True):
        rate, share = (statistics.median(values) for values in zip(*found, strict=True))
        numbers = "{:5} {:5} {:7}".format(*shape)
        best = max(share for _, share in found)
        print(f"{network:2} {kernel:8} {numbers} {rate:6.0f} {share:8.0%} {best:6.0%}")


def report_others(kernels: Kernels, rounds: int) -> None:
    """What column sums and transposed copies cost, per element."""
    item = np.dtype(kernels.dtype).itemsize
    print(f"\n{'':11} {'rows':>5} {'columns':>7} {'ns per element':>15}")
    for name in ("sum", "transpose"):
        for rows, columns in ((32, 32), (128, 128), (256, 256), (784, 256), (1024, 1024)):
            source = aligned(np.ones((rows, padded(columns, item)), kernels.dtype))
            copy = aligned(np.ones((columns, padded(rows, item)), kernels.dtype))
            part = (0, rows, 0, columns)
            place = (source.ctypes.data, source.shape[1])
            to = (copy.ctypes.data, copy.shape[1] if name == "transpose" else 0)
            arguments = (*place, *to, *part) if name == "transpose" else (*place, *part, *to)
            repeats = max(1, 10_000_000 // source.size)
            times = []
            for _ in range(rounds):
                began = time.perf_counter()
                kernels.functions[name](repeats, *arguments)
                times.append((time.perf_counter() - began) / repeats / rows / columns)
            print(f"{name:11} {rows:5} {columns:7} {statistics.median(times) * 1e9:15.3f}")


def main() -> None:
    """Print what this machine does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dtype", choices=sorted(SCALAR), default="float32")
    parser.add_argument("--packed", action="store_true", help="right operands in packed panels")
    given = parser.parse_args()
    kernels = Kernels(given.dtype)
    target = Target.host()
    built, compiled = (1e3 * t for t in kernels.times)
    print(f"{target.cpu}: {target.vector_bytes} bytes, {target.registers} registers")
    print(
        f"{choose_tile(target)}; IR {built:.1f} ms, object {compiled:.1f} ms, {kernels.size} bytes"
    )
    for threads in given.threads:
        report(kernels, threads, given.rounds, given.packed)
    report_others(kernels, given.rounds)


if __name__ == "__main__":
    main()

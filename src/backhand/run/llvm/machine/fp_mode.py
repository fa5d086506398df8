"""The processor's mode while native code runs: subnormal numbers count as zeros.

Moments of weights that no gradient reaches any more decay through the subnormal numbers, where many
processors take a hundred times longer. The mode belongs to a thread and is put back at the end.
"""

from __future__ import annotations

from collections.abc import Callable

from ..ir.builder import IR, ir_module
from .target import Target

X86_FLUSH = 0x8040
"""Bits of MXCSR: results that are subnormal become zero (15), and so do operands (6)."""

ARM_FLUSH = 1 << 24
"""The bit of FPCR that does both."""


def flush_subnormals(build: IR, target: Target) -> Callable[[], None]:
    """Write the code that sets the mode; returns what writes the code that puts it back."""
    ir = ir_module()
    i32, i64, pointer, nothing = ir.IntType(32), ir.IntType(64), ir.PointerType(), ir.VoidType()

    def intrinsic(name: str, result: IR, *arguments: IR) -> IR:
        kind = ir.FunctionType(result, arguments)
        return build.module.globals.get(name) or ir.Function(build.module, kind, name)

    if target.triple.startswith("x86"):
        before, now = build.alloca(i32, name="mode"), build.alloca(i32, name="flushing")
        load = intrinsic("llvm.x86.sse.ldmxcsr", nothing, pointer)
        build.call(intrinsic("llvm.x86.sse.stmxcsr", nothing, pointer), [before])
        build.store(build.or_(build.load(before, typ=i32), ir.Constant(i32, X86_FLUSH)), now)
        build.call(load, [now])
        return lambda: build.call(load, [before])
    write = intrinsic("llvm.aarch64.set.fpcr", nothing, i64)
    was = build.call(intrinsic("llvm.aarch64.get.fpcr", i64), [])
    build.call(write, [build.or_(was, ir.Constant(i64, ARM_FLUSH))])
    return lambda: build.call(write, [was])

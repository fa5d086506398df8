"""The processor's mode while native code runs: subnormal numbers count as zeros.

Moments of weights that no gradient reaches any more decay through the subnormal numbers, where many
processors take a hundred times longer. The mode belongs to a thread and is put back at the end.
"""

from __future__ import annotations

from collections.abc import Callable

from ..ir.builder import call, ir
from .target import Target

X86_FLUSH = 0x8040
"""Bits of MXCSR: results that are subnormal become zero (15), and so do operands (6)."""

ARM_FLUSH = 1 << 24
"""The bit of FPCR that does both."""


def flush_subnormals(build: ir.IRBuilder, target: Target) -> Callable[[], object]:
    """Write the code that sets the mode; returns what writes the code that puts it back."""
    i32, i64 = ir.IntType(32), ir.IntType(64)
    if target.triple.startswith("x86"):
        before, now = build.alloca(i32, name="mode"), build.alloca(i32, name="flushing")
        call(build, "llvm.x86.sse.stmxcsr", [before])
        build.store(build.or_(build.load(before, typ=i32), i32(X86_FLUSH)), now)
        call(build, "llvm.x86.sse.ldmxcsr", [now])
        return lambda: call(build, "llvm.x86.sse.ldmxcsr", [before])
    was = call(build, "llvm.aarch64.get.fpcr", [], i64)
    call(build, "llvm.aarch64.set.fpcr", [build.or_(was, i64(ARM_FLUSH))])
    return lambda: call(build, "llvm.aarch64.set.fpcr", [was])

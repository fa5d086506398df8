"""Compiles exported C, many models at a time, and runs it on rows."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

from backhand.export.c import write_c

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror", "-std=c99")

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")


def compiled(source, to, compiler="gcc", flags=()):
    """Compile without a warning."""
    command = [compiler, *WARNINGS, *flags, "-o", str(to), str(source)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert found.returncode == 0, found.stderr[:3000]


def library(folder, programs, compiler="gcc", flags=("-Os", "-march=native"), rows=None):
    """A shared library with the programs m0, m1, ...."""
    for i, program in enumerate(programs):
        write_c(program, folder / f"m{i}", rows)
    together = folder / "all.c"
    together.write_text("".join(f'#include "m{i}.c"\n' for i in range(len(programs))))
    compiled(together, folder / "all.so", compiler, (*flags, "-shared", "-fPIC"))
    return ctypes.CDLL(str(folder / "all.so"))


def results(lib, name, x, width, dtype):
    """What a function of one row gives for rows x (N, D): (N, width)."""
    out = np.full((len(x), width), np.nan, dtype)
    function = getattr(lib, name)
    for row, to in zip(np.ascontiguousarray(x), out, strict=True):
        function(row.ctypes.data_as(ctypes.c_void_p), to.ctypes.data_as(ctypes.c_void_p))
    return out


def assert_self_tests(folder, programs, compiler="gcc", flags=("-O2", "-march=native"), run=()):
    """Write programs and run the self-test of each."""
    for i, program in enumerate(programs):
        write_c(program, folder / f"m{i}")
        to = folder / "selftest"
        compiled(folder / f"m{i}.c", to, compiler, (*flags, f"-DM{i}_SELFTEST"))
        assert subprocess.run([*run, to], timeout=600).returncode == 0, program.name

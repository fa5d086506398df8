"""Compiles exported C, many models at a time, and runs it on rows."""

from __future__ import annotations

import ctypes
import subprocess

import numpy as np

from backhand.export.c import write_c

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror", "-std=c99")


def written(folder, programs):
    """Write programs as m0, m1, ... and a file that includes all; its path."""
    for i, program in enumerate(programs):
        write_c(program, folder / f"m{i}")
    together = folder / "all.c"
    together.write_text("".join(f'#include "m{i}.c"\n' for i in range(len(programs))))
    return together


def library(folder, programs, compiler="gcc", flags=("-O1", "-march=native")):
    """A shared library with the programs m0, m1, ...."""
    source, to = written(folder, programs), folder / f"{compiler}.so"
    command = [compiler, *WARNINGS, *flags, "-shared", "-fPIC", "-o", to, source]
    subprocess.run(command, check=True, timeout=600)
    return ctypes.CDLL(str(to))


def results(lib, name, x, width, dtype):
    """What a function of one row gives for rows x (N, D): (N, width)."""
    x = np.ascontiguousarray(x, dtype)
    out = np.full((len(x), width), np.nan, dtype)
    function = getattr(lib, name)
    for row, to in zip(x, out, strict=True):
        function(row.ctypes.data_as(ctypes.c_void_p), to.ctypes.data_as(ctypes.c_void_p))
    return out

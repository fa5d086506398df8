"""Formulas over rows: one row in each lane gives the bits of a row's columns in the lanes."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from llvmlite import ir

from backhand.expr.trace import trace
from backhand.formulas.losses import LOSSES
from backhand.run.llvm import tuning
from backhand.run.llvm.kernels.row_map import emit_row_map
from backhand.run.llvm.machine.target import Target, compile_module

from ..lowering.test_rows import cases, data
from ..native_formulas import TARGETS, same_bits

ROWS = 39
STRIDES = {"z": 16, "t": 16, "share": 1}


def run(graph, arrays, columns, target, dtype, *several):
    """The outputs that the kernel stores, with what lies around them, for each list of ranges."""
    module = ir.Module()
    outputs = ["number" if uniform else "row" for uniform in graph.uniform]
    function = emit_row_map(
        module, "f", target, np.dtype(dtype), graph, columns, list(arrays), outputs
    )
    function.linkage = "external"
    library = compile_module(module, target)
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    kinds = [number, number, ctypes.c_double, number, number]
    kinds += [pointer, number] * (len(arrays) + len(outputs))
    call = ctypes.CFUNCTYPE(None, *kinds)(library.address("f"))
    given = []
    for name, a in arrays.items():
        wide = np.full((ROWS, STRIDES[name]), 0 if a.dtype.kind == "i" else np.nan, a.dtype)
        wide[:, : a.shape[1]] = a
        given.append(wide)
    found = []
    for ranges in several:
        stored = [np.full((ROWS + 1, 1 if u else 16), 7, dtype) for u in graph.uniform]
        pairs = [value for a in (*given, *stored) for value in (a.ctypes.data, a.shape[1])]
        for begin, end in ranges:
            call(begin, end, 3.0, 0, 1, *pairs)
        found.append(stored)
    return found


WHOLE, IN_PARTS = [(0, ROWS)], [(0, 17), (17, 18), (18, ROWS), (5, 5)]


@pytest.mark.parametrize(("name", "dtype", "several"), [*cases((1, 2, 3, 7), 2)])
def test_both_ways_give_the_same_bits(name, dtype, several, monkeypatch):
    loss = LOSSES[name]

    def formula(xp, total, z, t, share):
        gradient = loss.grad(xp, z, t, **loss.keywords)
        return loss.value(xp, z, t, **loss.keywords) * (share / total), gradient * share

    inputs = [("total", "scalar"), ("z", "real")]
    inputs += [("t", "index" if loss.by_row else "real"), ("share", "scalar")]
    graph = trace(formula, inputs)
    rng = np.random.default_rng(0)
    for columns in several:
        parts = [data(loss, columns, dtype) for _ in range(ROWS // 3)]
        arrays = {key: np.concatenate([p[key] for p in parts]) for key in ("z", "t")}
        arrays["z"] = arrays["z"] * rng.uniform(0.1, 10, (ROWS, 1)).astype(dtype)
        arrays["share"] = rng.uniform(0, 2, (ROWS, 1)).astype(dtype)
        results = []
        for target in map(Target.named, TARGETS):
            for most in (0, 7):
                monkeypatch.setattr(tuning, "ROWS_IN_LANES_COLUMNS", most)
                results += run(graph, arrays, columns, target, dtype, WHOLE, IN_PARTS)
        for stored in results:
            for got, want, uniform in zip(stored, results[0], graph.uniform, strict=True):
                k = 1 if uniform else columns
                assert same_bits(got[:ROWS, :k], want[:ROWS, :k]), columns
                assert set(np.unique(got[:ROWS, k:])) <= {0.0, 7.0}
                assert (got[ROWS] == 7).all()

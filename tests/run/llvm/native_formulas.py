"""Formulas as native functions over whole arrays, for the tests beside this file."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from llvmlite import ir

from backhand.run.llvm.ir.builder import for_range, index
from backhand.run.llvm.ir.simd import Lanes
from backhand.run.llvm.lowering.lower import emit_vector
from backhand.run.llvm.lowering.rows import emit_row
from backhand.run.llvm.machine.target import Target, compile_module

UNIFORM = ("scalar", "index", "word")
KIND = {"index": np.int32, "word": np.uint32, "words": np.uint32}


def runs_here(name):
    """Whether this processor can run code for `Target.named(name)`."""
    host, target = Target.host(), Target.named(name)
    return host.triple.split("-")[0] == target.triple.split("-")[0] and (
        host.vector_bytes >= target.vector_bytes
    )


TARGETS = [name for name in ("avx512", "avx2", "fma128") if runs_here(name)]
"""Instruction sets that this processor can run."""

several_targets = pytest.mark.skipif(len(TARGETS) < 2, reason="only one instruction set runs here")


def _begin(inputs, outputs, dtype, lanes):
    """A module with a function of a size and pointers, and lanes in it."""
    module = ir.Module()
    pointers = [ir.PointerType()] * (len(inputs) + len(outputs))
    signature = ir.FunctionType(ir.VoidType(), [ir.IntType(64), *pointers])
    function = ir.Function(module, signature, "kernel")
    build = ir.IRBuilder(function.append_basic_block("entry"))
    return module, function, Lanes(build, dtype, lanes)


def _call(module, target, size, arrays):
    library = compile_module(module, target)
    types = [ctypes.c_int64, *[ctypes.c_void_p] * len(arrays)]
    kernel = ctypes.CFUNCTYPE(None, *types)(library.address("kernel"))
    kernel(size, *(a.ctypes.data for a in arrays))


def map_elements(graph, dtype, arrays, target=None, lanes=None, words=False):
    """Outputs of a formula without reductions: arrays (n,) by name, or scalars."""
    target = target or Target.host()
    lanes_count = lanes or target.lanes(dtype)
    module, function, lanes = _begin(graph.inputs, graph.outputs, dtype, lanes_count)
    size = max((len(a) for a in arrays.values() if np.ndim(a)), default=16)
    room = -(-size // 16) * 16
    given = []
    for name, kind in graph.inputs.items():
        a = np.asarray(arrays[name], KIND.get(kind, dtype))
        given.append(np.concatenate([a, a[:1].repeat(room - size)]) if a.ndim else a.reshape(1))
    outputs = [np.empty(room, np.uint32 if words else dtype) for _ in graph.outputs]
    n, *pointers = function.args
    build = lanes.builder

    def body(i):
        inputs = {}
        for (name, kind), pointer in zip(graph.inputs.items(), pointers, strict=False):
            scalar = lanes.word_element if kind in KIND else lanes.element
            vector = lanes.word_vector if kind in KIND else lanes.vector
            place = pointer if kind in UNIFORM else build.gep(pointer, [i], source_etype=scalar)
            inputs[name] = lanes.load(place, scalar if kind in UNIFORM else vector)
        results = emit_vector(graph, lanes, inputs, i)
        for value, pointer in zip(results, pointers[len(graph.inputs) :], strict=True):
            element = lanes.word_element if words else lanes.element
            lanes.store(value, build.gep(pointer, [i], source_etype=element))

    for_range(build, "map", index(0), n, body, step=lanes_count)
    build.ret_void()
    _call(module, target, room, [*given, *outputs])
    return [a[:size] for a in outputs]


def map_rows(graph, dtype, arrays, columns, target=None):
    """Outputs of any formula: arrays (N, columns) or (N, 1) by name.

    What lies beside the columns in memory is NaN in inputs, and is checked in outputs.
    """
    target = target or Target.host()
    module, function, lanes = _begin(graph.inputs, graph.outputs, dtype, target.lanes(dtype))
    width = -(-columns // 16) * 16
    rows = len(next(iter(arrays.values())))
    given = []
    for name, kind in graph.inputs.items():
        a = np.asarray(arrays[name], KIND.get(kind, dtype))
        if kind not in UNIFORM:
            wide = np.full((rows, width), np.nan if kind == "real" else 0, a.dtype)
            wide[:, :columns] = a
            a = wide
        given.append(np.ascontiguousarray(a))
    outputs = [np.full((rows, 1 if u else width), 7, dtype) for u in graph.uniform]
    n, *pointers = function.args
    build = lanes.builder

    def body(row):
        inputs = {}
        for (name, kind), pointer in zip(graph.inputs.items(), pointers, strict=False):
            element = lanes.word_element if kind in KIND else lanes.element
            stride = index(1 if kind in UNIFORM else width)
            place = build.gep(pointer, [build.mul(row, stride)], source_etype=element)
            inputs[name] = lanes.load(place, element) if kind in UNIFORM else place
        places = [
            build.gep(p, [build.mul(row, index(a.shape[1]))], source_etype=lanes.element)
            for p, a in zip(pointers[len(graph.inputs) :], outputs, strict=True)
        ]
        results = emit_row(graph, lanes, columns, inputs, places)
        for value, place in zip(results, places, strict=True):
            if value is not None:
                lanes.store(value, place)

    for_range(build, "rows", index(0), n, body)
    build.ret_void()
    _call(module, target, rows, [*given, *outputs])
    for a, uniform in zip(outputs, graph.uniform, strict=True):
        beside = a[:, columns:] if not uniform else a[:, 1:]
        assert set(np.unique(beside)) <= {0.0, 7.0}
    return [a if u else a[:, :columns] for a, u in zip(outputs, graph.uniform, strict=True)]


def same_bits(a, b):
    """Whether two arrays agree to the last bit; any NaN agrees with any other."""
    integer = np.dtype(f"u{a.dtype.itemsize}")
    agree = a.view(integer) == b.view(integer)
    return bool(np.all(agree | (np.isnan(a) & np.isnan(b))))

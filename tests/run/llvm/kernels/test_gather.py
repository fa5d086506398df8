from __future__ import annotations

import ctypes

import numpy as np
import pytest

from backhand.run.llvm.ir.builder import ir
from backhand.run.llvm.kernels.gather import READABLE, emit_gather
from backhand.run.llvm.machine.target import Target, compile_module

pytest.importorskip("llvmlite")


def gatherer(source, out, columns, padded):
    target = Target.host()
    module = ir.Module("test")
    lanes, kinds = target.lanes(out), (np.dtype(source), np.dtype(out))
    function = emit_gather(module, lanes, *kinds, columns, padded)
    function.linkage = "external"
    library = compile_module(module, target)
    kinds = [ctypes.c_void_p, ctypes.c_int64] * 2 + [ctypes.c_void_p] + [ctypes.c_int64] * 5
    call = ctypes.CFUNCTYPE(None, *kinds)(library.address(function.name))
    call.library = library
    return call


def random_source(rng, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("out", ["float32", "float64"])
@pytest.mark.parametrize("dtype", [d.name for d in READABLE])
def test_rows_of_every_dtype_as_numpy_converts_them(dtype, out):
    rng = np.random.default_rng(0)
    for columns in (1, 3, 15, 16, 17, 50):
        call = gatherer(dtype, out, columns, -(-columns // 16) * 16)
        whole = random_source(rng, dtype, (23, columns + 4))
        source = whole[:, :columns]  # its rows are not contiguous with one another
        order = rng.permutation(23)
        stride = -(-columns // 16) * 16
        got = np.full((9, stride), 7.0, out)
        call(
            source.ctypes.data, source.strides[0], order.ctypes.data, 5,
            got.ctypes.data, stride, columns, 2, 9, 23,
        )  # fmt: skip
        want = source[order[5 + np.arange(2, 9)]].astype(out)
        assert np.array_equal(got[2:, :columns], want)
        assert (got[2:, columns:] == 0).all()
        assert (got[:2] == 7).all()


@pytest.mark.parametrize("source", ["int64", "int32", "uint8", "bool"])
def test_class_indices(source):
    call = gatherer(source, "int32", 1, 1)
    t = np.array([[3], [1], [0], [2]]).astype(source)
    got = np.full((4, 1), -1, np.int32)
    call(t.ctypes.data, t.strides[0], None, 0, got.ctypes.data, 1, 1, 0, 4, 4)
    assert np.array_equal(got, t.astype(np.int32))


def test_reversed_rows():
    call = gatherer("float32", "float32", 3, 16)
    x = np.arange(12, dtype=np.float32).reshape(4, 3)[::-1]
    got = np.empty((4, 16), np.float32)
    call(x.ctypes.data, x.strides[0], None, 0, got.ctypes.data, 16, 3, 0, 4, 4)
    assert np.array_equal(got[:, :3], x)

"""Sums over a batch against NumPy's."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from backhand.formulas import noise
from backhand.run.llvm.kernels.batch_totals import emit_add_loss, emit_layer_key, emit_weight_sum
from backhand.run.namespaces import NUMPY

from ..native import ADDRESS, NUMBER, REAL, native


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8", "bool"])
def test_weights_are_summed_in_the_order_of_the_rows(dtype, rng):
    dtype = np.dtype(dtype)
    call = native(
        lambda module: emit_weight_sum(module, dtype),
        [ADDRESS, NUMBER, ADDRESS, NUMBER, NUMBER],
        REAL,
    )
    weight = (rng.random((40, 2)) * 3).astype(dtype)[:, :1]  # not contiguous
    order = rng.permutation(40)
    total = 0.0
    for value in weight[order[3:28], 0]:
        total += float(value)
    given = weight.ctypes.data, weight.strides[0]
    assert call(*given, order.ctypes.data, 3, 25) == total
    assert call(*given, None, 0, 0) == 0.0
    assert call(None, 0, None, 3, 25) == 25.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_are_added_to_those_of_earlier_batches(dtype, rng):
    dtype = np.dtype(dtype)
    call = native(lambda module: emit_add_loss(module, dtype), [ADDRESS, NUMBER, REAL, ADDRESS])
    value, results = rng.random(30).astype(dtype), np.array([100.0, 10.0])
    call(value.ctypes.data, 30, 2.5, results.ctypes.data)
    total = 0.0
    for one in value:
        total += float(one)
    assert results.tolist() == [100.0 + total * 2.5, 12.5]


def test_keys_of_noise_are_those_of_the_formula():
    words = [ctypes.c_uint32] * 3
    call = native(lambda module: emit_layer_key(module, np.dtype("f4")), words, ctypes.c_uint32)
    for given in ((0, 0, 0), (1, 2, 3), (2**32 - 1, 12345, 7)):
        want = noise.layer_key(NUMPY, *(NUMPY.words(value) for value in given))
        assert call(*given) == int(want[0])

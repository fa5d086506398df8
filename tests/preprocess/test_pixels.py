"""Formulas against plain Python."""

from __future__ import annotations

import json
import math
import statistics

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.preprocess.pixels import Standardise
from backhand.preprocess.preparation import preparation_from_dict


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(20, 12), (20, 3, 4)])
def test_pixels_against_plain_python(rng, dtype, shape):
    raw = rng.integers(256, size=shape).astype(dtype)
    preparation = Standardise.fit(raw, 1 / 256)
    values = [float(v) / 256 for v in raw.ravel()]
    mean, std = statistics.fmean(values), statistics.pstdev(values)
    assert math.isclose(preparation.mean, mean, rel_tol=1e-12)
    assert math.isclose(preparation.std, std, rel_tol=1e-12)
    x = preparation.apply(raw)
    assert x.shape == (20, 12)
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    np.testing.assert_allclose(x.ravel(), [(v - mean) / std for v in values], rtol=1e-6, atol=1e-7)


def test_bytes_and_floats_of_the_same_pixels_are_prepared_alike(rng):
    raw = rng.integers(256, size=(30, 8), dtype=np.uint8)
    preparation = Standardise.fit(raw, 1 / 256)
    for other in (raw.astype(np.float32), raw.astype(np.int64), raw[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(preparation.apply(other), preparation.apply(raw))


def test_large_pixels_arrays_are_taken_in_pieces(rng, monkeypatch):
    raw = rng.normal(size=(50, 7))
    whole = Standardise.fit(raw)
    x = whole.apply(raw)
    monkeypatch.setattr("backhand.preprocess.pixels.CHUNK_VALUES", 20)
    assert math.isclose(Standardise.fit(raw).std, whole.std, rel_tol=1e-12)
    np.testing.assert_array_equal(whole.apply(raw), x)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.zeros((3, 4)), "pixels are all 0.0"),
        (np.zeros((0, 4)), "nothing to standardise"),
        (np.zeros(4), r"shape \(4,\)"),
        (np.array([["a"]]), "dtype <U1"),
        (np.array([[1.0, np.nan]]), "row 1, pixel 1: nan"),
        (np.array([[1.0], [np.inf]]), "row 2, pixel 0: inf"),
    ],
)
def test_pixels_that_cannot_be_standardised(raw, message):
    with pytest.raises(InputError, match=message):
        Standardise.fit(raw)


def test_pixels_of_another_width_or_beyond_float32():
    preparation = Standardise(0.0, 1.0, 1.0, 4)
    with pytest.raises(InputError, match="rows have 5 pixels, the model takes 4"):
        preparation.apply(np.zeros((1, 5)))
    with pytest.raises(InputError, match="row 1, pixel 2: 1e\\+200 is too large"):
        preparation.apply(np.array([[0, 0, 1e200, 0]]))


def test_pixels_round_trip(rng):
    preparation = Standardise.fit(rng.integers(256, size=(9, 4), dtype=np.uint8), 1 / 256)
    assert preparation_from_dict(json.loads(json.dumps(preparation.to_dict()))) == preparation

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhand.datasets.idx import read_idx
from backhand.errors import InputError


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, kind, values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_what_was_written_is_read(shape):
    values = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    np.testing.assert_array_equal(read_idx(idx(values), "x", rank=len(shape)), values)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(content):
    try:
        values = read_idx(content, "x")
    except InputError as error:
        assert str(error).startswith("x: ")  # noqa: PT017
    else:
        assert idx(values) == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x1f\x8b\x08\x00", "not an IDX file"),
        (b"<html>404", "not an IDX file"),
        (idx(np.zeros(3), kind=0x0D), "32-bit floats"),
        (idx(np.zeros(3), kind=0x77), "type 0x77"),
        (idx(np.zeros(3)), "has 1 dimensions, expected 3"),
        (b"\0\0\x08\x03\0\0", "ends inside its header"),
        (idx(np.zeros((2, 3, 4)))[:-1], "holds 23 values, its header says 2 x 3 x 4 = 24"),
        (idx(np.zeros((2, 3, 4))) + b"x", "holds 25 values"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "holds 0 values, its header says 4294967295 x"),
    ],
)
def test_what_is_wrong_is_named(content, message):
    with pytest.raises(InputError, match=message):
        read_idx(content, "x", rank=3)

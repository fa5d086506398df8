"""Rows of tables in C: what they are prepared to, and dates."""

from __future__ import annotations

import ctypes
import datetime

import numpy as np

from backhand.preprocess.preparation import Standardise, TablePreparation

from ..test_programs import entries, strange, table
from .programs import library, needs_gcc


def rows_of(program, values):
    """The values (N, columns) as structs."""
    kinds = {"category": ctypes.c_int32}
    fields = [(f"f{i}", kinds.get(c.kind, ctypes.c_double)) for i, c in enumerate(program.columns)]
    row = type("Row", (ctypes.Structure,), {"_fields_": fields})
    return [
        row(
            *(
                int(v) if c.kind == "category" else v
                for c, v in zip(program.columns, one, strict=True)
            )
        )
        for one in values
    ]


@needs_gcc
def test_columns_of_every_kind_are_prepared_as_in_python(tmp_path):
    rng = np.random.default_rng(0)
    frame = table(rng, 400)
    preparation = TablePreparation.fit(frame, warn=False)
    program = entries(preparation)
    rows = strange(rng, frame)
    values = preparation.values(rows, warn=False)
    lib = library(tmp_path, [program], rows=values[:20])
    want, got = preparation.apply(rows, warn=False), np.empty(program.inputs, np.float32)
    for row, x in zip(rows_of(program, values), want, strict=True):
        lib.m0_prepare(ctypes.byref(row), got.ctypes.data_as(ctypes.c_void_p))
        # those of float64 before they are rounded to float32, which may fall either way
        np.testing.assert_allclose(got, x, rtol=2**-23, atol=1e-12)


@needs_gcc
def test_pixels_are_prepared_as_in_python(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 12)).astype(np.uint8)
    preparation = Standardise.fit(pixels, 1 / 256)
    lib = library(tmp_path, [entries(preparation)], rows=pixels)
    got = np.empty(12, np.float32)
    for row, x in zip(pixels.astype(np.float64), preparation.apply(pixels), strict=True):
        lib.m0_prepare(row.ctypes.data_as(ctypes.c_void_p), got.ctypes.data_as(ctypes.c_void_p))
        np.testing.assert_array_equal(got, x)


@needs_gcc
def test_days_are_those_of_the_calendar(tmp_path):
    rng = np.random.default_rng(0)
    frame = table(rng, 50, {"day": "days"})
    lib = library(tmp_path, [entries(TablePreparation.fit(frame, warn=False))])
    lib.m0_days.restype = ctypes.c_double
    first = datetime.date(1970, 1, 1).toordinal()
    for ordinal in [
        1,
        2,
        60,
        719162,
        719163,
        *rng.integers(1, datetime.date.max.toordinal(), 2000),
    ]:
        day = datetime.date.fromordinal(int(ordinal))
        assert lib.m0_days(day.year, day.month, day.day) == ordinal - first

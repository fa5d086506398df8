"""The small functions of C beside NumPy."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from backhand.export.c.dialect import C
from backhand.export.imperative.exact import WORDS

from .programs import compiled, needs_gcc

UNARY = {"sqrt": np.sqrt, "round": np.rint, "abs": np.abs}
BINARY = {"minimum": np.minimum, "maximum": np.maximum, "copysign": np.copysign}


def numbers(dtype):
    """Any bits, roots of whole squares and their neighbours, halves, and special values."""
    rng = np.random.default_rng(0)
    word = WORDS[dtype.__name__]
    found = [rng.integers(0, np.iinfo(word).max, 20_000, word, endpoint=True).view(dtype)]
    squares = (rng.integers(1, 2**11, 2000).astype(dtype)) ** 2
    found += [squares, np.nextafter(squares, dtype(0)), np.nextafter(squares, dtype(np.inf))]
    found += [np.arange(-50, 50).astype(dtype) / 2]
    found += [rng.integers(1, 2**22, 5000).astype(word).view(dtype)]  # subnormal
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(dtype).tiny, np.finfo(dtype).max]
    found += [np.array(special, dtype), np.array([1, 3, 2**23 - 1], word).view(dtype)]
    return np.concatenate(found)


@needs_gcc
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("flags", [("-O2",), ("-Os", "-march=native")], ids=str)
def test_helpers_are_numpys(tmp_path, dtype, flags):
    name, real = dtype.__name__, {"float32": "float", "float64": "double"}[dtype.__name__]
    dialect = C("t")
    for helper in (*UNARY, *BINARY):
        dialect.uses(helper, name)
    lines = ["#include <stdint.h>", *dialect.helper_texts()]
    for helper in (*UNARY, *BINARY):
        given = "a[i]" if helper in UNARY else "a[i], b[i]"
        head = f"void all_{helper}(int n, const {real} *a, const {real} *b, {real} *y)"
        call = f"y[i] = {dialect.helper(helper, name)}({given});"
        body = ["(void)b;", "for (int i = 0; i < n; i++) {", call, "}"]
        lines.append("\n".join([f"{head};", head, "{", *body, "}"]))
    (tmp_path / "t.c").write_text("\n\n".join(lines) + "\n")
    compiled(tmp_path / "t.c", tmp_path / "t.so", flags=(*flags, "-shared", "-fPIC"))
    lib = ctypes.CDLL(str(tmp_path / "t.so"))
    a = numbers(dtype)
    b, y = np.random.default_rng(1).permutation(a), np.empty_like(a)
    for helper, numpy in {**UNARY, **BINARY}.items():
        arrays = (x.ctypes.data_as(ctypes.c_void_p) for x in (a, b, y))
        getattr(lib, f"all_{helper}")(len(a), *arrays)
        with np.errstate(all="ignore"):
            want = numpy(a) if helper in UNARY else numpy(a, b)
        np.testing.assert_array_equal(y, want, err_msg=helper)
        if helper in ("sqrt", "round"):
            sure = want == want
            np.testing.assert_array_equal(np.signbit(y[sure]), np.signbit(want[sure]))

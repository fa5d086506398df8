"""Operations and functions in JavaScript have the bits that the dialect promises."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.export.imperative import Parameter
from backhand.export.imperative.exact import Exact
from backhand.export.imperative.expressions import function_lines, row_lines
from backhand.export.javascript.dialect import JavaScript, array_text, real_text, text_of
from backhand.export.javascript.runtime import ARRAYS
from backhand.expr.functions import TABLE
from backhand.expr.trace import trace
from backhand.run.namespaces import NUMPY

from .modules import array, needs_node, run


def values(dtype):
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    odd = [
        0.0,
        -0.0,
        np.inf,
        -np.inf,
        np.nan,
        info.tiny,
        info.smallest_subnormal,
        info.max,
        0.5,
        2.5,
    ]
    some = [rng.standard_normal(3000) * scale for scale in (1e-6, 0.1, 1.0, 30.0, 1e4)]
    return np.concatenate([odd, *some, rng.integers(-60, 60, 50) / 2]).astype(dtype)


def rows_in_node(folder, formula, kinds, rows, dtype):
    """What a formula gives for rows (K,), by JavaScript."""
    dialect = JavaScript()
    names = [f"x{i}" for i in range(len(rows))]
    graph = trace(formula, list(zip(names, kinds, strict=True)))
    wide = [not uniform for uniform in graph.uniform]
    given = [Parameter("n", "int32", "number"), *(Parameter(n, dtype, "in") for n in names)]
    given += [Parameter(f"y{i}", dtype, "out") for i in range(len(wide))]
    lines = row_lines("f", graph, dialect, dtype, given, wide)
    functions = [
        function_lines(name, dialect, dtype) for name, _ in list(dialect.used) if name in TABLE
    ]
    parts = ["const fround = Math.fround;", ARRAYS, *dialect.helper_texts()]
    parts += ["\n".join(part) for part in (*functions, lines)]
    parts.append(f"export {{ {dialect.local('f', dtype)} as f }};")
    kind = {"float32": "Float32Array", "float64": "Float64Array"}[dtype]
    body = f"""\
const x = data.map((row) => {kind}.from(row, Number)), n = x[0].length;
const y = {len(wide)} > 1 ? [new {kind}(n), new {kind}(n)] : [new {kind}(n)];
m.f(n, ...x, ...y);
return y.map((row) => Array.from(row, (a) => Object.is(a, -0) ? "-0" : a));"""
    texts = [[[str(float(a)).replace("inf", "Infinity") for a in row] for row in rows]]
    found = run(folder, ["\n".join(parts)], texts, body)[0]
    return [array(row, len(row)).astype(dtype) for row in found]


@needs_node
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TABLE)
def test_functions_have_the_bits_of_fma(name, dtype, tmp_path):
    x = values(dtype)
    (got,) = rows_in_node(tmp_path, lambda xp, a: getattr(xp, name)(a), ["real"], [x], dtype)
    with np.errstate(all="ignore"):
        want = getattr(Exact(dtype, fused=True), name)(x)
    np.testing.assert_array_equal(got, want)
    known = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[known], np.signbit(want)[known])


def operations(xp, a, b):
    """Every operation on real numbers, so that each has a part in the result."""
    small = xp.minimum(xp.abs(a), 3.0) + xp.maximum(b, -0.5) * a - xp.maximum(a, b)
    other = xp.where(a <= b, xp.sqrt(xp.abs(a)) / 7.0, -b) + xp.round(xp.minimum(a, b))
    return small, other - small / 3.0


@needs_node
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operations_have_the_bits_of_numpy(dtype, tmp_path):
    a = values(dtype)
    b = np.random.default_rng(1).permutation(a)
    got = rows_in_node(tmp_path, operations, ["real", "real"], [a, b], dtype)
    with np.errstate(all="ignore"):
        want = operations(NUMPY, a, b)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other)


def words(xp, a, k):
    """Every operation on words, of the numbers of columns."""
    mixed = xp.u32_xor(xp.u32_multiply(k, 0x9E3779B9), xp.u32_high(k, 0xDEADBEEF))
    return xp.where(xp.u32_below(xp.u32_shift(mixed, 3), 0x0FEDCBA9), a, -a)


@needs_node
def test_words_wrap_at_32_bits(tmp_path):
    x = np.arange(1, 4001.0)
    (got,) = rows_in_node(tmp_path, words, ["real", "column"], [x, x], "float64")
    np.testing.assert_array_equal(got, words(NUMPY, x, np.arange(4000, dtype=np.uint32)))


@needs_node
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_are_read_to_the_bit(dtype, tmp_path):
    arrays = [values(dtype), np.array([0.1, -0.0, 1e30], dtype), values(dtype)[:9]]
    text = f"{ARRAYS}\nexport const arrays = [{', '.join(map(array_text, arrays))}];"
    for got, want in zip(run(tmp_path, [text], [0], "return m.arrays;")[0], arrays, strict=True):
        np.testing.assert_array_equal(array(got, want.shape), want)


def test_texts():
    assert text_of("</script>é\u2028\n") == '"\\u003c/script>\\u00e9\\u2028\\n"'
    assert real_text(0.1, "float32") == "0.10000000149011612"
    assert real_text(1e39, "float32") == "Infinity"
    assert real_text(-0.0, "float64") == "-0"
    assert real_text(float("nan"), "float64") == "NaN"

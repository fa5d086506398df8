from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from backhand.expr.functions import TABLE, function_graph
from backhand.expr.trace import FUNCTIONS
from backhand.run.llvm.machine.target import Target
from backhand.run.namespaces import NUMPY

from ..run.llvm.native_formulas import TARGETS, map_elements, same_bits, several_targets

mpmath_context = mpmath.mp.clone()
mpmath_context.dps = 40
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, math.log(2) / 2, 2.0]
EIGHTHS = np.arange(-40, 41) / 8  # of turns: zeros, extrema and where ranges meet
EDGES = {  # where results overflow, underflow or saturate, and where the range is cut
    np.float32: [88.72283, 88.72284, 88.7229, 88.376, 89.5, -87.33655, -103.27, -103.9721, -104.5],
    np.float64: [709.782712893384, 709.782712893385, 709.5, 711.0, -708.4, -745.13, -745.14, -750],
}


def arguments(dtype, count):
    """Numbers all over the range: uniform, log-uniform, every kind of edge."""
    rng = np.random.default_rng(1)
    info = np.finfo(dtype)
    tiny = np.log2(float(info.smallest_subnormal))
    magnitudes = 2.0 ** rng.uniform(tiny, float(info.maxexp) - 1e-3, count)
    moderate = 2.0 ** rng.uniform(-40, 7, count)
    eighths = EIGHTHS.astype(dtype)
    parts = [
        magnitudes * rng.choice([-1, 1], count),
        moderate * rng.choice([-1, 1], count),
        rng.uniform(-1, 3, count),
        rng.uniform(-30, 30, count),
        rng.uniform(-110, 100, count) * (1 if dtype is np.float32 else 7.2),
        SPECIAL,
        EDGES[dtype],
        [-a for a in EDGES[dtype]],
        [info.max, -info.max, info.tiny, -info.tiny, info.smallest_subnormal],
        [np.nextafter(dtype(-1), dtype(0)), np.nextafter(dtype(-1), dtype(-2)), info.eps],
        *(eighths, np.nextafter(eighths, dtype(-9)), np.nextafter(eighths, dtype(9))),
    ]
    return np.concatenate([np.asarray(part, np.float64) for part in parts]).astype(dtype)


def exact_value(name, x):
    """The true value to 40 digits, and infinities and NaN as NumPy has them."""
    in_turns = {"cos_turns": mpmath_context.cospi, "sin_turns": mpmath_context.sinpi}
    at_edges = {
        "exp": lambda: {math.inf: math.inf, -math.inf: 0.0}.get(x, math.nan),
        "expm1": lambda: {math.inf: math.inf, -math.inf: -1.0}.get(x, math.nan),
        "log": lambda: math.inf if x == math.inf else -math.inf if x == 0 else math.nan,
        "log1p": lambda: math.inf if x == math.inf else -math.inf if x == -1 else math.nan,
        "tanh": lambda: math.copysign(1.0, x) if math.isinf(x) else math.nan,
        "erf": lambda: math.copysign(1.0, x) if math.isinf(x) else math.nan,
    }
    outside = {"log": x <= 0, "log1p": x <= -1}.get(name, False)
    if not math.isfinite(x) or outside:
        return at_edges.get(name, lambda: math.nan)()
    if name in in_turns:
        return in_turns[name](2 * mpmath_context.mpf(x))
    return getattr(mpmath_context, name)(mpmath_context.mpf(x))


def error_in_ulp(got, want, dtype):
    """Distance in units of the spacing at the true value; 0 or inf where that is not finite."""
    info = np.finfo(dtype)
    got = float(got)
    if not mpmath_context.isfinite(want) or math.isnan(got):
        return 0.0 if got == want or (math.isnan(got) and mpmath_context.isnan(want)) else math.inf
    largest = mpmath_context.ldexp(1, int(info.maxexp))
    if math.isinf(got):
        got = math.copysign(1, got) * largest
    want = max(-largest, min(largest, mpmath_context.mpf(want)))
    exponent = int(info.minexp)
    if want:
        exponent = max(exponent, mpmath_context.mag(want) - 1)
    spacing = mpmath_context.ldexp(1, min(exponent, int(info.maxexp) - 1) - int(info.nmant))
    return float(abs(mpmath_context.mpf(got) - want) / spacing)


def test_the_table_has_every_function():
    assert sorted(TABLE) == sorted(FUNCTIONS)


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_are_within_the_stated_bound(name, dtype, count):
    x = arguments(dtype, count)
    (got,) = map_elements(function_graph(name, dtype is np.float32), dtype, {"a": x})
    errors = [
        error_in_ulp(g, exact_value(name, float(v)), dtype) for v, g in zip(x, got, strict=True)
    ]
    worst = int(np.argmax(errors))
    bound = TABLE[name].bound32 if dtype is np.float32 else TABLE[name].bound64
    assert errors[worst] <= bound, (
        f"{name}({x[worst]!r}) = {got[worst]!r}, {errors[worst]:.3f} ULP off, bound {bound}"
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_bounds_over_all_exponents_and_four_million_numbers(name):
    x = np.arange(0, 2**32, 1021, dtype=np.uint64).astype(np.uint32).view(np.float32)
    (got,) = map_elements(function_graph(name, True), np.float32, {"a": x})
    with np.errstate(all="ignore"):
        want = getattr(NUMPY, name)(x.astype(np.float64))
        assert np.array_equal(np.isnan(got), np.isnan(want))
        limit = 2.0**128
        want = np.clip(want, -limit, limit)
        exponent = np.clip(np.frexp(want)[1] - 1, -126, 127)
        error = np.abs(np.clip(got.astype(np.float64), -limit, limit) - want)
        error = np.nan_to_num(error / np.ldexp(1.0, exponent - 23))
    worst = int(np.argmax(error))
    assert error[worst] <= TABLE[name].bound32, f"{name}({x[worst]!r}) = {got[worst]!r}"


@several_targets
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_instruction_set_gives_the_same_bits(name, dtype):
    x = arguments(dtype, 20_000)
    graph = function_graph(name, dtype is np.float32)
    first, *others = (
        map_elements(graph, dtype, {"a": x}, Target.named(target))[0] for target in TARGETS
    )
    assert all(same_bits(first, other) for other in others)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_scalars_give_the_same_bits(name, dtype):
    x = arguments(dtype, 500)
    graph = function_graph(name, dtype is np.float32)
    (one,), (many,) = (map_elements(graph, dtype, {"a": x}, lanes=n) for n in (1, None))
    assert same_bits(one, many)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exact_values(dtype):
    def value(name, x):
        x = np.asarray([x], dtype)
        return map_elements(function_graph(name, dtype is np.float32), dtype, {"a": x})[0][0]

    assert value("exp", 0.0) == 1.0
    assert value("exp", -np.inf) == 0.0
    assert value("log", 1.0) == 0.0
    assert value("tanh", 30.0) == 1.0
    assert value("erf", -30.0) == -1.0
    assert value("expm1", -200.0) == -1.0
    for quarters in range(-9, 10):
        angle = math.pi / 2 * quarters
        assert value("cos_turns", quarters / 4) == round(math.cos(angle))
        assert value("sin_turns", quarters / 4) == round(math.sin(angle))
    for name in ("expm1", "log1p", "tanh", "erf"):
        zero = value(name, -0.0)
        assert zero == 0.0, name
        assert np.signbit(zero), f"{name}(-0.0) must be -0.0"


@pytest.mark.parametrize("name", ["cos_turns", "sin_turns"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cosines_and_sines_are_not_above_1(name, dtype):
    near = np.linspace(-1e-3, 1e-3, 100_001)
    x = np.concatenate([extremum + near for extremum in (0.0, 0.25, 0.5, 0.75)]).astype(dtype)
    (got,) = map_elements(function_graph(name, dtype is np.float32), dtype, {"a": x})
    assert np.abs(got).max() == 1.0

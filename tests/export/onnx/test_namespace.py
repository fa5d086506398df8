"""Functions that ONNX has not are composed: as accurate as `comparison` says, NaN and ends too."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.export.onnx.comparison import ULP, Operators
from backhand.export.program import Decision, Program, Stage, row_buffer
from backhand.expr.trace import FUNCTIONS
from backhand.plan.buffers import BATCH, Buffer
from backhand.plan.nodes import Map
from backhand.run.namespaces import NUMPY

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def ran(formula, *arrays, width=None):
    """What onnxruntime makes of a formula of arrays (N, K) of one dtype."""
    from backhand.export.onnx.writing import onnx_model

    dtype, columns = str(arrays[0].dtype), arrays[0].shape[1]
    x = row_buffer("x", columns * len(arrays))
    views = tuple(x.view(f"a{k}", k * columns, columns) for k in range(len(arrays)))
    y = Buffer("y", (BATCH, columns if width is None else width))
    stage = Stage("answer", dtype, (x,), (Map(formula, views, (y,)),), {}, y)
    z = Buffer("z", x.axes)
    network = Stage("network1", dtype, (x,), (Map(lambda xp, a: a, (x,), (z,)),), {}, z)
    program = Program("a formula", x.width, (network,), stage, Decision("numbers"))
    session = onnxruntime.InferenceSession(onnx_model(program).SerializeToString())
    return session.run(None, {"X": np.concatenate(arrays, axis=1)})[0]


def of(name):
    return lambda xp, a: getattr(xp, name)(a)


def arguments(name, dtype):
    """Finite ones, near zero and far out, at which neither underflows."""
    rng = np.random.default_rng(0)
    a = np.concatenate([np.exp(rng.uniform(-60, 4.4, 40_000)), rng.uniform(0, 6, 40_000)])
    a = np.concatenate([a, -a])
    if name in ("log", "log1p"):
        a = a[a > (0 if name == "log" else -1)]
        a = np.concatenate([a, 1 + rng.uniform(-1e-3, 1e-3, 10_000)])
    return a.astype(dtype)[:, None]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted({*ULP} - {"sin"}))
def test_functions_keep_their_bounds(name, dtype):
    """The sine is tried as part of those of turns."""
    a = np.abs(arguments(name, dtype)) if name == "sqrt" else arguments(name, dtype)
    want = Operators(dtype)
    found = getattr(want, name)(want.real(a.astype(np.float64)))
    got = ran(of(name), a)
    assert (np.abs(got - found.value) <= found.error).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_at_the_ends(name, dtype):
    """As NumPy has them: NaN, zeros, where a function overflows, and infinity."""
    a = np.array([[np.nan, 0.0, -0.0, np.inf, -np.inf, 1.0, -1.0, -1.5, 800, -800]], dtype)
    if dtype == "float32" and name in ("cos_turns", "sin_turns"):
        a = a[:, :8]
    with np.errstate(all="ignore"):
        want = getattr(NUMPY, name)(a)
    got = ran(of(name), a)
    # subnormal results may be left, and some are: exp(-800) is 0 or next to it
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_nan_wins(name, dtype):
    a, b = (g.ravel()[None].astype(dtype) for g in np.meshgrid(*[[np.nan, -1, 2, np.inf]] * 2))
    want = getattr(NUMPY, name)(a, b)
    np.testing.assert_array_equal(ran(lambda xp, a, b: getattr(xp, name)(a, b), a, b), want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_of_a_row_is_nan_if_one_is(dtype):
    a = np.array([[1, np.nan, 3, 4, 5, 6, 7, 8.5], [*range(7), np.nan], [*range(8)]], dtype)
    np.testing.assert_array_equal(ran(of("row_max"), a, width=1), [[np.nan], [np.nan], [7]])


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "=="])
def test_comparisons_are_false_at_nan(sign):
    compare = {
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
        "==": lambda a, b: a == b,
    }[sign]
    a, b = (g.ravel()[None].astype("f4") for g in np.meshgrid(*[[np.nan, -1, 2, np.inf]] * 2))
    got = ran(lambda xp, a, b: xp.where(compare(a, b), 1.0, 0.0), a, b)
    np.testing.assert_array_equal(got, compare(a, b).astype("f4"))

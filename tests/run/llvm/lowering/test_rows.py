from __future__ import annotations

import itertools

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.expr.trace import trace
from backhand.formulas.losses import LOSSES
from backhand.run.llvm.ir.builder import define, ir
from backhand.run.llvm.ir.simd import Lanes
from backhand.run.llvm.lowering.rows import emit_row
from backhand.run.llvm.machine.target import Target
from backhand.run.namespaces import NUMPY

from ..native_formulas import TARGETS, map_rows, same_bits

COLUMNS = (1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 65, 100, 1000)
ROWS = 3
DTYPES = [np.float32, np.float64]


def virtual_sum(row):
    """The sum of a row in the order that `rows` states."""
    sums = [row.dtype.type(-0.0)] * 16
    for k, value in enumerate(row):
        sums[k % 16] = sums[k % 16] + value
    for half in (8, 4, 2, 1):
        sums = [sums[i] + sums[i + half] for i in range(half)]
    return sums[0]


def data(loss, columns, dtype):
    rng = np.random.default_rng(columns)
    z = 3 * rng.standard_normal((ROWS, columns))
    t = {
        "class": lambda: rng.integers(0, columns, (ROWS, 1)).astype(np.int32),
        "probability": lambda: rng.uniform(0, 1, z.shape),
        "count": lambda: rng.poisson(2.0, z.shape),
        "positive": lambda: rng.gamma(2.0, 1.0, z.shape),
        "real": lambda: rng.standard_normal(z.shape),
    }[loss.target]()
    return {"z": z.astype(dtype), "t": t if loss.by_row else t.astype(dtype)}


def cases(columns, parts):
    """Every loss in every dtype with a part of the numbers of columns; all are a campaign."""
    for number, (name, dtype) in enumerate(itertools.product(LOSSES, DTYPES)):
        part = columns[number % parts :: parts]
        yield pytest.param(name, dtype, part, id=f"{name}-{dtype.__name__}")
        whole = f"{name}-{dtype.__name__}-all"
        yield pytest.param(name, dtype, columns, id=whole, marks=pytest.mark.campaign)


@pytest.mark.parametrize(("name", "dtype", "several"), [*cases(COLUMNS, 3)])
def test_losses_agree_with_numpy_and_between_instruction_sets(name, dtype, several):
    loss = LOSSES[name]

    def formula(xp, z, t, **parameters):
        return (
            loss.value(xp, z, t, **parameters),
            loss.grad(xp, z, t, **parameters),
            loss.inverse_link(xp, z),
        )

    kind = "index" if loss.by_row else "real"
    graph = trace(formula, [("z", "real"), ("t", kind)], loss.keywords)
    for columns in several:
        arrays = data(loss, columns, dtype)
        with np.errstate(all="ignore"):
            exact = {k: v if v.dtype.kind == "i" else v.astype(float) for k, v in arrays.items()}
            want = formula(NUMPY, exact["z"], exact["t"], **loss.keywords)
        results = [
            map_rows(graph, dtype, arrays, columns, Target.named(target)) for target in TARGETS
        ]
        results = results or [map_rows(graph, dtype, arrays, columns)]
        for got, expected in zip(results[0], want, strict=True):
            scale = np.finfo(dtype).eps * max(1.0, float(np.abs(expected).max()))
            assert np.abs(got - expected).max() <= 20 * scale, (columns, got, expected)
        for other in results[1:]:
            assert all(same_bits(a, b) for a, b in zip(results[0], other, strict=True)), columns


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", COLUMNS)
def test_a_row_is_summed_in_the_stated_order(columns, dtype):
    graph = trace(lambda xp, z: xp.row_sum(z), [("z", "real")])
    z = np.random.default_rng(columns).standard_normal((ROWS, columns)).astype(dtype)
    (got,) = map_rows(graph, dtype, {"z": z}, columns)
    want = np.array([[virtual_sum(row)] for row in z])
    assert same_bits(got, want)


@pytest.mark.parametrize("columns", [1, 10, 100])
@pytest.mark.parametrize("place", [0, -1])
def test_the_largest_of_a_row_and_its_nan(columns, place):
    graph = trace(lambda xp, z: xp.row_max(z), [("z", "real")])
    z = np.random.default_rng(0).standard_normal((ROWS, columns))
    z[1] = -np.inf
    z[2, place] = np.nan
    (got,) = map_rows(graph, np.float64, {"z": z}, columns)
    np.testing.assert_array_equal(got, z.max(axis=1, keepdims=True))


@pytest.mark.parametrize("columns", [2, 10, 100, 1000])
def test_logits_that_would_overflow(columns):
    loss = LOSSES["softmax_cross_entropy"]
    graph = trace(loss.value, [("z", "real"), ("t", "index")])
    z = np.linspace(-1e4, 1e4, columns, dtype=np.float32)[None].repeat(2, 0)
    (got,) = map_rows(graph, np.float32, {"z": z, "t": [[0], [columns - 1]]}, columns)
    np.testing.assert_allclose(got[:, 0], [2e4, 0], atol=1e-3)


def test_stages_and_what_is_the_same_in_a_row():
    loss = LOSSES["softmax_cross_entropy"]
    value = trace(loss.value, [("z", "real"), ("t", "index")])
    grad = trace(loss.grad, [("z", "real"), ("t", "index")])
    assert value.stages == grad.stages == 2
    assert value.uniform == (True,)
    assert grad.uniform == (False,)


def test_reductions_of_reductions_and_scalars():
    def formula(xp, z, scale):
        centred = z - xp.row_sum(z) / 40.0
        spread = xp.sqrt(xp.row_sum(centred * centred) / 40.0)
        return scale * centred / spread, spread, xp.row_max(z) - -xp.row_max(-z)

    graph = trace(formula, [("z", "real"), ("scale", "scalar")])
    assert graph.stages == 2
    z = np.random.default_rng(2).standard_normal((ROWS, 40))
    scale = np.array([[2.0], [3.0], [4.0]])
    got = map_rows(graph, np.float64, {"z": z, "scale": scale}, 40)
    for a, b in zip(got, formula(NUMPY, z, scale), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_code_does_not_grow_with_the_row():
    loss = LOSSES["softmax_cross_entropy"]
    graph = trace(loss.grad, [("z", "real"), ("t", "index")])
    lengths = [emitted_length(graph, columns) for columns in (100, 4096 + 4)]
    assert lengths[1] <= 1.2 * lengths[0]


def emitted_length(graph, columns):
    pointer = ir.PointerType()
    kinds = [pointer if kind == "real" else ir.IntType(32) for kind in graph.inputs.values()]
    function, build = define(ir.Module(), "f", [*kinds, pointer])
    *inputs, out = function.args
    lanes = Lanes(build, "float32", 16)
    emit_row(graph, lanes, columns, dict(zip(graph.inputs, inputs, strict=True)), [out])
    return str(function).count(" = ")


@pytest.mark.parametrize(("lanes", "columns", "message"), [(3, 5, "got 3"), (4, 0, "got 0")])
def test_bad_sizes_are_refused(lanes, columns, message):
    graph = trace(lambda xp, z: xp.row_sum(z), [("z", "real")])
    _, build = define(ir.Module(), "f", [])
    with pytest.raises(InputError, match=message):
        emit_row(graph, Lanes(build, "float32", lanes), columns, {}, [])

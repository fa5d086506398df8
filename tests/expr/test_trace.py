from __future__ import annotations

import math

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.expr.trace import OPERATIONS, Trace, trace
from backhand.formulas import noise
from backhand.formulas.activations import ACTIVATIONS
from backhand.formulas.optimisers import OPTIMISERS
from backhand.run.llvm.machine.target import Target
from backhand.run.namespaces import NUMPY

from ..run.llvm.native_formulas import TARGETS, map_elements, same_bits

Z = [("z", "real")]
DTYPES = [np.float32, np.float64]


def relative_error(got, want, scale=1.0):
    return np.max(np.abs(got - want) / np.maximum(scale, np.abs(want)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_agree_with_numpy(name, dtype):
    entry = ACTIVATIONS[name]

    def formula(xp, z, dy, **parameters):
        y = entry.forward(xp, z, **parameters)
        return y, entry.vjp(xp, z, y, dy, **parameters)

    graph = trace(formula, [*Z, ("dy", "real")], entry.keywords)
    z = np.concatenate([np.linspace(-12, 12, 1001), [0.0, 1e-30, -1e-30, 100, -100]]).astype(dtype)
    dy = np.cos(np.arange(z.size)).astype(dtype)
    results = [
        map_elements(graph, dtype, {"z": z, "dy": dy}, Target.named(target)) for target in TARGETS
    ] or [map_elements(graph, dtype, {"z": z, "dy": dy})]
    want = formula(NUMPY, z.astype(float), dy.astype(float), **entry.keywords)
    # terms such as mish's z * (1 - t * t) count an error of t, a few ULP of 1, |z| times
    scale = np.maximum(1.0, np.abs(z))
    for got, expected in zip(results[0], want, strict=True):
        assert relative_error(got, expected, scale) <= 8 * np.finfo(dtype).eps
    for other in results[1:]:
        assert all(same_bits(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_agree_with_numpy(name, dtype):
    optimiser = OPTIMISERS[name]
    scalars = optimiser.scalars(3, 0.01, **optimiser.keywords)
    arrays = ("w", "g", *optimiser.state)
    graph = trace(optimiser.update, [(a, "real") for a in arrays], dict.fromkeys(scalars, "scalar"))
    rng = np.random.default_rng(0)
    values = {a: np.abs(rng.standard_normal(100)).astype(dtype) for a in arrays}
    got = map_elements(graph, dtype, {**values, **scalars})
    with np.errstate(all="ignore"):
        want = optimiser.update(NUMPY, *(v.astype(float) for v in values.values()), **scalars)
    for a, b in zip(got, want, strict=True):
        assert relative_error(a, b) <= 8 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
def test_noise_gives_the_words_of_numpy(dtype):
    def formula(xp, key, row, column):
        return noise.noise(xp, noise.row_key(xp, key, row), column)

    graph = trace(formula, [("key", "word"), ("row", "word"), ("column", "column")])
    key, row = 0xDEADBEEF, 7
    (got,) = map_elements(graph, dtype, {"key": key, "row": row}, words=True)
    words = [NUMPY.words(v) for v in (key, row, np.arange(16))]
    np.testing.assert_array_equal(got, formula(NUMPY, *words))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_drops_what_numpy_drops(dtype):
    def formula(xp, y, key, column):
        words = noise.noise(xp, key, column)
        return noise.dropout(xp, y, words, noise.threshold(0.3), noise.kept_scale(0.3))

    graph = trace(formula, [("y", "real"), ("key", "word"), ("column", "column")])
    y = np.ones(4096, dtype)
    (got,) = map_elements(graph, dtype, {"y": y, "key": 99})
    words = noise.noise(NUMPY, NUMPY.words(99), NUMPY.words(np.arange(4096)))
    want = noise.dropout(NUMPY, y, words, noise.threshold(0.3), noise.kept_scale(0.3))
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert 0.27 < (got == 0).mean() < 0.33


def test_constants_are_folded_and_rounded_once():
    def formula(xp, z):
        return z * xp.sqrt(2.0) + xp.minimum(1.0, xp.exp(0.0)) + np.float64(0.1)

    graph = trace(formula, Z)
    assert [n.detail for n in graph.nodes if n.op == "constant"] == [math.sqrt(2.0), 1.0, 0.1]
    (got,) = map_elements(graph, np.float32, {"z": np.ones(3)})
    one = np.float32(1.0)
    assert got[0] == one * np.float32(math.sqrt(2.0)) + one + np.float32(0.1)


def test_constants_in_turns_are_folded():
    graph = trace(lambda xp, z: z * xp.cos_turns(1e9 + 0.25) + xp.sin_turns(-0.25), Z)
    assert [n.detail for n in graph.nodes if n.op == "constant"] == [0.0, -1.0]


def test_equal_terms_are_one_and_unread_ones_none():
    def formula(xp, z, y):
        xp.tanh(y)
        return xp.exp(-z) + xp.exp(-z) * (0.0 + z) + (-0.0 + z)

    graph = trace(formula, [*Z, ("y", "real")])
    assert sum(n.op == "exp" for n in graph.nodes) == 1
    assert not any(n.op == "tanh" for n in graph.nodes)
    assert sum(n.op == "constant" for n in graph.nodes) == 2  # 0.0 and -0.0
    assert graph.inputs == {"z": "real"}
    assert "exp(" in str(graph)


def branching(xp, z):
    return z if z > 0 else 0.0


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (branching, r"'branching' branches on data.*xp\.where"),
        (lambda xp, z: max(z, 0.0), "branches on data"),
        (lambda xp, z: xp.sin(z), r"uses xp\.sin; formulas may use: \+ -"),
        (lambda xp, z: z**2, r"uses \*\* on vectors"),
        (lambda xp, z: 2**z, r"uses \*\* on vectors"),
        (lambda xp, z: z @ z, r"uses @ on vectors"),
        (lambda xp, z: z.sum(), r"uses \.sum"),
        (lambda xp, z: z[0], "uses indexing"),
        (lambda xp, z: xp.where(z != 0, z, 0.0), "uses !="),
        (lambda xp, z: (z > 0) * z, r"uses \* on masks|gives mul a mask"),
        (lambda xp, z: z * (z > 0), "gives mul a mask; it takes a real"),
        (lambda xp, z: xp.where((z > 0) & (z < 1), z, 0.0), "uses & on masks"),
        (lambda xp, z: xp.where(z, z, 0.0), "gives xp.where a real; it takes a mask"),
        (lambda xp, z: z + "1", "it takes a real or a Python number"),
        (lambda xp, z: np.sin(z), "cannot be compiled"),
        (lambda xp, z: math.exp(z), "branches on data"),
        (lambda xp, z: xp.exp(z, z), "cannot be compiled"),
        (lambda xp, z: None, "it takes a real"),
    ],
)
def test_a_formula_that_may_not_be_is_told_why(formula, message):
    with pytest.raises(InputError, match=message):
        trace(formula, Z)


def test_a_value_of_an_earlier_call_is_refused():
    kept = []
    trace(lambda xp, z: kept.append(z) or z, Z)
    with pytest.raises(InputError, match="earlier call"):
        trace(lambda xp, z: z + kept[0], Z)


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="kind 'complex'"):
        trace(lambda xp, z: z, [("z", "complex")])


def test_the_namespace_has_the_whole_list():
    names = [name for name in OPERATIONS if name[0].isalpha()]
    assert all(callable(getattr(Trace(), name)) for name in names)
    from backhand.formulas.namespace import Namespace

    assert sorted(names) == sorted(name for name in vars(Namespace) if name[0] != "_")

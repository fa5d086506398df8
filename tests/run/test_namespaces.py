"""Every namespace means what `backhand.formulas.namespace` says, operation by operation."""

from __future__ import annotations

import inspect
import math

import mpmath
import numpy as np
import pytest
from scipy import sparse

from backhand.errors import InputError
from backhand.formulas.namespace import Namespace
from backhand.run.namespaces import (
    NUMPY,
    NumpyNamespace,
    TorchNamespace,
    is_sparse,
    is_tensor,
    namespace_of,
    stored_rows,
)
from backhand.testing import assert_near

OPERATIONS = {
    name for name, _ in inspect.getmembers(Namespace, inspect.isfunction) if name[0] != "_"
}
INF, NAN = math.inf, math.nan


def autograd_namespace():
    import autograd.numpy
    import autograd.scipy.special

    return NumpyNamespace(autograd.numpy, autograd.scipy.special.erf)


def torch_namespace():
    import torch  # noqa: F401  # the namespace finds it in sys.modules

    return TorchNamespace()


@pytest.fixture(params=["numpy", "autograd", pytest.param("torch", marks=pytest.mark.torch)])
def xp(request):
    """A namespace, with ``array``: how it makes an array."""
    made = {"numpy": lambda: NUMPY, "autograd": autograd_namespace, "torch": torch_namespace}
    namespace = made[request.param]()

    def array(values, dtype="float64"):
        a = np.array(values, dtype)
        if request.param == "torch":
            import torch

            return torch.tensor(a)
        return a

    namespace.array = array
    return namespace


def test_has_every_operation(xp):
    assert {name for name in OPERATIONS if callable(getattr(xp, name, None))} == OPERATIONS
    assert len(OPERATIONS) == 22


EXACT = {
    "abs": mpmath.fabs,
    "cos_turns": lambda a: mpmath.cospi(2 * a),
    "sin_turns": lambda a: mpmath.sinpi(2 * a),
    **{name: getattr(mpmath, name) for name in ("exp", "expm1", "tanh", "erf")},
    **{name: getattr(mpmath, name) for name in ("log", "log1p", "sqrt")},
}
POINTS = [*-np.geomspace(50, 1e-9, 40), 0.0, *np.geomspace(1e-9, 50, 40)]


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_functions_are_accurate_to_a_few_ulp(xp, name, dtype):
    lowest = {"log": 1e-9, "sqrt": 0.0, "log1p": -0.9}.get(name, -np.inf)
    a = np.array([v for v in POINTS if v >= lowest], dtype)
    with mpmath.workdps(40):
        want = np.array([float(EXACT[name](mpmath.mpf(float(v)))) for v in a])
    got = getattr(xp, name)(xp.array(a, dtype))
    got = np.asarray(got)
    assert got.dtype == dtype
    assert_near(got, want, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # infinities are asked for
@pytest.mark.parametrize(
    ("name", "value", "want"),
    [
        ("exp", -INF, 0),
        ("exp", 1e4, INF),
        ("expm1", -INF, -1),
        ("log", 0, -INF),
        ("log", -1, NAN),
        ("log1p", -1, -INF),
        ("sqrt", -1, NAN),
        ("tanh", 1e4, 1),
        ("tanh", -INF, -1),
        ("erf", 1e4, 1),
        ("erf", -INF, -1),
        ("abs", -INF, INF),
        *((name, end, NAN) for name in ("cos_turns", "sin_turns") for end in (-INF, INF)),
        *((name, NAN, NAN) for name in EXACT),
    ],
)
def test_ends_and_nan(xp, name, value, want):
    got = float(getattr(xp, name)(xp.array([value]))[0])
    assert got == want or (math.isnan(got) and math.isnan(want))


@pytest.mark.parametrize("name", ["cos_turns", "sin_turns"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_turns_keep_their_digits_near_zeros_and_far_out(xp, name, dtype):
    eighths = (np.arange(-40, 41) / 8).astype(dtype)
    near = [np.nextafter(eighths, np.array(end, dtype)) for end in (-INF, INF)]
    big = 2.0 ** np.linspace(0, np.finfo(dtype).maxexp - 1, 300)
    a = np.concatenate([eighths, *near, big, -big]).astype(dtype)
    with mpmath.workdps(40):
        want = np.array([float(EXACT[name](mpmath.mpf(float(v)))) for v in a])
    got = np.asarray(getattr(xp, name)(xp.array(a, dtype)))
    assert got.dtype == dtype
    assert_near(got, want, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


def test_rounding_takes_halves_to_even(xp):
    a = xp.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.499, 2.0**52 + 1, -INF, NAN])
    want = [-2, -2, 0, 0, 2, 2, 0, 2.0**52 + 1, -INF, NAN]
    np.testing.assert_array_equal(np.asarray(xp.round(a)), want)


@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_minimum_and_maximum_pass_nan_on(xp, name):
    a = xp.array([NAN, 1.0, -3.0, INF], "float32")
    choose = {"minimum": min, "maximum": max}[name]
    got = np.asarray(getattr(xp, name)(a, 0.5))
    assert got.dtype == np.float32, "a Python number changed the precision"
    assert np.array_equal(got, [NAN, choose(1, 0.5), choose(-3, 0.5), choose(INF, 0.5)], True)
    both = getattr(xp, name)(xp.array([1.0, NAN]), xp.array([NAN, 1.0]))
    assert np.isnan(np.asarray(both)).all()


def test_where_does_not_let_the_other_side_through(xp):
    a = xp.array([-1.0, 0.0, 2.0, NAN], "float32")
    got = np.asarray(xp.where(a > 0, a, 0.0))
    assert got.dtype == np.float32
    assert got.tolist() == [0, 0, 2, 0]
    got = xp.where(xp.array([True, False], bool), xp.array([1.0, NAN]), xp.array([INF, 2.0]))
    assert np.asarray(got).tolist() == [1, 2]


def test_rows(xp):
    a = xp.array([[1.0, 5.0, -2.0], [NAN, 1.0, 2.0]])
    assert np.array_equal(np.asarray(xp.row_sum(a)), [[4.0], [NAN]], True)
    assert np.array_equal(np.asarray(xp.row_max(a)), [[5.0], [NAN]], True)
    got = xp.is_column(xp.array([[2], [0]], "int64"), a)
    assert np.asarray(got).tolist() == [[False, False, True], [True, False, False]]


def test_words_are_numbers_modulo_2_to_the_32(xp, rng):
    a, b = (rng.integers(0, 2**32, 1000) for _ in range(2))
    a[:2], b[:2] = 2**32 - 1, (2**32 - 1, 0)
    like = xp.array([0.0])
    x, y = xp.words(a, like=like), xp.words(b, like=like)
    constant = 0x9E3779B1

    def same(got, want):
        assert [int(v) for v in got] == [w % 2**32 for w in want]

    pairs = [(int(p), int(q)) for p, q in zip(a, b, strict=True)]
    same(xp.u32_multiply(x, y), [p * q for p, q in pairs])
    same(xp.u32_multiply(x, constant), [p * constant for p, _ in pairs])
    same(xp.u32_high(x, y), [p * q >> 32 for p, q in pairs])
    same(xp.u32_high(x, constant), [p * constant >> 32 for p, _ in pairs])
    same(xp.u32_xor(x, y), [p ^ q for p, q in pairs])
    same(xp.u32_shift(x, 15), [p >> 15 for p, _ in pairs])
    same(xp.u32_below(x, y), [p < q for p, q in pairs])
    same(xp.u32_below(x, 2**31), [p < 2**31 for p, _ in pairs])


def test_scalar_words_do_not_warn(xp):
    word = xp.words(2**32 - 1, like=xp.array([0.0]))
    assert int(xp.u32_multiply(word, 3)[0]) == (3 * (2**32 - 1)) % 2**32


def test_cast_copies_only_if_it_must(xp):
    a = xp.array([1, 2, 250], "uint8")
    got = xp.cast(a, "float32")
    assert np.asarray(got).dtype == np.float32
    assert np.asarray(got).tolist() == [1, 2, 250]
    assert xp.cast(got, "float32") is got


@pytest.mark.torch
def test_finds_the_namespace_of_an_array():
    import torch

    assert is_tensor(torch.zeros(1))
    assert isinstance(namespace_of(torch.zeros(1)), TorchNamespace)
    assert not is_tensor(np.zeros(1))
    assert namespace_of(np.zeros(1)) is NUMPY


def test_knows_sparse_matrices():
    from scipy import sparse

    assert is_sparse(sparse.csr_array(np.eye(2)))
    assert is_sparse(sparse.csc_matrix(np.eye(2)))
    assert not is_sparse(np.eye(2))


def test_stored_rows_are_in_order_and_the_callers_matrix_stays():
    indices, values = np.array([2, 0, 2, 1]), np.array([1.0, 2.0, 3.0, 4.0])
    x = sparse.csr_array((values.copy(), indices.copy(), [0, 3, 3, 4]), shape=(3, 4))
    rows = stored_rows(x)
    assert rows.has_canonical_format
    assert rows.indices.tolist() == [0, 2, 1]
    assert rows.data.tolist() == [2.0, 4.0, 4.0]
    assert np.array_equal(x.indices, indices)
    assert np.array_equal(x.data, values)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix])
def test_an_index_outside_the_matrix_is_refused(form):
    x = form(np.eye(3))
    x.indices[1] = 7
    with pytest.raises(ValueError, match="malformed sparse matrix"):
        stored_rows(x)


def damaged(form, change):
    x = sparse.csr_matrix(np.eye(4)).asformat(form)
    change(x)
    return x


def write(name, place, value):
    def change(x):
        getattr(x, name)[place] = value

    return change


def put(name, make):
    return lambda x: setattr(x, name, make(getattr(x, name)))


DAMAGES = {
    "csr column": ("csr", write("indices", 1, 4)),
    "csr negative column": ("csr", write("indices", 1, -1)),
    "csr indptr beyond": ("csr", write("indptr", -1, 2**29)),
    "csr indptr of floats": ("csr", put("indptr", lambda a: a + 0.5)),
    "csr indices of floats": ("csr", put("indices", lambda a: a + 0.5)),
    "csr short data": ("csr", put("data", lambda a: a[:-1])),
    "csc row": ("csc", write("indices", 1, 4)),
    "csc shape": ("csc", put("_shape", lambda a: (4, 6))),
    "bsr block": ("bsr", write("indices", 0, 9)),
    "bsr indptr beyond": ("bsr", write("indptr", -1, 2**29)),
    "bsr indices of floats": ("bsr", put("indices", lambda a: a + 0.5)),
    "bsr shape": ("bsr", put("_shape", lambda a: (5, 4))),
    "bsr flat data": ("bsr", put("data", np.ravel)),
    "coo short data": ("coo", put("data", lambda a: a[:-1])),
    "coo row": ("coo", write("row", 0, -5000)),
    "coo column": ("coo", write("col", 0, 2**30)),
    "dia offsets": ("dia", put("offsets", lambda a: np.append(a, 1))),
    "dia flat data": ("dia", put("data", np.ravel)),
    "lil column": ("lil", lambda x: x.rows[0].__setitem__(0, 2**30)),
    "lil values": ("lil", lambda x: x.data[0].append(1.0)),
    "lil lists": ("lil", put("rows", lambda a: a[:-1])),
    "dok key": ("dok", lambda x: x._dict.__setitem__((0, 9), 1.0)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_to_any_sparse_format_is_seen_before_scipy_follows_an_index(name):
    with pytest.raises(
        InputError, match=r"x is a malformed sparse matrix \(.*\): rebuild it"
    ) as caught:
        stored_rows(damaged(*DAMAGES[name]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
@pytest.mark.parametrize("shape", [(4, 6), (0, 6), (4, 0)])
def test_healthy_matrices_of_any_sparse_format_become_rows(form, shape):
    dense = np.where(np.random.default_rng(0).random(shape) < 0.5, 1.5, 0)
    rows = stored_rows(sparse.csr_matrix(dense).asformat(form))
    assert rows.format == "csr"
    np.testing.assert_array_equal(rows.toarray(), dense)

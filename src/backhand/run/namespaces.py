"""The array namespaces that formulas are run with: NumPy, autograd and PyTorch.

Each implements the list of `backhand.formulas.namespace`, whose docstring says what each
operation means.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import InputError, first_line
from ..formulas import turns

Array = Any


UNARY = ("abs", "sqrt", "round", "exp", "expm1", "log", "log1p", "tanh", "cos")


class NumpyNamespace:
    """Formulas over NumPy, or over a module that wraps it such as ``autograd.numpy``."""

    def __init__(self, module: ModuleType = np, erf: Any = None) -> None:
        self._np = module
        self._erf = erf
        for name in (*UNARY, "where", "minimum", "maximum"):
            setattr(self, name, getattr(module, name))

    def erf(self, a: Array) -> Array:
        if self._erf is None:  # scipy.special takes a while to import, and few networks need it
            from scipy.special import erf

            self._erf = erf
        return self._erf(a)

    def cos_turns(self, a: Array) -> Array:
        return turns.cosine(self._np, a)

    def sin_turns(self, a: Array) -> Array:
        return turns.sine(self._np, a)

    def row_sum(self, a: Array) -> Array:
        return self._np.sum(a, axis=-1, keepdims=True)

    def row_max(self, a: Array) -> Array:
        return self._np.max(a, axis=-1, keepdims=True)

    def is_column(self, t: Array, z: Array) -> Array:
        return np.asarray(t) == np.arange(z.shape[-1])

    def u32_multiply(self, a: Array, b: Array | int) -> Array:
        return a * np.asarray(b, np.uint32)

    def u32_high(self, a: Array, b: Array | int) -> Array:
        return (a.astype(np.uint64) * np.asarray(b, np.uint64) >> np.uint64(32)).astype(np.uint32)

    def u32_xor(self, a: Array, b: Array | int) -> Array:
        return a ^ np.asarray(b, np.uint32)

    def u32_shift(self, a: Array, n: int) -> Array:
        return a >> np.uint32(n)

    def u32_below(self, a: Array, b: Array | int) -> Array:
        return a < np.asarray(b, np.uint32)

    # what an executor needs besides ------------------------------------------------------------

    def words(self, values: Any, like: Array = None) -> Array:
        """32-bit words from integers; always an array, since NumPy warns at scalars that wrap."""
        return np.atleast_1d(np.asarray(values, np.uint32))

    def cast(self, a: Array, dtype: str) -> Array:
        return a.astype(dtype, copy=False)

    def product(self, left: Array, right: Array, bias: Array | None) -> Array:
        """``left @ right + bias``."""
        return left @ right if bias is None else left @ right + bias

    def indices(self, a: Array) -> Array:
        """Whole numbers as what can index an array."""
        return np.asarray(getattr(a, "_value", a)).astype(np.int64)  # autograd's hold a value

    def side_by_side(self, parts: list[Array]) -> Array:
        """(N, K) arrays as one, in order."""
        return self._np.concatenate(parts, axis=1)

    def cumulated(self, a: Array, reverse: bool) -> Array:
        """Sums along the last axis but one, up to and with each element; or from it on."""
        if reverse:
            return self._np.cumsum(a[..., ::-1, :], axis=-2)[..., ::-1, :]
        return self._np.cumsum(a, axis=-2)

    def scatter_add(self, shape: tuple[int, ...], index: tuple[Array, ...], a: Array) -> Array:
        """Zeros, with each row of ``a`` added at its place, in order."""
        out = np.zeros(shape, a.dtype)
        np.add.at(out, index, a)
        return out


class TorchNamespace:
    """Formulas over PyTorch tensors, so that autograd has something to differentiate."""

    def __init__(self) -> None:
        self._torch: Any = sys.modules["torch"]  # whoever has a tensor has imported it
        special = self._torch.special
        for name in UNARY:
            setattr(self, name, getattr(self._torch, name))
        self.erf = special.erf

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        return self._torch.where(condition, a, b)

    def _pair(self, a: Array, b: Array) -> tuple[Array, Array]:
        return a, self._torch.as_tensor(b, dtype=a.dtype, device=a.device)

    def minimum(self, a: Array, b: Array) -> Array:
        return self._torch.minimum(*self._pair(a, b))

    def maximum(self, a: Array, b: Array) -> Array:
        return self._torch.maximum(*self._pair(a, b))

    def cos_turns(self, a: Array) -> Array:
        return turns.cosine(self._torch, a)

    def sin_turns(self, a: Array) -> Array:
        return turns.sine(self._torch, a)

    def row_sum(self, a: Array) -> Array:
        return a.sum(-1, keepdim=True)

    def row_max(self, a: Array) -> Array:
        return a.amax(-1, keepdim=True)

    def is_column(self, t: Array, z: Array) -> Array:
        return t == self._torch.arange(z.shape[-1], device=z.device)

    # words are held in int64, whose products wrap modulo 2**64 and keep the low 32 bits right

    def u32_multiply(self, a: Array, b: Array | int) -> Array:
        return (a * b) & 0xFFFFFFFF

    def u32_high(self, a: Array, b: Array | int) -> Array:
        return (a * b >> 32) & 0xFFFFFFFF

    def u32_xor(self, a: Array, b: Array | int) -> Array:
        return a ^ b

    def u32_shift(self, a: Array, n: int) -> Array:
        return a >> n

    def u32_below(self, a: Array, b: Array | int) -> Array:
        return a < b

    def words(self, values: Any, like: Array) -> Array:
        words = self._torch.as_tensor(np.asarray(values, np.int64), device=like.device)
        return self._torch.atleast_1d(words)

    def cast(self, a: Array, dtype: str) -> Array:
        return a.to(getattr(self._torch, dtype))

    def product(self, left: Array, right: Array, bias: Array | None) -> Array:
        return left @ right if bias is None else left @ right + bias

    def indices(self, a: Array) -> Array:
        return self._torch.as_tensor(a).detach().long()

    def side_by_side(self, parts: list[Array]) -> Array:
        return self._torch.cat(parts, dim=1)

    def cumulated(self, a: Array, reverse: bool) -> Array:
        return a.flip(-2).cumsum(-2).flip(-2) if reverse else a.cumsum(-2)

    def scatter_add(self, shape: tuple[int, ...], index: tuple[Array, ...], a: Array) -> Array:
        out = self._torch.zeros(shape, dtype=a.dtype, device=a.device)
        return out.index_put(index, a, accumulate=True)


NUMPY: Any = NumpyNamespace()


def is_tensor(a: Any) -> bool:
    """Whether ``a`` is a PyTorch tensor, without importing PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(a, torch.Tensor)


def is_sparse(a: Any) -> bool:
    """Whether ``a`` is a sparse matrix or array of SciPy's, without importing SciPy."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(a))


def stored_rows(x: Array) -> Array:
    """The rows of a sparse matrix as CSR, in order and without duplicates; ``x`` stays as it is.

    Parameters
    ----------
    x : sparse matrix or array of SciPy's (N, D)
        In any format.

    Raises
    ------
    InputError
        If `check_stored` finds something wrong with it.
    """
    check_stored(x, "x")
    rows = x.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def check_stored(x: Array, name: str) -> None:
    """Check a sparse matrix before SciPy reads its arrays.

    SciPy converts formats without looking at indices, and reads and writes where they point.

    Parameters
    ----------
    x : sparse matrix or array of SciPy's (N, D)
        In any format.
    name : str
        What the message calls it.

    Raises
    ------
    InputError
        If its arrays do not fit each other or its shape, or it holds something else than real
        numbers.
    """
    if len(x.shape) != 2:
        raise InputError(f"{name} is sparse and has shape {x.shape}: rows and columns are needed")
    if x.dtype.kind not in "biuf":
        raise InputError(f"{name} has dtype {x.dtype}: real numbers are needed")
    try:
        _FORMATS[x.format](x)
    except Exception as error:  # whatever comes of arrays that somebody has replaced
        raise InputError(
            f"{name} is a malformed sparse matrix ({first_line(error)}): rebuild it"
        ) from None


def _check_compressed(x: Array) -> None:
    by_row = x.format == "csr"
    major, minor = x.shape if by_row else x.shape[::-1]
    _check_blocks(x, major, minor, "column" if by_row else "row")


def _check_bsr(x: Array) -> None:
    if x.data.ndim != 3 or 0 in x.data.shape[1:]:
        raise InputError(f"its data has shape {x.data.shape}, not that of blocks")
    (rows, left), (columns, beside) = map(divmod, x.shape, x.data.shape[1:])
    if left or beside:
        raise InputError(f"its shape {x.shape} is not made of blocks {x.data.shape[1:]}")
    _check_blocks(x, rows, columns, "block column")


def _check_blocks(x: Array, major: int, minor: int, name: str) -> None:
    if len(x.indptr) != major + 1:
        raise InputError(f"its indptr has {len(x.indptr)} elements, not {major + 1}")
    check_entries(x.indptr, x.indices, x.data, minor, name)


def _check_coo(x: Array) -> None:
    if not len(x.row) == len(x.col) == len(x.data):
        raise InputError(
            f"it has {len(x.row)} rows and {len(x.col)} columns of {len(x.data)} entries"
        )
    check_indices(x.row, x.shape[0], "row")
    check_indices(x.col, x.shape[1], "column")


def _check_dia(x: Array) -> None:
    if x.data.ndim != 2 or x.offsets.shape != x.data.shape[:1] or x.offsets.dtype.kind not in "iu":
        raise InputError(f"it has offsets {x.offsets.shape} of diagonals {x.data.shape}")


def _check_lil(x: Array) -> None:
    if not len(x.rows) == len(x.data) == x.shape[0]:
        raise InputError(
            f"it has {len(x.rows)} lists of columns and {len(x.data)} of values for "
            f"{x.shape[0]} rows"
        )
    for columns, values in zip(x.rows, x.data, strict=True):
        if len(columns) != len(values):
            raise InputError(f"a row has {len(columns)} columns of {len(values)} entries")
        if columns:
            check_indices(np.array(columns), x.shape[1], "column")


def _check_dok(x: Array) -> None:
    if len(x):
        row, column = np.array(list(x.keys())).T
        check_indices(row, x.shape[0], "row")
        check_indices(column, x.shape[1], "column")


_FORMATS = {
    **dict.fromkeys(("csr", "csc"), _check_compressed),
    "bsr": _check_bsr,
    "coo": _check_coo,
    "dia": _check_dia,
    "lil": _check_lil,
    "dok": _check_dok,
}
"""What looks at the arrays of a sparse matrix, by its format."""


def check_entries(
    indptr: Array, indices: Array, data: Array, size: int, name: str = "column"
) -> None:
    """Check that the entries of a compressed sparse matrix lie within their arrays, and in it.

    Parameters
    ----------
    indptr : (rows + 1,) of int
        Where the entries of each row (or column) begin.
    indices, data : (entries,)
        The column (or row) of each entry, and its value.
    size : int
        How many columns (or rows) there are.
    name : str
        What the message calls them.

    Raises
    ------
    InputError
        If one lies elsewhere.
    """
    stored = min(len(indices), len(data))
    if indptr.dtype.kind not in "iu" or indptr.ndim != 1:
        raise InputError(f"its indptr has dtype {indptr.dtype} and shape {indptr.shape}")
    if len(indptr) < 1 or indptr[0] < 0 or indptr[-1] > stored or (np.diff(indptr) < 0).any():
        raise InputError(f"its indptr does not rise from 0 to its {stored} entries")
    check_indices(indices, size, name)


def check_indices(indices: Array, size: int, name: str) -> None:
    """Check that indices lie in 0 .. size - 1. Raises InputError."""
    if indices.dtype.kind not in "iu":
        raise InputError(f"its {name} numbers have dtype {indices.dtype}")
    if indices.ndim != 1:
        raise InputError(f"its {name} numbers have shape {indices.shape}")
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < size:
        bad = indices[(indices < 0) | (indices >= size)][0]
        raise InputError(f"it has an entry in {name} {bad}, and there are 0 to {size - 1}")


def check_rows(counts: Mapping[str, int], order: Array | None = None) -> int:
    """How many rows arrays have, the same for all of them. Raises InputError.

    Parameters
    ----------
    counts : mapping of str to int
        The rows of each array, by its name.
    order : array of int, optional
        Numbers of rows, which must be rows that there are.
    """
    rows = min(counts.values())
    if rows != max(counts.values()):
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(f"arrays differ in their numbers of rows: {told}")
    if order is None or not len(order):
        return rows
    if not 0 <= int(order.min()) <= int(order.max()) < rows:
        bad = order[(order < 0) | (order >= rows)][0]
        raise InputError(f"the order of rows has {bad}, and there are rows 0 to {rows - 1}")
    return rows


def namespace_of(a: Any) -> Any:
    """The namespace for an array: PyTorch's for a tensor, else NumPy's."""
    return TorchNamespace() if is_tensor(a) else NUMPY

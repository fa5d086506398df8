"""The array namespaces that formulas are run with: NumPy, autograd and PyTorch.

Each implements the list of `backhand.formulas.namespace`, whose docstring says what each
operation means.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import InputError

Array = Any


UNARY = ("abs", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "cos")


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

    Raises
    ------
    InputError
        If its indices do not fit its shape.
    """
    try:
        if x.format in ("csr", "csc"):
            x.check_format(full_check=True)
    except ValueError as error:
        raise InputError(f"x is a damaged sparse matrix, make it anew: {error}") from None
    rows = x.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def namespace_of(a: Any) -> Any:
    """The namespace for an array: PyTorch's for a tensor, else NumPy's."""
    return TorchNamespace() if is_tensor(a) else NUMPY

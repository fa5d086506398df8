"""What programs give to the bit, by NumPy: each operation in the order and the rounding of theirs.

With FMA these are the bits of the machine executor; without, those of processors that round a
product before they add. Subnormal numbers are kept, which the machine executor takes for zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...expr.functions import DOUBLE, SINGLE, TABLE, Primitives
from ...expr.graph import FUNCTIONS
from ...expr.trace import is_number
from ...plan.nodes import MemberSum
from ...run.arrays import Values, perform
from ...run.namespaces import NumpyNamespace
from ..program import Stage
from .expressions import IDENTITY, LANES

Array = Any

WORDS = {"float32": np.uint32, "float64": np.uint64}


class Exact(NumpyNamespace):
    """Formulas over NumPy arrays, as programs compute them.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    fused : bool
        Whether the processor has FMA for it.
    """

    horner = Primitives.horner

    def __init__(self, dtype: str, fused: bool) -> None:
        super().__init__()
        del self.where, self.minimum, self.maximum  # NumPy's own, of this object
        self.dtype, self.fused = np.dtype(dtype), fused
        self.format = SINGLE if dtype == "float32" else DOUBLE
        for name in FUNCTIONS:
            setattr(self, name, self._function(name))

    def _function(self, name: str) -> Any:
        def function(a: Array) -> Array:
            return TABLE[name].formula(self, np.asarray(a, self.dtype))

        return function

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition, np.asarray(a, self.dtype), np.asarray(b, self.dtype))

    def fma(self, a: Array, b: Array, c: Array) -> Array:
        a, b, c = (np.asarray(v, self.dtype) for v in (a, b, c))
        if not self.fused:
            return a * b + c
        return _fma32(a, b, c) if self.format is SINGLE else _fma64(a, b, c)

    def copysign(self, a: Array, b: Array) -> Array:
        return np.copysign(a, b)

    def round(self, a: Array) -> Array:
        return np.rint(a)

    def bits(self, a: Array) -> Array:
        return np.asarray(a).view(WORDS[self.dtype.name])

    def real(self, a: Array) -> Array:
        return np.asarray(a).view(self.dtype)

    def minimum(self, a: Array, b: Array) -> Array:
        a, b = (b, a) if is_number(b) else (a, b)
        return self.where((a != a) | (a < b), a, b)

    def maximum(self, a: Array, b: Array) -> Array:
        a, b = (b, a) if is_number(b) else (a, b)
        return self.where((a != a) | (a > b), a, b)

    def _reduced(self, a: Array, op: str, combine: Any) -> Array:
        lanes = np.full((*a.shape[:-1], LANES), IDENTITY[op], self.dtype)
        for first in range(0, a.shape[-1], LANES):
            some = a[..., first : first + LANES]
            n = some.shape[-1]
            lanes[..., :n] = combine(lanes[..., :n], some)
        while lanes.shape[-1] > 1:
            half = lanes.shape[-1] // 2
            lanes = combine(lanes[..., :half], lanes[..., half:])
        return lanes

    def row_sum(self, a: Array) -> Array:
        return self._reduced(a, "row_sum", np.add)

    def row_max(self, a: Array) -> Array:
        return self._reduced(a, "row_max", self.maximum)

    def product(self, left: Array, right: Array, bias: Array | None) -> Array:
        """``left @ right + bias``: from the bias on, one fma after another."""
        shape = np.broadcast_shapes((*left.shape[:-1], 1), (*right.shape[:-2], 1, right.shape[-1]))
        total = np.zeros(shape, self.dtype)
        total = total if bias is None else total + bias
        for k in range(left.shape[-1]):
            total = self.fma(left[..., k : k + 1], right[..., k : k + 1, :], total)
        return total


def run_exactly(stage: Stage, given: Sequence[Array], fused: bool) -> Array:
    """What a stage gives for rows (N, K), to the bit.

    Parameters
    ----------
    stage : Stage
    given : sequence of array
    fused : bool
        Whether products and sums are rounded once.
    """
    at = {b.name: np.asarray(a, stage.dtype) for b, a in zip(stage.given, given, strict=True)}
    at |= {buffer.name: np.asarray(a) for buffer, a in stage.constants.items()}
    values = Values(at, Exact(stage.dtype, fused))
    with np.errstate(all="ignore"):
        for node in stage.nodes:
            if isinstance(node, MemberSum):  # in order, which NumPy does not promise
                source = values[node.source]
                total = source[:, 0]
                for member in range(1, source.shape[1]):
                    total = total + source[:, member]
                values[node.out] = total
            else:
                perform(node, values)
    return values[stage.result]


def _fma32(a: Array, b: Array, c: Array) -> Array:
    """By float64, which holds the product; a sum rounded to odd is then rounded right."""
    with np.errstate(all="ignore"):
        product, c = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
        return _odd(*_two_sum(product, c)).astype(np.float32)


def _fma64(a: Array, b: Array, c: Array) -> Array:
    """Boldo and Melquiond 2008, from sums and products with their errors."""
    with np.errstate(all="ignore"):
        high, low = _two_product(a, b)
        t, t_low = _two_sum(c, low)
        v, v_low = _two_sum(high, t)
        found = v + _odd(*_two_sum(t_low, v_low))
        plain = a * b + c
        return np.where(np.isfinite(found), found, plain)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum and its error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded product and its error (Dekker, Veltkamp)."""
    product = a * b
    (a1, a2), (b1, b2) = _split(a), _split(b)
    return product, a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2)


def _split(a: Array) -> tuple[Array, Array]:
    scaled = a * 134217729.0  # 2**27 + 1
    high = scaled - (scaled - a)
    return high, a - high


def _odd(total: Array, error: Array) -> Array:
    """A sum rounded to odd: where it is not exact and even, its neighbour towards the error."""
    inexact = np.isfinite(total) & (error != 0)
    even = (np.asarray(total).view(np.uint64) & 1) == 0
    neighbour = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where(inexact & even, neighbour, total)

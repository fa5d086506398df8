"""How far apart two right evaluations of a formula may be: a running bound on rounding errors.

A formula is run once more, with numbers that carry a bound. `Rounded.value` is what NumPy computes
in float64, and `Rounded.error` says how far from it a kernel may end that works in ``dtype``, does
the same operations, with zeros for subnormal numbers, and keeps the bounds beside the vector
functions. What goes into an operation widens its bound by the operation's slope, and its own
rounding is added, NumPy's included. For the functions that are increasing, the ends of an interval
bound what comes out of it; for the cosine and sine of turns, their slope and curvature do.

An infinity or NaN has no bound: a kernel must give the same.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..run.namespaces import NUMPY

Array = Any

NUMPY_ULP = 4.0
"""What NumPy and SciPy are taken to keep for their functions; they state no less."""


PERIODIC = {"cos_turns": "sin_turns", "sin_turns": "cos_turns"}
"""The functions that rise and fall, each with the one that its slope is made of."""

FUNCTIONS = ("exp", "expm1", "log", "log1p", "tanh", "erf", *PERIODIC)
"""The functions of formulas that are not correctly rounded."""


def terms(count: int, dtype: Any) -> float:
    """Largest relative error of a sum of ``count`` products in any order, ``gamma`` of Higham 2002.

    It is ``n u / (1 - n u)`` with the unit roundoff u.
    """
    u = count * float(np.finfo(dtype).eps) / 2
    return u / (1 - u)


def spacing(value: Array, dtype: Any) -> Array:
    """The unit in the last place of numbers of ``dtype``: their distance at a value, as float64."""
    clipped = np.minimum(np.abs(value), float(np.finfo(dtype).max))
    return np.spacing(np.asarray(clipped).astype(dtype)).astype(np.float64)


class Truth:
    """Booleans, and where they are beyond doubt."""

    def __init__(self, value: Array, certain: Array) -> None:
        self.value, self.certain = value, certain


class Rounded:
    """Numbers and a bound on how far a kernel may be from each."""

    __array_ufunc__ = None  # arrays leave arithmetic with these to them

    def __init__(self, xp: Rounding, value: Array, error: Array = 0.0) -> None:
        self.xp = xp
        self.value = np.asarray(value, np.float64)
        self.error = np.broadcast_to(np.asarray(error, np.float64), self.value.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    @property
    def ndim(self) -> int:
        return self.value.ndim

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, places: Any) -> Rounded:
        return Rounded(self.xp, self.value[places], self.error[places])

    def reshape(self, *shape: int) -> Rounded:
        return Rounded(self.xp, self.value.reshape(*shape), self.error.reshape(*shape))

    @property
    def T(self) -> Rounded:  # noqa: N802  # the name that arrays use
        return self.swapaxes(0, 1)

    def swapaxes(self, a: int, b: int) -> Rounded:
        return Rounded(self.xp, self.value.swapaxes(a, b), self.error.swapaxes(a, b))

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Rounded:
        count = self.value.size if axis is None else self.value.shape[axis]
        size = (np.abs(self.value) + self.error).sum(axis, keepdims=keepdims)
        error = self.error.sum(axis, keepdims=keepdims) + self.xp.terms(count) * size
        return self.xp.number(self.value.sum(axis, keepdims=keepdims), error)

    def __add__(self, other: Any) -> Rounded:
        other = self.xp.real(other)
        return self.xp.rounded(self.value + other.value, self.error + other.error)

    __radd__ = __add__

    def __neg__(self) -> Rounded:
        return Rounded(self.xp, -self.value, self.error)

    def __sub__(self, other: Any) -> Rounded:
        return self + -self.xp.real(other)

    def __rsub__(self, other: Any) -> Rounded:
        return self.xp.real(other) - self

    def __mul__(self, other: Any) -> Rounded:
        b = self.xp.real(other)
        error = np.abs(self.value) * b.error + (np.abs(b.value) + b.error) * self.error
        return self.xp.rounded(self.value * b.value, error)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Rounded:
        b = self.xp.real(other)
        least = np.abs(b.value) - b.error
        quotient = self.value / b.value
        error = np.where(least > 0, (self.error + np.abs(quotient) * b.error) / least, np.inf)
        return self.xp.rounded(quotient, np.where(self.error + b.error > 0, error, 0.0))

    def __rtruediv__(self, other: Any) -> Rounded:
        return self.xp.real(other) / self

    def _compared(self, other: Any, compare: Any) -> Truth:
        b = self.xp.real(other)
        doubt = self.error + b.error
        certain = (doubt == 0) | (np.abs(self.value - b.value) > doubt)
        return Truth(compare(self.value, b.value), certain)

    def __lt__(self, other: Any) -> Truth:
        return self._compared(other, np.less)

    def __le__(self, other: Any) -> Truth:
        return self._compared(other, np.less_equal)

    def __gt__(self, other: Any) -> Truth:
        return self._compared(other, np.greater)

    def __ge__(self, other: Any) -> Truth:
        return self._compared(other, np.greater_equal)

    def __eq__(self, other: object) -> Truth:  # type: ignore[override]  # an array's, element by element
        return self._compared(other, np.equal)

    __hash__ = None  # type: ignore[assignment]  # as of arrays


class Rounding:
    """The namespace that formulas are run with to bound a kernel's rounding.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Of the kernel.
    ulp : mapping of str to float
        Error bound of each of its functions in units in the last place; of ``sqrt`` only where it
        is not correctly rounded.
    """

    def __init__(self, dtype: str, ulp: Mapping[str, float]) -> None:
        self.dtype = np.dtype(dtype)
        self._largest = float(np.finfo(self.dtype).max)
        self._smallest = float(np.finfo(self.dtype).smallest_normal)
        for name, bound in {"sqrt": 0.5, **ulp}.items():
            widened = self._periodic if name in PERIODIC else self._increasing
            setattr(self, name, functools.partial(widened, name, bound))

    # numbers ------------------------------------------------------------------------------------

    def real(self, a: Any) -> Rounded:
        """A number as it enters a formula; a constant is rounded to the kernel's dtype."""
        if isinstance(a, Rounded):
            return a
        a = np.asarray(a, np.float64)
        return Rounded(self, a, np.abs(a.astype(self.dtype).astype(np.float64) - a))

    def number(self, value: Array, error: Array) -> Rounded:
        """A result: infinite beyond the dtype's range, and without a bound where not finite."""
        value = np.where(np.abs(value) > self._largest, np.copysign(np.inf, value), value)
        return Rounded(self, value, np.where(np.isfinite(value) & ~np.isnan(error), error, 0.0))

    def rounded(self, value: Array, error: Array, ulp: float = 0.5, own: float = 0.5) -> Rounded:
        """A result that the kernel and NumPy have rounded, with errors of so many units each."""
        size = np.nan_to_num(np.minimum(np.abs(value) + error, self._largest))
        exact = ulp * spacing(size, self.dtype) + own * np.spacing(size)
        exact = np.where(size > 0, exact, 0.0)  # a difference of equal numbers is exact
        # kernels count subnormal numbers as zeros
        small = (size > 0) & (np.abs(value) - error < self._smallest)
        return self.number(value, error + exact + np.where(small, self._smallest, 0.0))

    def terms(self, count: int) -> float:
        """Largest relative difference of two sums of products, the kernel's and NumPy's."""
        return terms(count, self.dtype) + terms(count, np.float64)

    def product(self, left: Rounded, right: Rounded, bias: Rounded | None = None) -> Rounded:
        """``left @ right + bias`` as one sum: gamma_n times the sum of magnitudes."""
        value, size = left.value @ right.value, np.abs(left.value) @ np.abs(right.value)
        error = left.error @ np.abs(right.value) + (np.abs(left.value) + left.error) @ right.error
        count = left.shape[-1] + 1
        if bias is not None:
            value, size, error = value + bias.value, size + np.abs(bias.value), error + bias.error
        return self.number(
            value, error + self.terms(count) * (size + error) + count * self._smallest
        )

    # what an executor needs besides ------------------------------------------------------------

    def indices(self, a: Any) -> Array:
        return NUMPY.indices(a.value if isinstance(a, Rounded) else a)

    def side_by_side(self, parts: list[Rounded]) -> Rounded:
        values, errors = ([getattr(p, n) for p in parts] for n in ("value", "error"))
        return Rounded(self, np.concatenate(values, axis=1), np.concatenate(errors, axis=1))

    def cumulated(self, a: Rounded, reverse: bool) -> Rounded:
        value, error, size = (
            NUMPY.cumulated(x, reverse) for x in (a.value, a.error, np.abs(a.value) + a.error)
        )
        return self.number(value, error + self.terms(a.shape[-2]) * size)

    def scatter_add(self, shape: Any, index: Any, a: Rounded) -> Rounded:
        value, error, size = (
            NUMPY.scatter_add(shape, index, x)
            for x in (a.value, a.error, np.abs(a.value) + a.error)
        )
        return self.number(value, error + self.terms(len(a.value)) * size)

    # the list of operations ---------------------------------------------------------------------

    def _increasing(self, name: str, ulp: float, a: Any) -> Rounded:
        a, function = self.real(a), getattr(NUMPY, name)
        value, low, high = (function(v) for v in (a.value, a.value - a.error, a.value + a.error))
        slack = np.maximum(np.abs(high - value), np.abs(value - low))
        # an end beyond the function's domain bounds nothing
        slack = np.where(np.isnan(slack) & np.isfinite(value), np.inf, slack)
        slack = np.where(a.error > 0, slack, 0.0)
        return self.rounded(value, slack, ulp, 0.5 if name == "sqrt" else NUMPY_ULP)

    def _periodic(self, name: str, ulp: float, a: Any) -> Rounded:
        """Bound a function f whose slope is ``2 pi g``, up to a sign, by its addition theorem.

        An angle that is off by d changes it by ``f (cos d - 1) + g sin d``, and by d at most.
        """
        a = self.real(a)
        value, slope = (getattr(NUMPY, n)(a.value) for n in (name, PERIODIC[name]))
        d = math.tau * a.error
        slack = np.abs(value) * d * d / 2 + np.abs(slope) * d
        # d and the range bound it as well; fmin, since an infinite d times 0 is NaN
        slack = np.fmin(np.fmin(slack, d), 1 + np.abs(value))
        return self.rounded(value, slack, ulp, NUMPY_ULP)

    def where(self, condition: Any, a: Any, b: Any) -> Rounded:
        a, b = self.real(a), self.real(b)
        if not isinstance(condition, Truth):
            condition = Truth(np.asarray(condition), True)
        value = np.where(condition.value, a.value, b.value)
        either = np.maximum(a.error, b.error) + np.abs(a.value - b.value)
        error = np.where(condition.value, a.error, b.error)
        return self.number(value, np.where(condition.certain, error, either))

    def abs(self, a: Any) -> Rounded:
        a = self.real(a)
        return Rounded(self, np.abs(a.value), a.error)

    def round(self, a: Any) -> Rounded:
        a = self.real(a)
        value, low, high = (np.round(v) for v in (a.value, a.value - a.error, a.value + a.error))
        return self.number(value, np.fmax(high - value, value - low))

    def minimum(self, a: Any, b: Any) -> Rounded:
        a, b = self.real(a), self.real(b)
        return self._of_two(np.minimum(a.value, b.value), a < b, a, b)

    def maximum(self, a: Any, b: Any) -> Rounded:
        a, b = self.real(a), self.real(b)
        return self._of_two(np.maximum(a.value, b.value), a > b, a, b)

    def _of_two(self, value: Array, first: Truth, a: Rounded, b: Rounded) -> Rounded:
        """The one that is chosen beyond doubt has its own bound, else the larger bound holds."""
        chosen = np.where(first.value, a.error, b.error)
        return Rounded(self, value, np.where(first.certain, chosen, np.maximum(a.error, b.error)))

    def row_sum(self, a: Any) -> Rounded:
        return self.real(a).sum(-1, keepdims=True)

    def row_max(self, a: Any) -> Rounded:
        a = self.real(a)
        return Rounded(self, a.value.max(-1, keepdims=True), a.error.max(-1, keepdims=True))

    def is_column(self, t: Array, z: Rounded) -> Truth:
        return Truth(NUMPY.is_column(t, z.value), True)

    # words are exact ----------------------------------------------------------------------------

    def words(self, values: Any, like: Any = None) -> Array:
        return NUMPY.words(values)

    def u32_multiply(self, a: Array, b: Array | int) -> Array:
        return NUMPY.u32_multiply(a, b)

    def u32_high(self, a: Array, b: Array | int) -> Array:
        return NUMPY.u32_high(a, b)

    def u32_xor(self, a: Array, b: Array | int) -> Array:
        return NUMPY.u32_xor(a, b)

    def u32_shift(self, a: Array, n: int) -> Array:
        return NUMPY.u32_shift(a, n)

    def u32_below(self, a: Array, b: Array | int) -> Array:
        return NUMPY.u32_below(a, b)

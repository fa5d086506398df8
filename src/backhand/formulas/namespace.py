"""The operations that a formula may use. To add a backend is to implement this list.

A formula is plain Python over an array namespace ``xp`` and the operators of its arrays. Nothing
else may appear in one: no ``xp`` method that is not below, no ``if`` on data. An ``if`` on a
parameter is specialisation and fine.

=================  ===============================================================================
operation          meaning, and what happens at NaN, at ties and in rounding
=================  ===============================================================================
``a + b - c * d``  IEEE 754, round to nearest even. A backend may contract nothing by itself:
                   ``a * b + c`` rounds twice unless a formula is executed by one that says so.
``a / b``          IEEE 754 division, never a reciprocal estimate; ``x / 0`` is infinite or NaN.
``-a``             flips the sign bit, of zero and NaN too.
``< <= > >= ==``   element by element, false where either side is NaN; gives booleans.
``where(c, a, b)`` ``a`` where ``c``, else ``b``. Both sides are computed: neither may trap, and a
                   NaN in the side that is not chosen does not pass.
``abs(a)``         clears the sign bit.
``sqrt(a)``        correctly rounded; NaN below zero.
``round(a)``       the nearest whole number, half to even; NaN and infinities stay as they are.
``minimum(a, b)``  the smaller; NaN if either is NaN; at a tie of zeros either zero.
``maximum(a, b)``  the larger; NaN if either is NaN; at a tie of zeros either zero.
``exp(a)``         within a few ULP; ``exp(-inf) = 0``, overflows to infinity.
``expm1(a)``       ``exp(a) - 1`` without cancellation near zero.
``log(a)``         natural logarithm; ``log(0) = -inf``, NaN below zero.
``log1p(a)``       ``log(1 + a)`` without cancellation near zero.
``tanh(a)``        hyperbolic tangent; exactly ±1 far out.
``erf(a)``         error function; exactly ±1 far out.
``cos_turns(a)``   ``cos(2 pi a)``, the cosine of an angle in turns: within a few ULP for every
                   ``a``, near its zeros too, since whole turns are taken off without rounding.
                   Exactly ±1 or 0 at quarter turns (a zero has either sign); NaN at ±infinity.
``sin_turns(a)``   ``sin(2 pi a)``, in the same way.
``row_sum(a)``     (N, K) -> (N, 1), the sum over a row. Order is the executor's, and fixed.
``row_max(a)``     (N, K) -> (N, 1), the largest of a row; NaN if the row has one.
``is_column(t, z)``  integers (N, 1), reals (N, K) -> booleans (N, K): is this the ``t``-th column?
                   ``t`` may be one Python integer for all rows.
=================  ===============================================================================

Counter-based noise works on 32-bit words without sign. A backend holds them as it likes, as long
as the value is the one modulo 2**32:

=====================  ===========================================================================
``u32_multiply(a, b)``  product modulo 2**32
``u32_high(a, b)``      upper half of the product's 64 bits: ``a * b // 2**32``
``u32_xor(a, b)``       bitwise exclusive or
``u32_shift(a, n)``     logical shift right by the Python integer ``n``
``u32_below(a, b)``     is ``a < b``, as numbers without sign; gives booleans
=====================  ===========================================================================

Scalars in a formula are Python floats and never change the precision of an array. Learning-rate
schedules run on the host once an epoch, never per element, and may use ``cos`` and ``**`` too.
"""

from __future__ import annotations

from typing import Any, Protocol

Array = Any
"""An array of some backend: NumPy, PyTorch, autograd, or SIMD lanes that are being traced."""


class Namespace(Protocol):
    """What an executor passes to formulas as ``xp``; the module's docstring gives the meaning."""

    def where(self, condition: Array, a: Array, b: Array) -> Array: ...
    def abs(self, a: Array) -> Array: ...
    def sqrt(self, a: Array) -> Array: ...
    def round(self, a: Array) -> Array: ...
    def minimum(self, a: Array, b: Array) -> Array: ...
    def maximum(self, a: Array, b: Array) -> Array: ...
    def exp(self, a: Array) -> Array: ...
    def expm1(self, a: Array) -> Array: ...
    def log(self, a: Array) -> Array: ...
    def log1p(self, a: Array) -> Array: ...
    def tanh(self, a: Array) -> Array: ...
    def erf(self, a: Array) -> Array: ...
    def cos_turns(self, a: Array) -> Array: ...
    def sin_turns(self, a: Array) -> Array: ...
    def row_sum(self, a: Array) -> Array: ...
    def row_max(self, a: Array) -> Array: ...
    def is_column(self, t: Array, z: Array) -> Array: ...
    def u32_multiply(self, a: Array, b: Array | int) -> Array: ...
    def u32_high(self, a: Array, b: Array | int) -> Array: ...
    def u32_xor(self, a: Array, b: Array | int) -> Array: ...
    def u32_shift(self, a: Array, n: int) -> Array: ...
    def u32_below(self, a: Array, b: Array | int) -> Array: ...


XP = Namespace

"""Vector ``exp``, ``log``, ``tanh``, ``cos_turns`` and their kin, without branches or calls.

Each is a formula over simpler operations, with the function that it means in NumPy and its
error bound in units in the last place (ULP: the spacing of floats at the true value) beside it; one
parametrised test walks the table. Every step rounds as IEEE 754 says, so a result has the same
bits on every instruction set with FMA. What is stated holds with subnormal numbers on; with them
flushed to zero, subnormal arguments and results count as zeros.

The polynomials in `minimax.py` are minimax for the relative error of the final result.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..formulas import turns
from . import minimax
from .graph import Graph
from .trace import Trace, Value, refusing, trace

Array = Any


@dataclasses.dataclass(frozen=True)
class Format:
    """A floating-point format: what the functions must know of float32 or float64."""

    dtype: type[np.floating[Any]]
    fraction: int  # stored bits of the fraction
    bias: int  # of the exponent
    ln2: tuple[float, float]  # high and low part
    exp: tuple[float, ...]
    erf: tuple[float, ...]
    sine: tuple[float, ...]
    exp_range: tuple[float, float]  # beyond, exp is 0 or infinite
    tanh_end: float  # beyond, tanh is 1
    erf_end: float  # beyond, erf is 1

    @property
    def sign(self) -> int:
        return 1 << (self.bits - 1)

    @property
    def bits(self) -> int:
        return 32 if self.dtype is np.float32 else 64

    def to_bits(self, value: float) -> int:
        """The bits of a number as an integer."""
        return int(self.dtype(value).view(np.uint32 if self.bits == 32 else np.uint64))


SINGLE = Format(
    np.float32,
    fraction=23,
    bias=127,
    ln2=minimax.LN2_32,
    exp=minimax.EXP_32,
    erf=minimax.ERF_32,
    sine=minimax.SINE_32,
    exp_range=(-104.0, 89.0),
    tanh_end=9.02,
    erf_end=4.0,
)
DOUBLE = Format(
    np.float64,
    fraction=52,
    bias=1023,
    ln2=minimax.LN2_64,
    exp=minimax.EXP_64,
    erf=minimax.ERF_64,
    sine=minimax.SINE_64,
    exp_range=(-746.0, 710.0),
    tanh_end=19.1,
    erf_end=5.95,
)


@refusing
class Bits(Value):
    """The bits of a number as an integer; arithmetic wraps, ``>>`` brings in zeros."""


def _integer(operation: str, swap: bool = False) -> Callable[[Any, Any], Any]:
    def operator(self: Bits, other: Any) -> Any:
        trace = self._trace
        a, b = (other, self) if swap else (self, other)
        numbers = [trace.number_of(value, "bits", operation) for value in (a, b)]
        return trace.record("integer", "bits", *numbers, detail=operation)

    return operator


for _name, _operation in {
    "add": "add",
    "sub": "sub",
    "and": "and_",
    "or": "or_",
    "lshift": "shl",
    "rshift": "lshr",
}.items():
    setattr(Bits, f"__{_name}__", _integer(_operation))
    setattr(Bits, f"__r{_name}__", _integer(_operation, swap=True))


class Primitives(Trace):
    """What the functions themselves are made of: a few operations more than formulas have."""

    format: Format

    def _class(self, kind: str) -> type[Value]:
        return Bits if kind == "bits" else super()._class(kind)

    def number_of(self, value: Any, kind: str, where: str) -> int:
        if kind == "bits" and isinstance(value, int):
            return self.record("constant", kind, detail=value, uniform=True)._number
        return super().number_of(value, kind, where)

    def fma(self, a: Array, b: Array, c: Array) -> Array:
        """``a * b + c``, rounded once."""
        return self.real_node("fma", a, b, c)

    def copysign(self, a: Array, b: Array) -> Array:
        """The magnitude of ``a`` with the sign of ``b``."""
        return self.real_node("copysign", a, b)

    def bits(self, a: Array) -> Array:
        return self.record("bits", "bits", self.number_of(a, "real", "bits"))

    def real(self, a: Array) -> Array:
        return self.record("real", "real", self.number_of(a, "bits", "real"))

    def horner(self, x: Array, powers: Sequence[float]) -> Array:
        """The polynomial with coefficients ``powers``, lowest first."""
        result: Array = powers[-1]
        for coefficient in reversed(powers[:-1]):
            result = self.fma(result, x, coefficient)
        return result


@dataclasses.dataclass(frozen=True)
class Function:
    """A vector function, its meaning and its error bounds.

    Attributes
    ----------
    name : str
        Of the operation, in `formulas.namespace`.
    means : str
        The function of NumPy, SciPy or ours with the same meaning.
    bound32, bound64 : float
        Largest error in ULP.
    formula : callable
        ``formula(xp, x)`` over `Primitives`.
    """

    name: str
    means: str
    bound32: float
    bound64: float
    formula: Callable[[Any, Array], Array]


TABLE: dict[str, Function] = {}
"""Every function by name."""


def function(
    means: str, bound32: float, bound64: float
) -> Callable[[Callable[[Any, Array], Array]], Callable[[Any, Array], Array]]:
    """Enter a function into `TABLE`, with its meaning and its error bounds in ULP."""

    def enter(formula: Callable[[Any, Array], Array]) -> Callable[[Any, Array], Array]:
        name = formula.__name__
        TABLE[name] = Function(name, means, bound32, bound64, formula)
        return formula

    return enter


@functools.cache
def function_graph(name: str, single: bool) -> Graph:
    """The graph of a function of one input ``a``, in float32 or float64."""

    def primitives(formula: str) -> Primitives:
        xp = Primitives(formula)
        xp.format = SINGLE if single else DOUBLE
        return xp

    return trace(TABLE[name].formula, [("a", "real")], namespace=primitives)


# exp and what follows from it ---------------------------------------------------------------------


def _reduced(xp: Any, x: Array, bias: int) -> tuple[Array, Array]:
    """``x = k ln 2 + r`` with whole k and ``|r| <= ln 2 / 2``: r, and bits that end in k + bias.

    Adding 1.5 * 2**fraction rounds to a whole number, whose bits then stand lowest in the sum.
    """
    f = xp.format
    magic = 1.5 * 2.0**f.fraction + bias
    shifted = xp.fma(x, 1.0 / math.log(2.0), magic)
    k = shifted - magic
    r = xp.fma(k, -f.ln2[1], xp.fma(k, -f.ln2[0], x))
    return r, xp.bits(shifted)


def _power_and_rest(xp: Any, x: Array, shift: int = 0) -> tuple[Array, Array]:
    """``exp(x) = 2**k * (1 + q)``: gives 2**(k - shift), which must be normal, and q."""
    f = xp.format
    r, k = _reduced(xp, x, f.bias - shift)
    q = xp.fma(r * r, xp.horner(r, f.exp), r)
    return xp.real(k << f.fraction), q


def _with_sign_of(xp: Any, y: Array, x: Array) -> Array:
    """``y`` with the sign bit of ``x`` added: for functions whose sign is x's, it mends -0."""
    return xp.real(xp.bits(y) | (xp.bits(x) & xp.format.sign))


@function(means="numpy.exp", bound32=1.0, bound64=1.0)
def exp(xp: Any, x: Array) -> Array:
    # Two factors 2**(k/2): their product may be infinite or subnormal, each is neither, and so
    # gradual underflow rounds once.
    f = xp.format
    x = xp.minimum(xp.maximum(x, f.exp_range[0]), f.exp_range[1])
    r, k = _reduced(xp, x, 2 * f.bias)
    half = k >> 1
    first, second = xp.real(half << f.fraction), xp.real((k - half) << f.fraction)
    return xp.horner(r, (1.0, 1.0, *f.exp)) * first * second


@function(means="numpy.expm1", bound32=2.0, bound64=2.0)
def expm1(xp: Any, x: Array) -> Array:
    # 2**k (1 + q) - 1 = 2 (p q + (p - 1/2)) with p = 2**(k-1), which cannot overflow before it
    # should. Below -50 the result is -1 and the clamp keeps p normal.
    clamped = xp.minimum(xp.maximum(x, -50.0), xp.format.exp_range[1])
    p, q = _power_and_rest(xp, clamped, shift=1)
    return _with_sign_of(xp, 2.0 * xp.fma(p, q, p - 0.5), x)


@function(means="numpy.tanh", bound32=2.0, bound64=2.0)
def tanh(xp: Any, x: Array) -> Array:
    # (1 - e) / (1 + e) with e = exp(-2 |x|) = p (1 + q); p -+ 1 are exact until e hardly matters
    a = xp.minimum(xp.abs(x), xp.format.tanh_end)
    p, q = _power_and_rest(xp, -2.0 * a)
    return xp.copysign(xp.fma(p, q, p - 1.0) / xp.fma(p, q, p + 1.0), x)


def minus_log_erfc(xp: Any, x: Array) -> Array:
    """``g = -log(erfc(|x|))`` as ``a (1 + P(a))``, from which erf follows.

    That is accurate near zero, where expm1 is, and far out exp(-g) makes errors of g vanish: one
    polynomial for the whole line.
    """
    a = xp.minimum(xp.abs(x), xp.format.erf_end)
    return xp.fma(a, xp.horner(a, xp.format.erf), a)


@function(means="scipy.special.erf", bound32=2.0, bound64=2.0)
def erf(xp: Any, x: Array) -> Array:
    # erf(|x|) = -expm1(-g)
    p, q = _power_and_rest(xp, -minus_log_erfc(xp, x))
    return xp.copysign(xp.fma(p, q, p - 1.0), x)


# log and log1p ------------------------------------------------------------------------------------


def _split(xp: Any, x: Array) -> tuple[Array, Array, Array]:
    """``x = 2**k * m`` with m from sqrt(1/2) to sqrt(2): k, m, and k + bias in the exponent bits.

    ``x`` must be normal and positive, or the result means nothing.
    """
    f = xp.format
    root = f.to_bits(math.sqrt(0.5))
    moved = xp.bits(x) + (f.to_bits(1.0) - root)
    m = xp.real((moved & ((1 << f.fraction) - 1)) + root)
    whole = 2.0**f.fraction  # its lowest bits are ones and so count: no conversion is needed
    k = xp.real((moved >> f.fraction) | f.to_bits(whole)) - (whole + f.bias)
    return k, m, moved


def _log_of_parts(xp: Any, k: Array, f: Array) -> Array:
    """``k ln 2 + log(1 + f)`` with f from sqrt(1/2) - 1 to sqrt(2) - 1."""
    if xp.format is SINGLE:
        rest = f * f * xp.horner(f, minimax.LOG_32)
    else:
        # log(1 + f) = 2 atanh(s) = 2 s + s z L(z), and 2 s = f - s f = f - h + s h
        s = f / (2.0 + f)
        z = s * s
        h = 0.5 * f * f
        rest = xp.fma(s, xp.fma(z, xp.horner(z, minimax.LOG_64), h), -h)
    high, low = xp.format.ln2
    return xp.fma(k, high, f + xp.fma(k, low, rest))


def _log_special(xp: Any, y: Array, x: Array, u: Array) -> Array:
    """``y``, but infinity and NaN where x is; at ``u = 0`` -inf, below it NaN."""
    y = xp.where(x < math.inf, y, x)
    return xp.where(u > 0.0, y, xp.where(u == 0.0, -math.inf, math.nan))


@function(means="numpy.log", bound32=1.0, bound64=1.0)
def log(xp: Any, x: Array) -> Array:
    f = xp.format
    small = x < 2.0 ** (1 - f.bias)  # subnormal: scaled up before its exponent is read
    k, m, _ = _split(xp, xp.where(small, x * 2.0**f.fraction, x))
    k = k - xp.where(small, float(f.fraction), 0.0)
    return _log_special(xp, _log_of_parts(xp, k, m - 1.0), x, x)


@function(means="numpy.log1p", bound32=1.75, bound64=1.25)
def log1p(xp: Any, x: Array) -> Array:
    # The exponent k of the rounded 1 + x gives f = (1 + x) 2**-k - 1 with one rounding, and at
    # k = 0 f is x. With 4 in front, the power stays normal for every k.
    f = xp.format
    u = 1.0 + x
    k, _, moved = _split(xp, u)
    exponent = ((1 << (f.bits - f.fraction)) - 1) << f.fraction
    power = xp.real(((2 * f.bias + 2) << f.fraction) - (moved & exponent))
    y = _log_of_parts(xp, k, 0.25 * xp.fma(x, power, power - 4.0))
    return _with_sign_of(xp, _log_special(xp, y, x, u), x)


# cos and sin of turns -----------------------------------------------------------------------------


def _sine_of_turns(xp: Any, s: Array) -> Array:
    """``sin(2 pi s)`` with s from -1/4 to 1/4, as ``4 s + s t R(t)`` with ``t = s**2 - 1/16``.

    At a quarter turn t is 0 and the sine exactly 1; near 0 the sum is ``4 s + 2.28 s``.
    """
    t = xp.fma(s, s, -1 / 16)
    return xp.fma(s, t * xp.horner(t, xp.format.sine), 4.0 * s)


@function(means="formulas.turns.cosine", bound32=1.75, bound64=1.75)
def cos_turns(xp: Any, x: Array) -> Array:
    return _sine_of_turns(xp, turns.of_cosine(xp, x))


@function(means="formulas.turns.sine", bound32=1.5, bound64=1.5)
def sin_turns(xp: Any, x: Array) -> Array:
    return _sine_of_turns(xp, turns.of_sine(xp, x))

"""SIMD lanes: what one vector instruction can do, as LLVM IR.

`Lanes` is the only place where an operation of a formula becomes an instruction. Its values are
plain ``ir.Value`` objects: vectors of ``count`` elements, or scalars where ``count`` is 1. All of
it is IEEE 754 arithmetic without fast-math flags, so a result has the same bits with any number of
lanes and on any instruction set; only the payload of a NaN may differ.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .builder import call, ir, vector_type

Combine = Callable[["ir.Value", "ir.Value"], "ir.Value"]


@functools.cache
def _constant_class() -> type[ir.Constant]:
    class Constant(ir.Constant):
        """A constant whose text is made once; llvmlite would format each lane at each use."""

        def __init__(self, kind: ir.Type, text: str) -> None:
            super().__init__(kind, None)
            self._text = text

        def get_reference(self) -> str:
            return self._text

    return Constant


def _constant(kind: ir.Type, text: str) -> ir.Constant:
    return _constant_class()(kind, text)


def _real_text(value: float, single: bool) -> str:
    """A constant rounded to the element type, to the last bit, as LLVM reads it."""
    if single:
        with np.errstate(over="ignore"):
            value = float(np.float32(value))
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def lanes_of(a: ir.Value) -> int:
    """The lanes of a vector; 1 of a scalar."""
    return a.type.count if isinstance(a.type, ir.VectorType) else 1


def tree(parts: Sequence[ir.Value | None], combine: Combine) -> ir.Value:
    """Values as one: the first half with the second, again and again; None changes nothing.

    This order is a part of every result: see `rows`.
    """
    while len(parts) > 1:
        half = len(parts) // 2
        pairs = zip(parts[:half], parts[half:], strict=True)
        parts = [b if a is None else a if b is None else combine(a, b) for a, b in pairs]
    (result,) = parts
    assert result is not None
    return result


class Lanes:
    """Emits operations on vectors of ``count`` elements at the position of a builder.

    Parameters
    ----------
    builder : ir.IRBuilder
        Where instructions go.
    dtype : {"float32", "float64"}
        Element type, or anything that NumPy takes for it.
    count : int
        Lanes of a vector; with 1, values are scalars.
    """

    def __init__(self, builder: ir.IRBuilder, dtype: Any, count: int) -> None:
        self.builder = builder
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"lanes hold float32 or float64, got {self.dtype}")
        self.count = count
        self.single = self.dtype == np.float32
        self.element: ir.Type = ir.FloatType() if self.single else ir.DoubleType()
        self.word_element = ir.IntType(32)
        self.bits_element = self.word_element if self.single else ir.IntType(64)
        self.vector = self._of(self.element)
        self.bits_vector = self._of(self.bits_element)
        self.word_vector = self._of(self.word_element)
        self.mask_vector = self._of(ir.IntType(1))
        self._known: dict[tuple[ir.Type, str], ir.Constant] = {}

    def _of(self, element: ir.Type) -> ir.Type:
        return vector_type(element, self.count)

    @functools.cached_property
    def scalar(self) -> Lanes:
        """The same operations on one element, at the same builder."""
        return self if self.count == 1 else Lanes(self.builder, self.dtype, 1)

    # constants and moves -------------------------------------------------------------------------

    def _splat_text(self, element: ir.Type, text: str) -> ir.Value:
        known = self._known.get((element, text))
        if known is None:
            whole = text
            if self.count > 1:
                whole = f"<{', '.join([f'{element} {text}'] * self.count)}>"
            known = self._known[element, text] = _constant(self._of(element), whole)
        return known

    def real(self, value: float) -> ir.Value:
        """A constant in all lanes, rounded to the element type."""
        return self._splat_text(self.element, _real_text(float(value), self.single))

    def bits_constant(self, value: int) -> ir.Value:
        """An integer as wide as an element in all lanes, modulo its range."""
        return self._splat_text(self.bits_element, str(value % 2**self.bits_element.width))

    def word(self, value: int) -> ir.Value:
        """A 32-bit word in all lanes, modulo 2**32."""
        return self._splat_text(self.word_element, str(value % 2**32))

    def splat(self, scalar: ir.Value) -> ir.Value:
        """A scalar of any type in all lanes; in the type of a mask, word or element."""
        if self.count == 1:
            return scalar
        vector = self._of(scalar.type)
        poison = _constant(vector, "poison")
        first = self.builder.insert_element(poison, scalar, self.word_element(0))
        order = _constant(self._of(self.word_element), "zeroinitializer")
        return self.builder.shuffle_vector(first, poison, order)

    def iota(self) -> ir.Value:
        """The words 0, 1, ..., count - 1."""
        if self.count == 1:
            return self.word(0)
        return self._words(range(self.count))

    def _words(self, words: Sequence[int]) -> ir.Value:
        kind = ir.VectorType(self.word_element, len(words))
        return _constant(kind, f"<{', '.join(f'i32 {word}' for word in words)}>")

    def columns(self, first: ir.Value | int) -> ir.Value:
        """The words ``first + iota``: which columns the lanes stand for."""
        if isinstance(first, int):
            if self.count == 1:
                return self.word(first)
            return self._words(range(first, first + self.count))
        if first.type != self.word_element:
            first = self.builder.trunc(first, self.word_element)
        return self.builder.add(self.splat(first), self.iota())

    def first_lanes(self, valid: int) -> ir.Value:
        """A constant mask that holds in the first ``valid`` lanes."""
        texts = [("true" if lane < valid else "false") for lane in range(self.count)]
        if self.count == 1:
            return _constant(self.mask_vector, texts[0])
        return _constant(self.mask_vector, f"<{', '.join(f'i1 {text}' for text in texts)}>")

    def load(self, pointer: ir.Value, type_: ir.Type | None = None) -> ir.Value:
        """Load a vector (of elements, unless ``type_`` is another) from any aligned element."""
        type_ = type_ or self.vector
        return self.builder.load(pointer, align=self._item_bytes(type_), typ=type_)

    def store(self, value: ir.Value, pointer: ir.Value) -> None:
        """Store a vector to any aligned element."""
        self.builder.store(value, pointer, align=self._item_bytes(value.type))

    def masked_store(self, value: ir.Value, pointer: ir.Value, mask: ir.Value) -> None:
        """Store the elements of a vector for which a mask holds; the others stay as they are."""
        if self.count == 1:
            with self.builder.if_then(mask):
                self.store(value, pointer)
            return
        name = f"llvm.masked.store.{self._suffix(value.type)}.p0"
        item = self.word_element(self._item_bytes(value.type))
        call(self.builder, name, [value, pointer, item, mask])

    def gather(self, type_: ir.Type, places: ir.Value, item: ir.Value, mask: ir.Value) -> ir.Value:
        """A vector of elements from an address for each; ``item`` is what they are aligned to."""
        name = f"llvm.masked.gather.{self._suffix(type_)}.v{self.count}p0"
        return call(self.builder, name, [places, item, mask, _constant(type_, "poison")], type_)

    def scatter(self, value: ir.Value, places: ir.Value, item: ir.Value, mask: ir.Value) -> None:
        """Store each element of a vector at an address of its own, the first one first."""
        name = f"llvm.masked.scatter.{self._suffix(value.type)}.v{self.count}p0"
        call(self.builder, name, [value, places, item, mask])

    @staticmethod
    def _item_bytes(type_: ir.Type) -> int:
        return 4 if str(getattr(type_, "element", type_)) in ("float", "i32") else 8

    @staticmethod
    def _suffix(type_: ir.Type) -> str:
        element = str(getattr(type_, "element", type_))
        lanes = f"v{type_.count}" if isinstance(type_, ir.VectorType) else ""
        return lanes + {"float": "f32", "double": "f64"}.get(element, element)

    def _intrinsic(self, name: str, *arguments: ir.Value) -> ir.Value:
        suffix = self._suffix(self.vector)
        return call(self.builder, f"llvm.{name}.{suffix}", arguments, self.vector)

    # real arithmetic -----------------------------------------------------------------------------

    def add(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.builder.fadd(a, b)

    def sub(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.builder.fsub(a, b)

    def mul(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.builder.fmul(a, b)

    def div(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.builder.fdiv(a, b)

    def neg(self, a: ir.Value) -> ir.Value:
        return self.builder.fneg(a)

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """``a * b + c``, rounded once."""
        return self._intrinsic("fma", a, b, c)

    def abs(self, a: ir.Value) -> ir.Value:
        return self._intrinsic("fabs", a)

    def sqrt(self, a: ir.Value) -> ir.Value:
        return self._intrinsic("sqrt", a)

    def copysign(self, magnitude: ir.Value, sign: ir.Value) -> ir.Value:
        return self._intrinsic("copysign", magnitude, sign)

    def round(self, a: ir.Value) -> ir.Value:
        """The nearest whole number, half to even."""
        return self._intrinsic("roundeven", a)

    # The order of operands matters: `a < b ? a : b` is one instruction on x86 and gives b where
    # either is NaN. So NaN in b passes for free, and NaN in a needs a test of its own.

    def min_keeping_right(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """The smaller; b at a tie and where either is NaN."""
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)

    def max_keeping_right(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """The larger; b at a tie and where either is NaN."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def minimum(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """The smaller; NaN where either is NaN; b at a tie."""
        return self._unless_nan(a, self.min_keeping_right(a, b))

    def maximum(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """The larger; NaN where either is NaN; b at a tie."""
        return self._unless_nan(a, self.max_keeping_right(a, b))

    def _unless_nan(self, a: ir.Value, result: ir.Value) -> ir.Value:
        return self.builder.select(self.builder.fcmp_unordered("uno", a, a), a, result)

    def compare(self, sign: str, a: ir.Value, b: ir.Value) -> ir.Value:
        """``a sign b`` for <, <=, >, >=, ==: a mask, false where either is NaN."""
        return self.builder.fcmp_ordered(sign, a, b)

    def where(self, mask: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.builder.select(mask, a, b)

    # bits of reals, and 32-bit words -------------------------------------------------------------

    def bits(self, a: ir.Value) -> ir.Value:
        return self.builder.bitcast(a, self.bits_vector)

    def real_of_bits(self, a: ir.Value) -> ir.Value:
        return self.builder.bitcast(a, self.vector)

    def integer(self, operation: str, a: ir.Value, b: ir.Value) -> ir.Value:
        """Integer arithmetic of two vectors: add, sub, mul, and_, or_, xor, shl, lshr."""
        emit: Callable[[ir.Value, ir.Value], ir.Value] = getattr(self.builder, operation)
        return emit(a, b)

    def word_high(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """The upper half of the product of two words."""
        wide = ir.IntType(64)
        left, right = (self.builder.zext(one, self._of(wide)) for one in (a, b))
        product = self.builder.mul(left, right)
        upper = self.builder.lshr(product, self._splat_text(wide, "32"))
        return self.builder.trunc(upper, self.word_vector)

    def word_below(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.builder.icmp_unsigned("<", a, b)

    def word_equal(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.builder.icmp_unsigned("==", a, b)

    # reductions across lanes ---------------------------------------------------------------------

    def halves(self, a: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The first and the second half of a vector of any even length, as vectors."""
        half, poison = lanes_of(a) // 2, _constant(a.type, "poison")
        first, second = (
            self.builder.shuffle_vector(a, poison, self._words(range(k * half, (k + 1) * half)))
            for k in range(2)
        )
        return first, second

    def across(self, a: ir.Value, combine: Combine) -> ir.Value:
        """The lanes of a vector as one scalar: the first half with the second, and so on."""
        while lanes_of(a) > 2:
            a = combine(*self.halves(a))
        if lanes_of(a) == 1:
            return a
        return combine(*(self.builder.extract_element(a, self.word_element(k)) for k in range(2)))

    def any_nan(self, a: ir.Value) -> ir.Value:
        """Whether any lane is NaN, as one truth value."""
        mask = self.builder.fcmp_unordered("uno", a, a)
        if self.count == 1:
            return mask
        word = ir.IntType(self.count)
        return self.builder.icmp_unsigned("!=", self.builder.bitcast(mask, word), word(0))

"""C99 as a dialect: how things are spelt, and the small functions that programs need.

Nothing but <stdint.h> is included: bits of numbers go through unions, square roots through
whole numbers, and nearest whole numbers through a large number that is added and taken off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...expr.graph import Node
from ..imperative.dialect import Dialect, Parameter
from ..imperative.expressions import indented

Array = Any

REAL = {"float32": "float", "float64": "double"}
BITS = {"float32": "uint32_t", "float64": "uint64_t"}
TYPES = {**REAL, "int32": "int32_t", "uint32": "uint32_t", "uint64": "uint64_t", "int8": "int8_t"}
FRACTION = {"float32": 23, "float64": 52}

FMA = {
    "float32": """\
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__aarch64__) \\
    || (defined(__ARM_FEATURE_FMA) && (__ARM_FP & 4)) \\
    || (defined(__riscv_flen) && __riscv_flen >= 32)
#define @FMA_HAS 1
#define @fma(a, b, c) __builtin_fmaf(a, b, c)
#else
#define @FMA_HAS 0
#define @fma(a, b, c) ((a) * (b) + (c))
#endif""",
    "float64": """\
#if defined(__FP_FAST_FMA) || defined(__FMA__) || defined(__aarch64__) \\
    || (defined(__ARM_FEATURE_FMA) && (__ARM_FP & 8)) \\
    || (defined(__riscv_flen) && __riscv_flen >= 64)
#define @FMA_HAS_f64 1
#define @fma_f64(a, b, c) __builtin_fma(a, b, c)
#else
#define @FMA_HAS_f64 0
#define @fma_f64(a, b, c) ((a) * (b) + (c))
#endif""",
}

PRODUCT = """\
/* y = b + x w, each sum one fma after another; N columns at once, and the last N may overlap */
static void @product(const $real *x, const $weight *w, const $real *b, $real *y,
    const int32_t depth, const int32_t width)
{
#define @COLUMNS(N) \\
    if (width >= N) { \\
        for (int32_t c = 0; c < width; c += N) { \\
            const int32_t first = c < width - N ? c : width - N; \\
            const $weight *row = w + first; \\
            $real sums[N]; \\
            for (int32_t j = 0; j < N; j++) { \\
                sums[j] = b ? b[first + j] : 0; \\
            } \\
            for (int32_t k = 0; k < depth; k++, row += width) { \\
                for (int32_t j = 0; j < N; j++) { \\
                    sums[j] = @fma(x[k], ($real)row[j], sums[j]); \\
                } \\
            } \\
            for (int32_t j = 0; j < N; j++) { \\
                y[first + j] = sums[j]; \\
            } \\
        } \\
        return; \\
    }
#if defined(__AVX__) || defined(__aarch64__)
    @COLUMNS(64)
#endif
#if defined(__SSE2__) || defined(__aarch64__)
    @COLUMNS(32)
    @COLUMNS(16)
    @COLUMNS(8)
    @COLUMNS(4)
#endif
    @COLUMNS(1)
#undef @COLUMNS
}"""

TRANSPOSED = """\
/* y = b + x w' of w (width, depth) */
static void @product_transposed(const $real *x, const $weight *w, const $real *b, $real *y,
    const int32_t depth, const int32_t width)
{
    for (int32_t c = 0; c < width; c++, w += depth) {
        $real sum = b ? b[c] : 0;
        for (int32_t k = 0; k < depth; k++) {
            sum = @fma(x[k], ($real)w[k], sum);
        }
        y[c] = sum;
    }
}"""

HELPERS: dict[str, tuple[tuple[str, ...], str]] = {
    "bits": (
        (),
        """\
static $bits @bits(const $real a)
{
    union { $real real; $bits bits; } u;
    u.real = a;
    return u.bits;
}""",
    ),
    "real": (
        (),
        """\
static $real @real(const $bits a)
{
    union { $real real; $bits bits; } u;
    u.bits = a;
    return u.real;
}""",
    ),
    "abs": (
        ("bits", "real"),
        """\
static $real @abs(const $real a)
{
    return @real(@bits(a) & ~$sign);
}""",
    ),
    "copysign": (
        ("bits", "real"),
        """\
static $real @copysign(const $real a, const $real b)
{
    return @real((@bits(a) & ~$sign) | (@bits(b) & $sign));
}""",
    ),
    "round": (
        ("abs", "copysign"),
        """\
/* the nearest whole number, half to even */
static $real @round(const $real a)
{
    const $real large = $large, b = @abs(a);
    return b < large ? @copysign((b + large) - large, a) : a;
}""",
    ),
    "minimum": (
        (),
        """\
static $real @minimum(const $real a, const $real b)
{
    return a != a || a < b ? a : b;
}""",
    ),
    "maximum": (
        (),
        """\
static $real @maximum(const $real a, const $real b)
{
    return a != a || a > b ? a : b;
}""",
    ),
    "add": (
        (),
        """\
static $real @add(const $real a, const $real b)
{
    return a + b;
}""",
    ),
    "sqrt": (
        ("bits", "real"),
        """\
/* the square root, rounded to nearest, bit by bit */
static $real @sqrt(const $real a)
{
    $bits m = @bits(a), root = 0, bit, rest = 0;
    int32_t e = (int32_t)(m >> $fraction);
    if (!(a > 0) || a - a != 0) {
        return a == 0 || a > 0 ? a : @real($nan);
    }
    m &= ($one << $fraction) - 1;
    if (e > 0) {
        m |= $one << $fraction;
    } else {
        e = 1;
        while (!(m >> $fraction)) {
            m <<= 1;
            e -= 1;
        }
    }
    e -= $bias;
    if (e & 1) {
        m <<= 1;
        e -= 1;
    }
    for (bit = $one << ($fraction + 1); bit != 0; bit >>= 1) {
        m <<= 1;
        if (m >= rest + bit) {
            m -= rest + bit;
            rest += bit << 1;
            root += bit;
        }
    }
    root += (m != 0) & root;
    return @real((root >> 1) + (($bits)(e / 2 + $bias - 1) << $fraction));
}""",
    ),
    "tree_add": (
        ("add",),
        """\
static $real @tree_add($real *a)
{
    for (int32_t half = 8; half > 0; half /= 2) {
        for (int32_t i = 0; i < half; i++) {
            a[i] = @add(a[i], a[i + half]);
        }
    }
    return a[0];
}""",
    ),
    "tree_maximum": (
        ("maximum",),
        """\
static $real @tree_maximum($real *a)
{
    for (int32_t half = 8; half > 0; half /= 2) {
        for (int32_t i = 0; i < half; i++) {
            a[i] = @maximum(a[i], a[i + half]);
        }
    }
    return a[0];
}""",
    ),
    "place": (
        (),
        """\
static int32_t @place(const $real a, const int32_t values)
{
    return a >= 1 ? (a < ($real)values ? (int32_t)a : values - 1) : 0;
}""",
    ),
    "product": (("fma",), PRODUCT),
    "product_int8": (("fma",), PRODUCT.replace("@product", "@product_int8")),
    "product_transposed": (("fma",), TRANSPOSED),
    "product_transposed_int8": (
        ("fma",),
        TRANSPOSED.replace("@product_transposed", "@product_transposed_int8"),
    ),
}
"""Each helper with the others that it calls; @name is another one's name."""


def real_text(value: float, dtype: str) -> str:
    """A number as C has it, to the bit."""
    with np.errstate(over="ignore"):
        value = float(np.dtype(dtype).type(value))
    mark = "f" * (dtype == "float32")
    if math.isnan(value):
        return f"(0.0{mark} / 0.0{mark})"
    if math.isinf(value):
        return f"({'-' * (value < 0)}1.0{mark} / 0.0{mark})"
    if value == int(value) and abs(value) < 1000:
        return f"{'-' * (math.copysign(1.0, value) < 0)}{abs(int(value))}.0{mark}"
    digits, _, exponent = value.hex().partition("p")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return f"{digits}p{int(exponent)}{mark}"


def wrapped(texts: Sequence[str]) -> list[str]:
    """Texts with commas between them, in lines."""
    lines, line = [], ""
    for text in texts:
        if len(line) + len(text) > 88:
            lines.append(line.rstrip())
            line = ""
        line += f"{text}, "
    return [*lines, line.rstrip(", ")]


class C(Dialect):
    """C99, with a prefix before every name."""

    null = "0"

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix

    def uses(self, name: str, dtype: str) -> None:
        for other in HELPERS[name][0] if name in HELPERS else ():
            self.uses(other, dtype)
        super().uses(name, dtype)

    def helper(self, name: str, dtype: str) -> str:
        return self.local(name, dtype)

    def local(self, name: str, dtype: str) -> str:
        return f"{self.prefix}_{name}{'_f64' * (dtype == 'float64')}"

    def helper_texts(self) -> list[str]:
        """The definitions of all helpers that are used."""
        texts = []
        for name, dtype in self.used:
            if name == "fma":
                texts.append(FMA[dtype])
            elif name in HELPERS:
                texts.append(HELPERS[name][1])
            else:
                continue
            weight = "int8_t" if name.endswith("_int8") else REAL[dtype]
            texts[-1] = self._filled(texts[-1].replace("$weight", weight), dtype)
        return texts

    def _filled(self, text: str, dtype: str) -> str:
        single = dtype == "float32"
        fraction, mark = FRACTION[dtype], "u" if single else "ull"
        bits, bias = (32, 127) if single else (64, 1023)
        values = {
            "$real": REAL[dtype],
            "$bits": BITS[dtype],
            "$sign": f"{1 << (bits - 1):#x}{mark}",
            "$large": real_text(2.0**fraction, dtype),
            "$nan": f"{'0x7fc00000' if single else '0x7ff8000000000000'}{mark}",
            "$one": f"({BITS[dtype]})1",
            "$fraction": str(fraction),
            "$bias": str(bias),
        }
        for name, value in values.items():
            text = text.replace(name, value)
        words = sorted({*HELPERS, "fma", "FMA_HAS", "COLUMNS"}, key=len, reverse=True)
        for word in words:
            text = text.replace(f"@{word}", self.local(word, dtype))
        return text.replace("_f64_f64", "_f64")

    # numbers and operations ---------------------------------------------------------------------

    def constant(self, kind: str, dtype: str, value: Any) -> str:
        if kind == "real":
            text = real_text(value, dtype)
            return f"({text})" if text.startswith("-") else text
        if kind == "bits":
            bits, mark = (32, "u") if dtype == "float32" else (64, "ull")
            return f"{value % 2**bits:#x}{mark}"
        return f"{value % 2**32:#x}u"

    def operation(self, node: Node, arguments: Sequence[str], dtype: str) -> str:
        op = node.op
        if op in ("add", "sub", "mul", "div"):
            sign = {"add": "+", "sub": "-", "mul": "*", "div": "/"}[op]
            return f"{arguments[0]} {sign} {arguments[1]}"
        if op == "neg":
            return f"-{arguments[0]}"
        if op == "integer":
            signs = {"add": "+", "sub": "-", "and_": "&", "or_": "|", "shl": "<<", "lshr": ">>"}
            return f"{arguments[0]} {signs[node.detail]} {arguments[1]}"
        if op == "high":
            return f"(uint32_t)(((uint64_t){arguments[0]} * {arguments[1]}) >> 32)"
        if op in ("multiply", "xor", "below"):
            return "{} {} {}".format(
                arguments[0], {"multiply": "*", "xor": "^", "below": "<"}[op], arguments[1]
            )
        if op == "shift":
            return f"{arguments[0]} >> {node.detail}"
        self.uses(op, dtype)
        return f"{self.helper(op, dtype)}({', '.join(arguments)})"

    def word_of(self, index: str) -> str:
        return f"(uint32_t){index}"

    # memory and statements ----------------------------------------------------------------------

    def element(self, array: str, index: str) -> str:
        return f"{array}[{index}]"

    def pointer(self, array: str, offset: str) -> str:
        return array if offset == "0" else f"{array} + {offset}"

    def let(self, kind: str, dtype: str, name: str, text: str) -> str:
        types = {"real": REAL.get(dtype, ""), "bits": BITS.get(dtype, ""), "mask": "int"}
        types |= {"word": "uint32_t", "index": "int32_t"}
        return f"const {types[kind]} {name} = {text};"

    def lanes(self, name: str, dtype: str, count: int, value: float) -> list[str]:
        start = f"{name}[k] = {self.constant('real', dtype, value)};"
        return [f"{REAL[dtype]} {name}[{count}];", *self.loop("k", str(count), [start])]

    def loop(self, index: str, count: str, body: Sequence[str]) -> list[str]:
        head = f"for (int32_t {index} = 0; {index} < {count}; {index}++) {{"
        return [head, *indented(body), "}"]

    # definitions --------------------------------------------------------------------------------

    def define(
        self,
        name: str,
        dtype: str,
        parameters: Sequence[Parameter],
        lines: Sequence[str],
        returns: str | None = None,
    ) -> list[str]:
        stars = {"in": "const {} *{}", "out": "{} *{}", "number": "const {} {}"}
        given = ", ".join(stars[p.kind].format(TYPES[p.dtype], p.name) for p in parameters)
        head = f"static {TYPES[returns] if returns else 'void'} {self.local(name, dtype)}({given})"
        return [head, "{", *indented(lines), "}"]

    def array(self, name: str, values: Array) -> list[str]:
        dtype, flat = self.dtype_of(values), np.ravel(values)
        if dtype in REAL:
            texts = [real_text(float(a), dtype) for a in flat]
        else:
            texts = [str(a) for a in flat.tolist()]
        head = f"static const {TYPES[dtype]} {self.local(name, '')}[{len(texts)}] = {{"
        return [head, *indented(wrapped(texts)), "};"]

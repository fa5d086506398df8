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
from .helpers import (
    BITS,
    CALL_CORTEX_M,
    CORTEX_M,
    FMA,
    FRACTION,
    HELPERS,
    IS_CORTEX_M,
    REAL,
    WITHIN,
)

Array = Any

TYPES = {**REAL, "int32": "int32_t", "uint32": "uint32_t", "uint64": "uint64_t", "int8": "int8_t"}


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
    helpers = HELPERS

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix

    def helper(self, name: str, dtype: str) -> str:
        return self.local(name, dtype)

    def local(self, name: str, dtype: str) -> str:
        return f"{self.prefix}_{name}{'_f64' * (dtype == 'float64')}"

    def helper_texts(self) -> list[str]:
        """The definitions of all helpers that are used."""
        return [self._text(*used) for used in self.used if used[0] in ("fma", *HELPERS)]

    def _text(self, name: str, dtype: str) -> str:
        text = FMA[dtype] if name == "fma" else HELPERS[name][1]
        small = name == "product" and dtype == "float32"  # what Cortex-M4F has a kernel for
        for mark, kernel in (("$kernel", CORTEX_M), ("$call", CALL_CORTEX_M)):
            text = text.replace(mark, kernel if small else "")
        text = text.replace("$many", IS_CORTEX_M if small else "0")
        weight = "int8_t" if name.endswith("_int8") else REAL[dtype]
        return self._filled(text.replace("$weight", weight), dtype)

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
        for word in sorted({*HELPERS, *WITHIN}, key=len, reverse=True):
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

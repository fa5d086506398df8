"""JavaScript as a dialect: how things are spelt, and the small functions that programs need.

Numbers are doubles. In float32 each operation is rounded by ``Math.fround``, or as it is stored
in a Float32Array: the bits are those of float32, since a double has more than twice the digits.
Only ``fma`` may differ: its exact product and the sum are rounded to a double and then to a float,
which is the right float nearly always. In float64 functions have an ``fma`` that is as good, but
matrix products round each product before they add it.
Every name that a program makes begins with _, so that none is a word of the language.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...expr.graph import Node
from ..imperative.dialect import Dialect, Parameter
from ..imperative.expressions import indented

Array = Any

ARRAYS = {"float32": "Float32Array", "float64": "Float64Array", "int32": "Int32Array"}

FEW = 8
"""Arrays of at most so many numbers are decimals; longer ones are coded, 4 letters for 3 bytes."""

BITS = """\
const _word{mark} = new {words}(1), _number{mark} = new {reals}(_word{mark}.buffer);"""

HELPERS: dict[str, tuple[tuple[str, ...], str]] = {
    "views": ((), BITS),
    "bits": (
        ("views",),
        "function _bits{mark}(a) {{ _number{mark}[0] = a; return _word{mark}[0]; }}",
    ),
    "real": (
        ("views",),
        "function _real{mark}(a) {{ _word{mark}[0] = a; return _number{mark}[0]; }}",
    ),
    "fma": (
        (),
        """\
// a b + c with the errors of the product (Dekker) and of the sum (Knuth), rounded at last
function _fma{mark}(a, b, c) {{
  const p = a * b, s = p + c, t = s - p;
  const u = a * 134217729, a1 = u - (u - a), a2 = a - a1;
  const v = b * 134217729, b1 = v - (v - b), b2 = b - b1;
  const rest = (a2 * b2 - (p - a1 * b1 - a2 * b1 - a1 * b2)) + (p - (s - t) + (c - t));
  return Number.isFinite(rest) ? s + rest : s;
}}""",
    ),
    "copysign": (
        (),
        """\
function _copysign(a, b) {{
  return b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a);
}}""",
    ),
    "round": (
        ("copysign",),
        """\
// the nearest whole number, half to even
function _round{mark}(a) {{
  const b = Math.abs(a);
  return b < {large} ? _copysign({fround}(b + {large}) - {large}, a) : a;
}}""",
    ),
    "minimum": ((), "function _minimum(a, b) {{ return a !== a || a < b ? a : b; }}"),
    "maximum": ((), "function _maximum(a, b) {{ return a !== a || a > b ? a : b; }}"),
    "add": ((), "function _add(a, b) {{ return a + b; }}"),
    "tree_add": (
        (),
        """\
function _tree_add(a) {{
  for (let half = 8; half > 0; half >>= 1) {{
    for (let i = 0; i < half; i++) a[i] += a[i + half];
  }}
  return a[0];
}}""",
    ),
    "tree_maximum": (
        ("maximum",),
        """\
function _tree_maximum(a) {{
  for (let half = 8; half > 0; half >>= 1) {{
    for (let i = 0; i < half; i++) a[i] = _maximum(a[i], a[i + half]);
  }}
  return a[0];
}}""",
    ),
    "place": (
        (),
        """\
function _place(a, values) {{
  return a >= 1 ? Math.min(Math.trunc(a), values - 1) : 0;
}}""",
    ),
    "product": (
        (),
        """\
// y = b + x w, each sum in the order of x; y rounds what it stores
function _product(x, w, b, y, depth, width) {{
  for (let c = 0; c < width; c++) y[c] = b ? b[c] : 0;
  for (let k = 0, at = 0; k < depth; k++) {{
    const a = x[k];
    for (let c = 0; c < width; c++, at++) y[c] += a * w[at];
  }}
}}""",
    ),
    "product_transposed": (
        (),
        """\
// y = b + x w' of w (width, depth)
function _product_transposed(x, w, b, y, depth, width) {{
  for (let c = 0, at = 0; c < width; c++) {{
    y[c] = b ? b[c] : 0;
    for (let k = 0; k < depth; k++, at++) y[c] += x[k] * w[at];
  }}
}}""",
    ),
    "high": (
        (),
        "function _high(a, b) {{ return Number((BigInt(a) * BigInt(b)) >> 32n); }}",
    ),
}
"""Each helper with the others that it calls. Those with a mark differ by dtype."""

SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and_": "&", "or_": "|", "shl": "<<"}


def text_of(value: Any) -> str:
    """A JavaScript literal of plain data, in ASCII; it may stand within a page."""
    return json.dumps(value).replace("<", "\\u003c")


def real_text(value: float, dtype: str) -> str:
    """A number as JavaScript has it, to the bit."""
    with np.errstate(over="ignore"):
        value = float(np.dtype(dtype).type(value))
    if math.isfinite(value):
        return repr(value).removesuffix(".0")
    return "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"


def array_text(values: Array) -> str:
    """An expression for a typed array."""
    flat = np.ravel(values)
    dtype = str(flat.dtype)
    if len(flat) > FEW and not flat.view(np.uint8).any():
        return f"new {ARRAYS[dtype]}({len(flat)})"
    if len(flat) <= FEW:
        texts = ", ".join(real_text(a, dtype) for a in flat.tolist())
        return f"{ARRAYS[dtype]}.of({texts})"
    code = base64.b64encode(flat.astype(flat.dtype.newbyteorder("<")).tobytes()).decode()
    return f'_decoded({ARRAYS[dtype]}, "{code}")'


class JavaScript(Dialect):
    """ECMAScript 2022."""

    null = "null"
    helpers = HELPERS

    def helper(self, name: str, dtype: str) -> str:
        marked = "{mark}(" in HELPERS[name][1]
        return f"_{name}{'_f64' * (marked and dtype == 'float64')}"

    def local(self, name: str, dtype: str) -> str:
        return f"_{name}{'_f64' * (dtype == 'float64')}"

    def helper_texts(self) -> list[str]:
        """The definitions of all helpers that are used."""
        texts = []
        for name, dtype in self.used:
            single = dtype == "float32"
            if name in HELPERS:
                text = HELPERS[name][1].format(
                    mark="" if single else "_f64",
                    words="Uint32Array" if single else "BigUint64Array",
                    reals=ARRAYS[dtype],
                    large=real_text(2.0 ** np.finfo(dtype).nmant, dtype),
                    fround="fround" * single,
                )
                texts.append(text)
        return list(dict.fromkeys(texts))

    # numbers and operations ---------------------------------------------------------------------

    def constant(self, kind: str, dtype: str, value: Any) -> str:
        if kind == "real":
            text = real_text(value, dtype)
            return f"({text})" if text.startswith("-") else text
        if kind == "bits" and dtype == "float64":
            return f"{value % 2**64:#x}n"
        return f"{value % 2**32:#x}"

    def operation(self, node: Node, arguments: Sequence[str], dtype: str) -> str:
        op, single = node.op, dtype == "float32"
        rounded = "fround({})" if single else "{}"
        if op in ("add", "sub", "mul", "div"):
            return rounded.format(f"{arguments[0]} {SIGNS[op]} {arguments[1]}")
        if op == "fma" and single:
            return rounded.format("{} * {} + {}".format(*arguments))
        if op == "sqrt":
            return rounded.format(f"Math.sqrt({arguments[0]})")
        if op == "neg":
            return f"-{arguments[0]}"
        if op == "abs":
            return f"Math.abs({arguments[0]})"
        if op == "integer":
            return self._integer(node.detail, arguments, single)
        words = {
            "multiply": "Math.imul({}, {}) >>> 0",
            "xor": "({} ^ {}) >>> 0",
            "below": "{} < {}",
        }
        if op in words:
            return words[op].format(*arguments)
        if op == "shift":
            return f"{arguments[0]} >>> {node.detail}"
        self.uses(op, dtype)
        return f"{self.helper(op, dtype)}({', '.join(arguments)})"

    def _integer(self, detail: str, arguments: Sequence[str], single: bool) -> str:
        """Modulo 2**32 on numbers, modulo 2**64 on BigInts."""
        a, b = arguments
        if detail == "lshr":
            return f"{a} >>> {b}" if single else f"{a} >> {b}"
        text = f"{a} {SIGNS[detail]} {b}"
        return f"({text}) >>> 0" if single else f"BigInt.asUintN(64, {text})"

    def word_of(self, index: str) -> str:
        return index

    # memory and statements ----------------------------------------------------------------------

    def pointer(self, array: str, offset: str) -> str:
        return array if offset == "0" else f"{array}.subarray({offset})"

    def let(self, kind: str, dtype: str, name: str, text: str) -> str:
        return f"const {name} = {text};"

    def lanes(self, name: str, dtype: str, count: int, value: float) -> list[str]:
        start = self.constant("real", dtype, value)
        return [f"const {name} = new {ARRAYS[dtype]}({count}).fill({start});"]

    def loop(self, index: str, count: str, body: Sequence[str]) -> list[str]:
        head = f"for (let {index} = 0; {index} < {count}; {index}++) {{"
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
        given = ", ".join(parameter.name for parameter in parameters)
        return [f"function {self.local(name, dtype)}({given}) {{", *indented(lines), "}"]

    def array(self, name: str, values: Array) -> list[str]:
        return [f"const {self.local(name, '')} = {array_text(values)};"]

"""Formulas as graphs of operations that ONNX's default domain has, and onnxruntime in both dtypes.

``exp``, ``log``, ``tanh`` and float32's ``erf`` are the language's own. The others are composed
here, of formulas over these.
"""

from __future__ import annotations

import math
from typing import Any

from ...expr.functions import DOUBLE, SINGLE, Primitives, minus_log_erfc
from ...expr.trace import is_number
from ...formulas import turns

Array = Any

OPERATORS = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "neg": "Neg",
    "abs": "Abs",
    "sqrt": "Sqrt",
    "minimum": "Min",
    "maximum": "Max",
    "where": "Where",
    "exp": "Exp",
    "log": "Log",
    "tanh": "Tanh",
    "erf": "Erf",
    "sin": "Sin",
    "round": "Round",
    "row_sum": "ReduceSum",
    "row_max": "ReduceMax",
}
"""ONNX's operator for each operation of a graph; comparisons have `COMPARISONS`."""

COMPARISONS = {
    "<": "Less",
    "<=": "LessOrEqual",
    ">": "Greater",
    ">=": "GreaterOrEqual",
    "==": "Equal",
}


class Onnx(Primitives):
    """The namespace that formulas are traced with.

    Parameters
    ----------
    name : str
        Of the formula.
    dtype : {"float32", "float64"}
    """

    def __init__(self, name: str, dtype: str) -> None:
        super().__init__(name)
        self.format = SINGLE if dtype == "float32" else DOUBLE

    def fma(self, a: Array, b: Array, c: Array) -> Array:
        """``a * b + c``, rounded twice."""
        return a * b + c

    def sin(self, a: Array) -> Array:
        return self.real_node("sin", a)

    def expm1(self, a: Array) -> Array:
        # (exp(a) - 1) / (exp(a) + 1) is tanh(a / 2), which loses nothing near zero
        if is_number(a):
            return super().expm1(a)
        return self.tanh(0.5 * a) * (self.exp(a) + 1.0)

    def log1p(self, a: Array) -> Array:
        # Kahan: log(u) / (u - 1) hardly changes with u, so the rounding of u = 1 + a cancels
        if is_number(a):
            return super().log1p(a)
        u = 1.0 + a
        d = u - 1.0
        exact = self.where(d == a, self.log(u), self.log(u) * (a / d))  # infinity among them
        return self.where(u == 1.0, a, exact)

    def erf(self, a: Array) -> Array:
        if is_number(a):
            return super().erf(a)
        if self.format is SINGLE:  # onnxruntime before 1.21 gives 1 for NaN
            return self.where(a == a, super().erf(a), a)
        y = -self.expm1(-minus_log_erfc(self, a))  # onnxruntime has no Erf of float64
        return self.where(a < 0.0, -y, y)

    def cos_turns(self, a: Array) -> Array:
        return super().cos_turns(a) if is_number(a) else turns.cosine(self, a)

    def sin_turns(self, a: Array) -> Array:
        return super().sin_turns(a) if is_number(a) else turns.sine(self, a)

    def row_max(self, a: Array) -> Array:
        # onnxruntime's ReduceMax leaves out a NaN that is not alone
        absent = self.row_sum(self.where(a == a, 0.0, 1.0))
        return self.where(absent > 0.0, math.nan, super().row_max(a))

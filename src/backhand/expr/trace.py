"""Formulas as graphs: a formula is run once on symbols, and what it does is recorded.

`trace` gives a `Graph`, which emits itself on vectors of any width as often as needed. Recording
first brings what instructions could not: equal terms are computed once, what nobody reads is not
computed, what is the same for a whole row is computed once a row, and a formula with reductions
falls apart into the passes over its row that it needs (see `Graph.stages`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..formulas import turns
from .graph import FUNCTIONS, Graph, Node

__all__ = ["FUNCTIONS", "KINDS", "OPERATIONS", "Graph", "Node", "Trace", "Value", "trace"]

OPERATIONS = (
    *("+", "-", "*", "/", "<", "<=", ">", ">=", "=="),
    *("where", "abs", "sqrt", "round", "minimum", "maximum"),
    *FUNCTIONS,
    *("row_sum", "row_max", "is_column"),
    *("u32_multiply", "u32_high", "u32_xor", "u32_shift", "u32_below"),
)

REDUCTIONS = ("row_sum", "row_max")

KINDS = ("real", "scalar", "index", "word", "words", "column")


class Value:
    """A node while a formula is being traced; the subclasses have the operators."""

    __array_ufunc__ = None  # a NumPy scalar on the left leaves the operation to us

    def __init__(self, trace: Trace, number: int) -> None:
        self._trace, self._number = trace, number

    @property
    def _node(self) -> Node:
        return self._trace.nodes[self._number]

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise self._trace.error(
            "branches on data, which differs from lane to lane: choose with xp.where(condition, "
            "a, b)"
        )

    __float__ = __int__ = __index__ = __bool__

    def _refuse(self, what: str) -> Any:
        raise self._trace.unknown(what)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._refuse(f".{name}")

    def __ne__(self, other: object) -> Any:
        return self._refuse("!=")

    def __getitem__(self, key: Any) -> Any:
        return self._refuse("indexing")


def refusing(cls: type[Value]) -> type[Value]:
    """Give a class every operator that a formula may not use, as an error that names it."""
    signs = {"pow": "**", "mod": "%", "floordiv": "//", "matmul": "@", "and": "&", "or": "|"}
    signs |= {"xor": "^", "lshift": "<<", "rshift": ">>", "invert": "~", "divmod": "divmod"}
    signs |= {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "neg": "-", "round": "round"}
    signs |= {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "iter": "iteration"}
    signs |= {"len": "len"}
    for name, sign in signs.items():
        for method in (f"__{name}__", f"__r{name}__"):
            inherited = getattr(cls, method, None)
            if inherited is None or inherited is getattr(object, method, None):
                text = sign if sign[0].isalpha() else f"{sign} on {cls.__name__.lower()}s"
                refusal = functools.partialmethod(lambda self, *_, t: self._refuse(t), t=text)
                setattr(cls, method, refusal)
    return cls


def _binary(op: str, swap: bool = False) -> Callable[[Any, Any], Any]:
    def operator(self: Value, other: Any) -> Any:
        a, b = (other, self) if swap else (self, other)
        return self._trace.real_node(op, a, b)

    return operator


def _comparison(sign: str) -> Callable[[Any, Any], Any]:
    def operator(self: Value, other: Any) -> Any:
        return self._trace.compare(sign, self, other)

    return operator


@refusing
class Vector(Value):
    """Numbers, one a lane."""

    __add__, __radd__ = _binary("add"), _binary("add", swap=True)
    __sub__, __rsub__ = _binary("sub"), _binary("sub", swap=True)
    __mul__, __rmul__ = _binary("mul"), _binary("mul", swap=True)
    __truediv__, __rtruediv__ = _binary("div"), _binary("div", swap=True)
    __lt__, __le__ = _comparison("<"), _comparison("<=")
    __gt__, __ge__ = _comparison(">"), _comparison(">=")
    __eq__ = _comparison("==")
    __hash__ = Value.__hash__

    def __neg__(self) -> Any:
        return self._trace.real_node("neg", self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self._trace.abs(self)


@refusing
class Mask(Value):
    """Truth values, one a lane; good for ``xp.where`` alone."""


@refusing
class Word(Value):
    """32 bits without sign, one word a lane."""


@refusing
class Index(Value):
    """A class index, one a row; good for ``xp.is_column`` alone."""


_CLASSES: dict[str, type[Value]] = {"real": Vector, "mask": Mask, "word": Word, "index": Index}


def is_number(value: Any) -> bool:
    """Whether a formula may use it as a constant."""
    return isinstance(value, (int, float, np.floating, np.integer))


class Trace:
    """The namespace that formulas are traced with; it implements `formulas.namespace`."""

    def __init__(self, name: str = "formula") -> None:
        self.name = name
        self.nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}

    def error(self, what: str) -> InputError:
        return InputError(f"formula {self.name!r} {what}")

    def unknown(self, what: str) -> InputError:
        return self.error(f"uses {what}; formulas may use: {' '.join(OPERATIONS)}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.unknown(f"xp.{name}")

    # recording -----------------------------------------------------------------------------------

    def record(
        self, op: str, kind: str, *arguments: int, detail: Any = None, uniform: bool | None = None
    ) -> Value:
        """Add a node, or find the one that does the same."""
        given = [self.nodes[number] for number in arguments]
        if uniform is None:
            uniform = all(node.uniform for node in given)
        level = max((node.level for node in given), default=0) + (op in REDUCTIONS)
        # repr tells 0.0 from -0.0, which compare equal
        detail = _Exact(detail) if isinstance(detail, float) else detail
        node = Node(op, kind, arguments, detail, uniform, level)
        number = self._numbers.setdefault(node, len(self.nodes))
        if number == len(self.nodes):
            self.nodes.append(node)
        return self._class(kind)(self, number)

    def _class(self, kind: str) -> type[Value]:
        return _CLASSES[kind]

    def number_of(self, value: Any, kind: str, where: str) -> int:
        """The node of an argument, which may be a constant."""
        if isinstance(value, Value):
            if value._trace is not self:
                raise self.error("keeps values of an earlier call; it must use its arguments alone")
            if value._node.kind != kind:
                raise self.error(f"gives {where} a {value._node.kind}; it takes a {kind}")
            return value._number
        if kind == "real" and is_number(value):
            return self.record("constant", kind, detail=float(value), uniform=True)._number
        if kind in ("word", "index") and isinstance(value, (int, np.integer)):
            return self.record("constant", "word", detail=int(value) % 2**32, uniform=True)._number
        raise self.error(f"gives {where} {value!r}; it takes a {kind} or a Python number")

    def real_node(self, op: str, *arguments: Any) -> Any:
        numbers = [self.number_of(value, "real", op) for value in arguments]
        return self.record(op, "real", *numbers)

    def compare(self, sign: str, a: Any, b: Any) -> Any:
        numbers = [self.number_of(value, "real", sign) for value in (a, b)]
        return self.record("compare", "mask", *numbers, detail=sign)

    def input(self, name: str, kind: str) -> Value:
        """An argument of the formula, of one of `KINDS`."""
        if kind == "column":
            return self.record("column", "word", uniform=False)
        made = {"real": "real", "scalar": "real", "index": "index"}.get(kind, "word")
        uniform = kind in ("scalar", "index", "word")
        return self.record("input", made, detail=name, uniform=uniform)

    # the list of operations ----------------------------------------------------------------------

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        if isinstance(condition, (bool, np.bool_)):
            return a if condition else b
        numbers = [self.number_of(condition, "mask", "xp.where")]
        numbers += [self.number_of(value, "real", "xp.where") for value in (a, b)]
        return self.record("where", "real", *numbers)

    def _unary(self, name: str, folded: Callable[[float], float], a: Any) -> Any:
        if is_number(a):
            return folded(float(a))
        return self.real_node(name, a)

    def abs(self, a: Any) -> Any:
        return self._unary("abs", math.fabs, a)

    def sqrt(self, a: Any) -> Any:
        return self._unary("sqrt", math.sqrt, a)

    def round(self, a: Any) -> Any:
        return self._unary("round", lambda a: float(np.rint(a)), a)

    def exp(self, a: Any) -> Any:
        return self._unary("exp", math.exp, a)

    def expm1(self, a: Any) -> Any:
        return self._unary("expm1", math.expm1, a)

    def log(self, a: Any) -> Any:
        return self._unary("log", math.log, a)

    def log1p(self, a: Any) -> Any:
        return self._unary("log1p", math.log1p, a)

    def tanh(self, a: Any) -> Any:
        return self._unary("tanh", math.tanh, a)

    def erf(self, a: Any) -> Any:
        return self._unary("erf", math.erf, a)

    def cos_turns(self, a: Any) -> Any:
        return self._unary("cos_turns", lambda a: float(turns.cosine(np, a)), a)

    def sin_turns(self, a: Any) -> Any:
        return self._unary("sin_turns", lambda a: float(turns.sine(np, a)), a)

    def minimum(self, a: Any, b: Any) -> Any:
        return min(a, b) if is_number(a) and is_number(b) else self.real_node("minimum", a, b)

    def maximum(self, a: Any, b: Any) -> Any:
        return max(a, b) if is_number(a) and is_number(b) else self.real_node("maximum", a, b)

    def _reduce(self, op: str, a: Any) -> Any:
        number = self.number_of(a, "real", f"xp.{op}")
        if self.nodes[number].uniform:  # (N, 1): a row of one
            return a
        return self.record(op, "real", number, uniform=True)

    def row_sum(self, a: Any) -> Any:
        return self._reduce("row_sum", a)

    def row_max(self, a: Any) -> Any:
        return self._reduce("row_max", a)

    def is_column(self, t: Any, z: Any) -> Any:
        number = self.number_of(t, "index", "xp.is_column")
        return self.record("is_column", "mask", number, uniform=False)

    def _words(self, op: str, kind: str, a: Any, b: Any) -> Any:
        return self.record(op, kind, *(self.number_of(v, "word", f"xp.u32_{op}") for v in (a, b)))

    def u32_multiply(self, a: Any, b: Any) -> Any:
        return self._words("multiply", "word", a, b)

    def u32_high(self, a: Any, b: Any) -> Any:
        return self._words("high", "word", a, b)

    def u32_xor(self, a: Any, b: Any) -> Any:
        return self._words("xor", "word", a, b)

    def u32_shift(self, a: Any, n: int) -> Any:
        return self.record(
            "shift", "word", self.number_of(a, "word", "xp.u32_shift"), detail=int(n)
        )

    def u32_below(self, a: Any, b: Any) -> Any:
        return self._words("below", "mask", a, b)


class _Exact(float):
    """A constant that is equal to another only if all its bits are."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and float(self).hex() == float(other).hex()

    def __hash__(self) -> int:
        return hash(float(self).hex())


def trace(
    formula: Callable[..., Any],
    inputs: Sequence[tuple[str, str] | None],
    keywords: Mapping[str, float | str] | None = None,
    namespace: Callable[[str], Trace] = Trace,
) -> Graph:
    """Run a formula on symbols and record it.

    Parameters
    ----------
    formula : callable
        ``formula(xp, *inputs, **keywords)``, which returns a value or a tuple of values.
    inputs : sequence of (name, kind) or None
        The arguments after ``xp``; None is passed on as None. Kinds: ``real``, a number an
        element; ``scalar``, a number the same for the row or the program; ``index``, a class index
        a row; ``word`` and ``words``, 32 bits a row and an element; ``column``, the element's
        column as a word, which needs no input.
    keywords : mapping of str to float or str, optional
        Keyword arguments: a number is a constant, the text ``scalar`` makes it a run-time scalar.

    Returns
    -------
    Graph

    Raises
    ------
    InputError
        If the formula branches on data or uses an operation that is not in the list.
    """
    name = getattr(formula, "__name__", "formula")
    xp = namespace(name)
    kinds: dict[str, str] = {}
    arguments: list[Any] = []
    for given in inputs:
        if given is None:
            arguments.append(None)
            continue
        kinds[given[0]] = given[1]
        arguments.append(xp.input(*given))
    named: dict[str, Any] = {}
    for key, value in (keywords or {}).items():
        if isinstance(value, str):
            kinds[key] = value
            named[key] = xp.input(key, value)
        else:
            named[key] = value
    for key, kind in kinds.items():
        if kind not in KINDS:
            raise InputError(f"input {key!r} of a formula: kind {kind!r} is none of {KINDS}")
    try:
        result = formula(xp, *arguments, **named)
    except (TypeError, AttributeError) as error:
        raise xp.error(f"cannot be compiled: {error}") from error
    results = result if isinstance(result, tuple) else (result,)
    numbers = []
    for value in results:
        kind = value._node.kind if isinstance(value, Value) else "real"
        numbers.append(xp.number_of(value, kind, "its caller"))
    return _pruned(xp, name, numbers, kinds)


def _pruned(xp: Trace, name: str, outputs: Sequence[int], kinds: Mapping[str, str]) -> Graph:
    everything = Graph(name, tuple(xp.nodes), tuple(outputs), {})
    kept = everything.needed(outputs, set())
    place = {number: k for k, number in enumerate(kept)}
    nodes = tuple(
        dataclasses.replace(
            xp.nodes[number], arguments=tuple(place[a] for a in xp.nodes[number].arguments)
        )
        for number in kept
    )
    read = {node.detail: kinds[node.detail] for node in nodes if node.op == "input"}
    return Graph(name, nodes, tuple(place[number] for number in outputs), read)

"""What a language like C has to say for itself: how things are spelt, and a few small functions.

A dialect is a subclass of `Dialect`. What it must implement is what raises NotImplementedError
here; the statements that such languages have in common (loops, assignments, indices) stand in
`expressions` and `writer`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...expr.graph import Node

Array = Any


@dataclasses.dataclass(frozen=True)
class Parameter:
    """An argument of a function that is written.

    Attributes
    ----------
    name : str
    dtype : str
        float32, float64, or int32 for indices and counts.
    kind : {"in", "out", "number"}
        Numbers in memory that it reads, or writes (and may read); or one number.
    """

    name: str
    dtype: str
    kind: str


class Dialect:
    """How a language spells what programs are made of, and which helpers a file needs.

    Attributes
    ----------
    helpers : mapping of str to (tuple of str, str)
        Helpers, each with the others that it calls, and its text.
    used : dict of (str, str) to None
        Helpers that were asked for, by name and dtype, in order.
    """

    helpers: Mapping[str, tuple[tuple[str, ...], str]]

    def __init__(self) -> None:
        self.used: dict[tuple[str, str], None] = {}

    def uses(self, name: str, dtype: str) -> None:
        """Note that a helper is needed, with those that it calls."""
        for other in self.helpers[name][0] if name in self.helpers else ():
            self.uses(other, dtype)
        self.used[name, dtype] = None

    # names --------------------------------------------------------------------------------------

    def helper(self, name: str, dtype: str) -> str:
        """What a helper is called: ``product``, ``product_transposed``, ``add``, ``minimum``,
        ``maximum``, ``tree_add``, ``tree_maximum``, ``place``, and what `operation` uses.

            product(x, w, b, y, depth, width)
                y[c] = b[c] + x[0] w[0, c] + x[1] w[1, c] + ..., one fma after another;
                without a bias, b is `null`, and the sum begins with 0
            product_transposed(x, w, b, y, depth, width)
                the same with w[c, k]
            product_int8, product_transposed_int8
                the same with w of int8
            tree_add(lanes), tree_maximum(lanes)
                sixteen numbers as one: the first half with the second, and so on
            place(a, values)
                a number as an index from 0 to values - 1
        """
        raise NotImplementedError

    def local(self, name: str, dtype: str) -> str:
        """What a function of a formula, or an array of constants, is called."""
        raise NotImplementedError

    def function_of(self, name: str, dtype: str) -> str:
        """What exp, tanh, ... is called; notes that it is needed."""
        self.uses(name, dtype)
        return self.local(name, dtype)

    # numbers and operations ---------------------------------------------------------------------

    def constant(self, kind: str, dtype: str, value: Any) -> str:
        """A constant of a kind of `expr.graph.Node`; one that can stand within an expression."""
        raise NotImplementedError

    def operation(self, node: Node, arguments: Sequence[str], dtype: str) -> str:
        """An expression for ``add sub mul div neg abs sqrt fma copysign round``; ``bits real
        integer``; ``multiply high xor shift below``."""
        raise NotImplementedError

    def word_of(self, index: str) -> str:
        """An index as a 32-bit word without sign."""
        raise NotImplementedError

    # memory and statements ----------------------------------------------------------------------

    null: str
    """Where there is no array."""

    def element(self, array: str, index: str) -> str:
        """An element of what a parameter points to."""
        return f"{array}[{index}]"

    def pointer(self, array: str, offset: str) -> str:
        """An argument that points to an element of an array (of a constant, or a parameter)."""
        raise NotImplementedError

    def let(self, kind: str, dtype: str, name: str, text: str) -> str:
        """The statement that gives a value a name."""
        raise NotImplementedError

    def lanes(self, name: str, dtype: str, count: int, value: float) -> list[str]:
        """The statements that make a small array whose elements are all equal."""
        raise NotImplementedError

    def loop(self, index: str, count: str, body: Sequence[str]) -> list[str]:
        """``for index = 0, 1, ..., count - 1``."""
        raise NotImplementedError

    # definitions --------------------------------------------------------------------------------

    def define(
        self,
        name: str,
        dtype: str,
        parameters: Sequence[Parameter],
        lines: Sequence[str],
        returns: str | None = None,
    ) -> list[str]:
        """The lines of the function ``local(name, dtype)``; ``returns`` a dtype, or it is None."""
        raise NotImplementedError

    def array(self, name: str, values: Array) -> list[str]:
        """The lines of constants in memory, in C order, called ``local(name, dtype)``."""
        raise NotImplementedError

    def dtype_of(self, values: Array) -> str:
        """The dtype of an array of constants, by name."""
        return str(np.asarray(values).dtype)

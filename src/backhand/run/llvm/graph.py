"""What a formula does, as data: nodes that read earlier nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import InputError
from .lanes import Lanes
from .lanes import Value as Emitted

FUNCTIONS = ("exp", "expm1", "log", "log1p", "tanh", "erf")
"""Operations that are themselves formulas; see `functions`."""


@dataclasses.dataclass(frozen=True)
class Node:
    """One operation on earlier nodes of a graph.

    Attributes
    ----------
    op : str
        What it does; ``constant`` and ``input`` have no arguments.
    kind : {"real", "mask", "word", "bits", "index"}
        What it gives: a number, a truth value, 32 bits, the bits of a number, a class index.
    arguments : tuple of int
        The nodes it reads.
    detail : object
        A constant's value, an input's name, a comparison's sign, a shift's distance.
    uniform : bool
        Whether it is the same in all columns of a row.
    level : int
        How many passes over the row must be done before it can be computed.
    """

    op: str
    kind: str
    arguments: tuple[int, ...] = ()
    detail: Any = None
    uniform: bool = False
    level: int = 0


@dataclasses.dataclass(frozen=True)
class Graph:
    """What a formula does, without what nobody reads.

    Attributes
    ----------
    name : str
        Of the formula.
    nodes : tuple of Node
        In an order in which they can be computed.
    outputs : tuple of int
        The nodes that the formula returns.
    inputs : dict of str to str
        Names and kinds of the arguments that are really read.
    """

    name: str
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    inputs: dict[str, str]

    @property
    def stages(self) -> int:
        """How many passes over a row come before the one that gives the outputs."""
        return max((node.level for node in self.nodes), default=0)

    @property
    def uniform(self) -> tuple[bool, ...]:
        """For each output, whether it is one number a row."""
        return tuple(self.nodes[number].uniform for number in self.outputs)

    @property
    def reads_columns(self) -> bool:
        """Whether it must know which columns the lanes stand for."""
        return any(node.op in ("column", "is_column") for node in self.nodes)

    @property
    def calls(self) -> bool:
        """Whether it has functions such as exp, each of which is many operations."""
        return any(node.op in FUNCTIONS for node in self.nodes)

    def needed(self, targets: Sequence[int], known: Mapping[int, Any] | set[int]) -> list[int]:
        """What must be computed for ``targets``, in order, when ``known`` is there already."""
        found: set[int] = set()
        waiting = [number for number in targets if number not in known]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += [a for a in self.nodes[number].arguments if a not in known]
        return sorted(found)

    def emit(
        self, lanes: Lanes, inputs: Mapping[str, Emitted], column: Emitted | int | None = None
    ) -> tuple[Emitted, ...]:
        """Emit a formula without reductions on one vector.

        Parameters
        ----------
        lanes : Lanes
            Where and how wide; with one lane everything is scalar.
        inputs : mapping of str to ir.Value
            For every name in ``inputs``: a vector for ``real`` and ``words``, a scalar for the
            kinds that are the same in all columns.
        column : ir.Value or int, optional
            The column of the first lane, an i32 or i64.

        Returns
        -------
        tuple of ir.Value
            One vector for each output.

        Raises
        ------
        InputError
            If it has reductions, which need the whole row, or needs ``column`` and has none.
        """
        from .emission import emit_vector

        if self.stages:
            raise InputError(
                f"formula {self.name!r} reduces over a row, which one vector is not: emit_row"
            )
        if self.reads_columns and column is None:
            raise InputError(f"formula {self.name!r} reads the column, and none was given")
        return emit_vector(self, lanes, inputs, column)

    def __str__(self) -> str:
        lines = []
        for number, node in enumerate(self.nodes):
            parts = [f"%{argument}" for argument in node.arguments]
            parts += [] if node.detail is None else [str(node.detail)]
            each = "a row" if node.uniform else "an element"
            lines.append(f"%{number} = {node.op}({', '.join(parts)})  # {node.kind} {each}")
        lines.append("return " + ", ".join(f"%{number}" for number in self.outputs))
        return "\n".join(lines)

"""What a formula does, as data: nodes that read earlier nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

FUNCTIONS = ("exp", "expm1", "log", "log1p", "tanh", "erf", "cos_turns", "sin_turns")
"""Operations that are many instructions: the compiled executor has a formula for each."""


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

    def __str__(self) -> str:
        lines = []
        for number, node in enumerate(self.nodes):
            parts = [f"%{argument}" for argument in node.arguments]
            parts += [] if node.detail is None else [str(node.detail)]
            each = "a row" if node.uniform else "an element"
            lines.append(f"%{number} = {node.op}({', '.join(parts)})  # {node.kind} {each}")
        lines.append("return " + ", ".join(f"%{number}" for number in self.outputs))
        return "\n".join(lines)

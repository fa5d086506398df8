"""Nodes of a plan on one row, as the statements of a language like C.

    product                a call of the dialect's loop
    map, row formula       a function for each formula, called for each member
    lookup, sums, ...      loops that are written here

What a language spells in its own way stands in its `dialect.Dialect`; where buffers lie says
`memory`. A routine is a function of arrays that it is given, arrays for its results, and a scratch
array: it keeps nothing from one call to the next.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ...expr.graph import FUNCTIONS, Graph
from ...plan.buffers import Axes, Buffer
from ...plan.nodes import (
    BatchSum,
    Cumulate,
    Lookup,
    Map,
    MemberSum,
    Node,
    NormaliseWeights,
    Product,
    ScaleRows,
    ScatterAdd,
)
from ..free_names import free_name
from ..program import Stage
from .dialect import Dialect, Parameter
from .expressions import function_lines, row_lines
from .formulas import dtype_of, formula_of, traced
from .memory import SCRATCH, Memory, Place, size_of

Array = Any


@dataclasses.dataclass(frozen=True)
class Routine:
    """A function that was written.

    Attributes
    ----------
    name : str
        Of the function is ``dialect.local(name, dtype)``.
    dtype : str
    given, results : tuple of int
        The numbers in each array that it takes and that it writes; its arguments in order, and the
        scratch array goes last.
    scratch : int
        Numbers that the scratch array must have room for.
    """

    name: str
    dtype: str
    given: tuple[int, ...]
    results: tuple[int, ...]
    scratch: int


class Writer:
    """Collects the constants and functions of one file; each stands there once.

    Parameters
    ----------
    dialect : Dialect
    taken : collection of str
        Names that functions and constants must not have.

    Attributes
    ----------
    arrays : list of (str, array)
        Constants in memory, by name.
    functions : list of list of str
        Definitions, in an order in which each comes after what it calls; without those of
        `expr.graph.FUNCTIONS`, see `definitions`.
    taken : set of str
        Names of functions and constants by now, and those that they must not have.
    """

    def __init__(self, dialect: Dialect, taken: Collection[str] = ()) -> None:
        self.dialect = dialect
        self.arrays: list[tuple[str, Array]] = []
        self.functions: list[list[str]] = []
        self._constants: dict[tuple[str, bytes], str] = {}
        self._formulas: dict[Any, str] = {}
        self.taken = {*FUNCTIONS, *taken}

    def definitions(self) -> list[list[str]]:
        """All functions: exp and its like first."""
        done: dict[tuple[str, str], list[str]] = {}
        while waiting := [u for u in self.dialect.used if u[0] in FUNCTIONS and u not in done]:
            for name, dtype in waiting:
                done[name, dtype] = function_lines(name, self.dialect, dtype)
        return [*done.values(), *self.functions]

    def name(self, wanted: str) -> str:
        """A name that nothing else has, as an identifier near to what was wanted."""
        base = re.sub(r"[^A-Za-z0-9]+", "_", wanted).strip("_") or "f"
        return free_name(base, self.taken)

    def constant(self, name: str, values: Array) -> str:
        """The array of constants with these values; equal ones are there once."""
        values = np.ascontiguousarray(values)
        key = str(values.dtype), values.tobytes()
        if key not in self._constants:
            self._constants[key] = self.name(name)
            self.arrays.append((self._constants[key], values))
        return self._constants[key]

    def formula(
        self,
        graph: Graph,
        dtype: str,
        inputs: Sequence[tuple[str, str]],
        wide: Sequence[bool],
    ) -> tuple[str, list[Parameter], bool]:
        """The function of a formula on one row: its name, parameters and whether it takes n.

        ``inputs`` are names and dtypes. Only what the graph reads becomes a parameter.
        """
        parameters = [Parameter(name, kind, "in") for name, kind in inputs if name in graph.inputs]
        parameters += [Parameter(f"y{i}", dtype, "out") for i in range(len(wide))]
        loops = any(wide) or graph.stages > 0
        key = graph.nodes, graph.outputs, tuple(graph.inputs.items()), dtype, tuple(wide)
        if key not in self._formulas:
            name = self._formulas[key] = self.name(f"map_{graph.name}")
            count = [Parameter("n", "int32", "number")] if loops else []
            lines = row_lines(name, graph, self.dialect, dtype, [*count, *parameters], wide)
            self.functions.append(lines)
        return self._formulas[key], parameters, loops

    def stage(self, stage: Stage) -> Routine:
        """The function of a stage: ``(given..., y, scratch)``."""
        return self.routine(
            stage.name, stage.dtype, stage.given, stage.nodes, stage.constants, (stage.result,)
        )

    def routine(
        self,
        name: str,
        dtype: str,
        given: Sequence[Buffer],
        nodes: Sequence[Node],
        constants: Mapping[Buffer, Array],
        results: Sequence[Buffer],
    ) -> Routine:
        """The function ``name(given..., results..., scratch)`` of some nodes.

        Raises
        ------
        InputError
            If a node is none that can be done on one row.
        """
        name = self.name(name)
        arguments = {buffer: f"x{i}" for i, buffer in enumerate(given)}
        names = dict(arguments)
        for buffer, values in constants.items():
            names[buffer] = self.dialect.local(self.constant(f"{name}_{buffer.name}", values), "")
        outs = {buffer: f"y{i}" for i, buffer in enumerate(results)}
        memory = Memory(nodes, names, outs)
        whole = {b for b, a in constants.items() if self.dialect.dtype_of(a) == "int8"}
        body = _Body(self, memory, dtype, whole)
        for node in nodes:
            body.add(node)
        for buffer, array in memory.copies:
            to = Place(array, 0, buffer.width if buffer.members > 1 else 0)
            body.copy(buffer, to)
        kinds = {"real": dtype, "index": "int32"}
        parameters = [Parameter(n, kinds[b.kind], "in") for b, n in arguments.items()]
        parameters += [Parameter(n, dtype, "out") for n in outs.values()]
        if memory.scratch:
            parameters.append(Parameter(SCRATCH, dtype, "out"))
        self.functions.append(self.dialect.define(name, dtype, parameters, body.lines))
        takes, gives = (tuple(size_of(b) for b in buffers) for buffers in (given, results))
        return Routine(name, dtype, takes, gives, memory.scratch)


class _Body:
    """The statements of one routine."""

    def __init__(self, writer: Writer, memory: Memory, dtype: str, whole: set[Buffer]) -> None:
        self.writer, self.memory, self.dtype, self._whole = writer, memory, dtype, whole
        self.dialect = writer.dialect
        self.lines: list[str] = []
        self._several = False  # whether a node is done for several members

    def add(self, node: Node) -> None:
        """Write what a node does."""
        match node:
            case Product() if node.sums_batch:
                self._outer(node)
            case Product():
                self._product(node)
            case Map():
                self._map(node)
            case NormaliseWeights():
                self._normalise(node)
            case ScaleRows():
                self._scale_rows(node)
            case Lookup():
                self._lookup(node)
            case MemberSum():
                self._member_sum(node.source, node.out)
            case BatchSum():
                if len(node.source.axes) == 3 and len(node.out.axes) == 1:
                    self._member_sum(node.source, node.out)
                else:
                    self.copy(node.source, self.memory.place(node.out))
            case ScatterAdd():
                self._scatter(node)
            case Cumulate():
                self._cumulate(node)
            case _:
                raise InputError(f"{node}: this cannot be exported, since it is not of one row")

    # addresses ----------------------------------------------------------------------------------

    def _at(self, place: Place, more: str = "") -> str:
        """The offset of member m, and a further term, as a text."""
        terms = [str(place.offset)] * (place.offset > 0)
        terms += [f"m * {place.member}"] * (place.member > 0 and self._several)
        terms += [more] * bool(more)
        return " + ".join(terms) or "0"

    def _pointer(self, buffer: Buffer, shared: bool = False) -> str:
        """Where member m of a buffer begins; ``shared``, where the buffer does."""
        place = self.memory.place(buffer)
        place = dataclasses.replace(place, member=0) if shared else place
        return self.dialect.pointer(place.array, self._at(place))

    def _element(self, place: Place, more: str = "") -> str:
        return self.dialect.element(place.array, self._at(place, more))

    def _members(self, lines: Sequence[str], members: int) -> None:
        """The statements, for each member m if there are several."""
        self.lines += self.dialect.loop("m", str(members), lines) if self._several else lines

    def _helper(self, name: str, *arguments: str) -> str:
        self.dialect.uses(name, self.dtype)
        return f"{self.dialect.helper(name, self.dtype)}({', '.join(arguments)})"

    # nodes --------------------------------------------------------------------------------------

    def _product(self, node: Product) -> None:
        members = node.left.members
        self._several = members > 1
        shared = len(node.right.axes) == 2
        scaled = node.scale != 1.0
        bias = self.dialect.null
        if node.bias is not None and not scaled:
            bias = self._pointer(node.bias)
        name = "product_transposed" if node.right_transposed else "product"
        name += "_int8" * (node.right in self._whole)
        weights, out = self._pointer(node.right, shared), self._pointer(node.out)
        sizes = str(node.left.width), str(node.out.width)
        call = self._helper(name, self._pointer(node.left), weights, bias, out, *sizes)
        self._members([f"{call};"], members)
        if scaled:
            inputs = (node.out, node.bias) if node.bias else (node.out,)

            def scale(xp: Any, z: Any, b: Any = 0.0) -> Any:
                return z * node.scale if node.bias is None else z * node.scale + b

            self._formula(scale, inputs, (node.out,), node.out.axes)

    def _outer(self, node: Product) -> None:
        """The sum over the batch of one row: (D, K) of x (D,) and dz (K,), summed over members."""
        left, right, out = (self.memory.place(b) for b in (node.left, node.right, node.out))
        own = len(node.out.axes) == 3
        members, depth, width = node.left.members, node.left.width, node.right.width
        self._several = members > 1
        to = dataclasses.replace(out, member=out.member if own else 0)
        product = f"{self._element(left, 'i')} * {self._element(right, 'k')}"
        if node.scale != 1.0:
            product = f"{self.dialect.constant('real', self.dtype, node.scale)} * {product}"
        place = self._element(to, f"i * {width} + k")
        sign = "=" if own or members == 1 else "+="
        row = self.dialect.loop("k", str(width), [f"{place} {sign} {product};"])
        if sign == "+=":
            self._zero(node.out)
        self._members(self.dialect.loop("i", str(depth), row), members)

    def _zero(self, buffer: Buffer) -> None:
        place = self.memory.place(buffer)
        element = self.dialect.element(place.array, f"{place.offset} + k")
        zero = self.dialect.constant("real", self.dtype, 0.0)
        self.lines += self.dialect.loop("k", str(size_of(buffer)), [f"{element} = {zero};"])

    def _map(self, node: Map) -> None:
        self._formula(*formula_of(node))

    def _formula(
        self,
        formula: Callable[..., Any],
        inputs: Sequence[Buffer],
        outs: Sequence[Buffer],
        axes: Axes,
    ) -> None:
        """A call of a formula's function for each member of the common axes."""
        members = int(axes[1]) if len(axes) == 3 else 1
        width = int(axes[-1]) if axes else 1
        graph, names = traced(formula, inputs, axes)
        given = [(name, dtype_of(b, self.dtype)) for b, name in names.items()]
        wide = [
            out.width == width and not (width == 1 and same)
            for out, same in zip(outs, graph.uniform, strict=True)
        ]
        name, parameters, loops = self.writer.formula(graph, self.dtype, given, wide)
        self._several = members > 1
        of = {name: buffer for buffer, name in names.items()}
        of |= {f"y{i}": out for i, out in enumerate(outs)}
        arguments = [str(width)] * loops + [self._pointer(of[p.name]) for p in parameters]
        self._members([f"{self.dialect.local(name, self.dtype)}({', '.join(arguments)});"], members)

    def _normalise(self, node: NormaliseWeights) -> None:
        self._formula(*formula_of(node))

    def _scale_rows(self, node: ScaleRows) -> None:
        if not node.out.axes:
            self._zero(node.out)
        self._formula(*formula_of(node))

    def _lookup(self, node: Lookup) -> None:
        members, width = node.out.members, node.out.width
        self._several = members > 1
        table, out = self.memory.place(node.table), self.memory.place(node.out)
        row = f"{self._place_in(node.index, node.table)} * {width} + k"
        copy = f"{self._element(out, 'k')} = {self._element(table, row)};"
        self._members(self.dialect.loop("k", str(width), [copy]), members)

    def _scatter(self, node: ScatterAdd) -> None:
        self._zero(node.out)
        members, width = node.source.members, node.source.width
        self._several = members > 1
        source, out = self.memory.place(node.source), self.memory.place(node.out)
        row = f"{self._place_in(node.index, node.out)} * {width} + k"
        add = f"{self._element(out, row)} += {self._element(source, 'k')};"
        self._members(self.dialect.loop("k", str(width), [add]), members)

    def _place_in(self, index: Buffer, table: Buffer) -> str:
        """The row of a table (M, C, K) that a number means for member m."""
        place = dataclasses.replace(self.memory.place(index), member=1)
        return self._helper("place", self._element(place), str(table.axes[-2]))

    def _member_sum(self, source: Buffer, out: Buffer) -> None:
        self._several = True
        from_, to = self.memory.place(source), self.memory.place(out)
        first = dataclasses.replace(from_, member=0)
        lines = [f"{self._element(to, 'k')} = {self._element(first, 'k')};"]
        self.lines += self.dialect.loop("k", str(source.width), lines)
        rest = dataclasses.replace(from_, offset=from_.offset + from_.member)
        add = f"{self._element(to, 'k')} += {self._element(rest, 'k')};"
        if source.members > 1:
            body = self.dialect.loop("k", str(source.width), [add])
            self.lines += self.dialect.loop("m", str(source.members - 1), body)

    def copy(self, source: Buffer, to: Place) -> None:
        """Copy a row of a buffer, member after member."""
        self._several = source.members > 1
        copied = f"{self._element(to, 'k')} = {self._element(self.memory.place(source), 'k')};"
        self._members(self.dialect.loop("k", str(source.width), [copied]), source.members)

    def _cumulate(self, node: Cumulate) -> None:
        """Along the last axis but one, either way, and then ``plus``."""
        many, rows, width = size_of(node.out), int(node.out.axes[-2]), node.out.width
        source, out = self.memory.place(node.source), self.memory.place(node.out)
        members = many // (rows * width)
        self._several = members > 1
        last = (rows - 1) * width
        at = f"{last} + k - c * {width}" if node.reverse else f"c * {width} + k"
        before = f"{at} + {width}" if node.reverse else f"{at} - {width}"
        here, value = self._element(out, at), self._element(source, at)
        first = f"c == 0 ? {value} : {self._element(out, before)} + {value}"
        row = self.dialect.loop("k", str(width), [f"{here} = {first};"])
        self._members(self.dialect.loop("c", str(rows), row), members)
        if node.plus is not None:
            self._several = False
            to, plus = (self.memory.place(b) for b in (node.out, node.plus))
            line = f"{self._element(to, 'k')} += {self._element(plus, 'k')};"
            self.lines += self.dialect.loop("k", str(many), [line])

"""A network node by node: one function for each node of its plan, on buffers by their labels.

A page shows with them what happens at each node, and measures slopes: it changes a number in a
buffer and runs the nodes that come behind.
"""

from __future__ import annotations

import dataclasses

from ...expr.text import lines_of
from ...plan.buffers import Buffer
from ...plan.nodes import Node
from ...plan.step import Plan
from ..imperative import Writer
from ..imperative.formulas import Applied, dtype_of, formula_of, traced
from ..imperative.memory import Memory, size_of
from .dialect import ARRAYS, JavaScript, text_of


def homes_of(plan: Plan) -> tuple[Buffer, ...]:
    """The buffers with memory of their own that nodes read or write."""
    each = (b.home for node in plan.nodes for b in (*node.reads, *node.writes))
    return tuple(dict.fromkeys(each))


class NodesCode:
    """The functions of a plan's nodes.

    Parameters
    ----------
    writer : Writer
        Where the functions are written.
    dialect : JavaScript
        The writer's.
    name : str
        Of the network.
    plan : Plan
        Of one row.
    """

    def __init__(self, writer: Writer, dialect: JavaScript, name: str, plan: Plan) -> None:
        self.writer, self.dialect, self.plan = writer, dialect, plan
        self.dtype = plan.description.dtype
        self.calls = [self._call(f"{name}_node{i}", node) for i, node in enumerate(plan.nodes)]
        self.lines = [self._lines(node) for node in plan.nodes]

    def _call(self, name: str, node: Node) -> str:
        given = tuple(dict.fromkeys(b.home for b in node.reads))
        results = tuple(dict.fromkeys(b.home for b in node.writes))
        routine = self.writer.routine(name, self.dtype, given, [node], {}, results)
        arguments = [_at(b) for b in (*given, *results)]
        if routine.scratch:
            arguments.append(f"new {ARRAYS[self.dtype]}({routine.scratch})")
        return f"{self.dialect.local(routine.name, self.dtype)}({', '.join(arguments)})"

    def _lines(self, node: Node) -> str:
        """What each line of a node's formula comes to, for member m: rows, or one number."""
        if not isinstance(node, Applied):
            return "[]"
        formula, inputs, _, axes = formula_of(node, adding=False)
        graph, names = traced(formula, inputs, axes)
        own = lines_of(graph)
        whole = dataclasses.replace(graph, outputs=tuple(line.node for line in own))
        width = int(axes[-1]) if axes else 1
        wide = [not line.uniform for line in own]
        given = [(name, dtype_of(b, self.dtype)) for b, name in names.items()]
        name, parameters, loops = self.writer.formula(whole, self.dtype, given, wide)
        memory = Memory([], {b.home: _at(b.home) for b in names}, {})
        arguments = [str(width)] * loops
        for parameter in parameters[: len(parameters) - len(own)]:
            buffer = next(b for b, n in names.items() if n == parameter.name)
            place = memory.place(buffer)
            terms = [str(place.offset)] * (place.offset > 0)
            terms += [f"m * {place.member}"] * (buffer.members > 1 and place.member > 0)
            arguments.append(self.dialect.pointer(place.array, " + ".join(terms) or "0"))
        made = ", ".join(f"new {ARRAYS[self.dtype]}({width if w else 1})" for w in wide)
        call = ", ".join([*arguments, "...y"])
        return f"_filled([{made}], (y) => {self.dialect.local(name, self.dtype)}({call}))"

    def definition(self) -> str:
        """Entries of the network's object."""
        plan, real = self.plan, ARRAYS[self.dtype]
        given = {plan.x, plan.t, plan.weight, *(p.buffer for p in plan.parameters)}
        rooms = "\n".join(
            f"      {text_of(b.name)}: new {real}({size_of(b)}),"
            for b in homes_of(plan)
            if b not in given
        )
        calls = "\n".join(f"    (b) => {call}," for call in self.calls)
        lines = "\n".join(f"    (b, m) => {call}," for call in self.lines)
        target = "Int32Array" if plan.t.kind == "index" else real
        return f"""\
  // what a row has on its way forward and back, by label, before anything is computed
  buffers(w) {{
    return {{
      ...w,
      {text_of(plan.x.name)}: new {real}({plan.x.width}),
      {text_of(plan.t.name)}: new {target}({plan.t.width}),
      {text_of(plan.weight.name)}: {real}.of(1),
{rooms}
    }};
  }},
  // the nodes in their order, forward and then back
  nodes: [
{calls}
  ],
  // what the lines of a node's formula come to, for member m of an ensemble
  lines: [
{lines}
  ],"""


FILLED = "function _filled(y, compute) {\n  compute(y);\n  return y;\n}"
"""A function that every module with nodes has."""


def _at(buffer: Buffer) -> str:
    return f"b[{text_of(buffer.name)}]"

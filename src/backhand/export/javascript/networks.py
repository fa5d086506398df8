"""The functions of one network: its logits, its gradients for one row, and steps by them.

They read the parameters from typed arrays, which a page may change: predictions follow. The
gradients, and everything between, come from the forward and backward nodes of `plan.step`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import InputError
from ...formulas.optimisers import OPTIMISERS
from ...plan.buffers import BATCH, Buffer, Role
from ...plan.nodes import Map, Node
from ...plan.step import Plan, forward_plan, gradient_plan
from ..imperative import Routine, Writer
from ..imperative.memory import size_of
from ..program import Stage
from .dialect import ARRAYS, JavaScript, array_text, text_of
from .nodes import NodesCode

SCRATCH = "scratch"
"""The name of the arrays in which functions keep what is between; they run one at a time."""

SGD = OPTIMISERS["sgd"]


class NetworkCode:
    """What a module has of one network.

    Parameters
    ----------
    writer : Writer
        Of the module; the functions of the network are written there.
    dialect : JavaScript
        The writer's.
    stage : Stage
        Of a program's ``networks``.
    nodes : bool
        Whether the module has a function for each node as well, see `nodes`.

    Raises
    ------
    InputError
        If the stage is not the forward pass of a network.
    """

    def __init__(
        self, writer: Writer, dialect: JavaScript, stage: Stage, nodes: bool = False
    ) -> None:
        if stage.origin is None:
            raise InputError(f"{stage.name} is not a network as it was trained: export that")
        self.name, self.dialect = writer.name(stage.name), dialect
        self.network, self.params = stage.origin
        self.dtype, self.real = self.network.dtype, ARRAYS[self.network.dtype]
        self.plan = gradient_plan(self.network, wrt_input=True)
        forward = forward_plan(self.network)
        self.width = size_of(forward.logits)
        write = functools.partial(writer.routine, dtype=self.dtype, constants={})
        self._forward = write(
            f"logits_{self.name}",
            given=(forward.x, *_buffers(forward)),
            nodes=forward.nodes,
            results=(forward.logits,),
        )
        self.between = _written(self.plan.nodes)
        self._gradients = write(
            f"gradients_{self.name}",
            given=(self.plan.x, self.plan.t, self.plan.weight, *_buffers(self.plan)),
            nodes=self.plan.nodes,
            results=self.between,
        )
        self._step = self._write_step(write)
        self._nodes = NodesCode(writer, dialect, self.name, self.plan) if nodes else None
        self.object = self.dialect.local(self.name, "")

    @property
    def routines(self) -> tuple[Routine, ...]:
        """Its functions."""
        return self._forward, self._gradients, self._step

    def _write_step(self, write: Callable[..., Routine]) -> Routine:
        """Each parameter less its gradient times the rate, which a factor may go with."""
        factors = {p.buffer: p.factors.learning_rate for p in self.plan.parameters}
        self.rates = tuple(dict.fromkeys(factors[w] for w, _ in self.plan.gradients))
        rates = [Buffer(f"rate{i}", (), role=Role.SCALAR) for i in range(len(self.rates))]
        given: list[Buffer] = []
        nodes: list[Node] = []
        for w, _ in self.plan.gradients:
            flat = (BATCH, size_of(w))
            pair = Buffer(w.name, flat), Buffer(f"d{w.name}", flat)
            rate = rates[self.rates.index(factors[w])]
            nodes.append(
                Map(SGD.update, pair, (Buffer(f"new_{w.name}", flat),), (), (("rate", rate),))
            )
            given += pair
        results = [node.writes[0] for node in nodes]
        return write(f"sgd_{self.name}", given=(*given, *rates), nodes=nodes, results=results)

    def _parameters(self) -> list[str]:
        return [f"w[{text_of(name)}]" for name in self.network.shapes]

    def definition(self) -> str:
        """The object with the network's parameters and functions."""
        plan, loss, real = self.plan, self.network.loss, self.real
        own = f"{self.object}.parameters"
        arrays = ",\n".join(
            f"    {text_of(name)}: {array_text(self.params[name])}" for name in self.network.shapes
        )
        room = ",\n".join(
            f"      {text_of(b.name)}: new {real}({size_of(b)})" for b in self.between
        )
        gradients = ", ".join(f"{text_of(w.name)}: {_at(g)}" for w, g in plan.gradients)
        x = f'_row({real}, x, {self.network.inputs}, "x")'
        width = plan.t.width
        t = (
            f"_class(t, {self.network.outputs})"
            if loss.by_row
            else f'_row({real}, t, {width}, "t")'
        )
        backward = call_text(
            self.dialect,
            self._gradients,
            x,
            t,
            f"{real}.of(1)",
            *self._parameters(),
            *map(_at, self.between),
        )
        forward = call_text(self.dialect, self._forward, x, *self._parameters(), "z")
        pairs = [f"{of}[{text_of(w.name)}]" for w, _ in plan.gradients for of in ("w", "gradients")]
        rates = [f"{real}.of(rate{f' * {r!r}' * (r != 1.0)})" for r in self.rates]
        step = call_text(self.dialect, self._step, *pairs, *rates, *pairs[::2])
        assert plan.loss is not None
        return f"""\
const {self.object} = {{
  name: {text_of(self.name)},
  // learned, and constants beside them; change the numbers in them and predictions follow
  parameters: {{
{arrays}
  }},
  // the logits of a prepared row
  logits(x, w = {own}) {{
    const z = new {real}({self.width});
    {forward}
    return z;
  }},
  // the loss of a prepared row with target t, its derivatives, and all that is between, by label
  lossAndGradients(x, t, w = {own}) {{
    const b = {{
{room}
    }};
    {backward}
    const gradients = {{ {gradients} }};
    return {{ loss: {_at(plan.loss)}[0], gradients, dx: {_at(plan.dx)}, buffers: b }};
  }},
  // one step down the gradients: stochastic gradient descent
  sgdStep(gradients, rate, w = {own}) {{
    {step}
  }},
{"" if self._nodes is None else self._nodes.definition()}
}};"""

    def description(self) -> dict[str, Any]:
        """For people and pages."""
        return {
            "name": self.name,
            **self.network.to_dict(),
            "outputs": self.network.outputs,
            "parameters": [
                {"name": p.buffer.name, "shape": list(p.buffer.axes), "learned": p.learned}
                for p in self.plan.parameters
            ],
            "buffers": [{"name": b.name, "shape": _shape(b)} for b in self.between],
            "steps": [str(node) for node in self.plan.nodes],
        }


def call_text(dialect: JavaScript, routine: Routine, *arguments: str) -> str:
    """The statement that calls a routine, with the scratch array of its dtype."""
    scratch = [dialect.local(SCRATCH, routine.dtype)] * (routine.scratch > 0)
    return f"{dialect.local(routine.name, routine.dtype)}({', '.join([*arguments, *scratch])});"


def _at(buffer: Buffer | None) -> str:
    return "null" if buffer is None else f"b[{text_of(buffer.name)}]"


def _shape(buffer: Buffer) -> list[int]:
    return [int(n) for n in buffer.axes if n != BATCH]


def _buffers(plan: Plan) -> list[Buffer]:
    return [parameter.buffer for parameter in plan.parameters]


def _written(nodes: Sequence[Node]) -> tuple[Buffer, ...]:
    """All buffers that nodes write, and what these are views of."""
    found: dict[Buffer, None] = {}
    for node in nodes:
        for buffer in node.writes:
            found |= dict.fromkeys((buffer.home, buffer))
    return tuple(found)

"""A trained model as straight-line programs on one row: what every language is written from.

    columns of a table -> prepare -> x -> networks -> logits -> answer -> y -> decide -> a class

Each arrow is a `Stage`: nodes of a plan, with the constants that they read, in one kind of number.
What passes from one stage to the next is cast to the next one's kind. A language walks stages and
nothing else of a model, so a new layer, formula or encoder is in all of them without another line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..formulas import answers, sums
from ..formulas.columns import MISSING, OTHER
from ..network import Network
from ..plan.buffers import BATCH, Buffer, Role, broadcast
from ..plan.nodes import Map, MemberSum, Node
from ..plan.step import forward_plan
from ..preprocess.decision import Decision
from ..run.arrays import Values, perform
from ..run.namespaces import NUMPY

__all__ = [
    "MISSING",
    "OTHER",
    "Column",
    "Decision",
    "Program",
    "Stage",
    "StageBuilder",
    "folded",
    "link_stage",
    "logits_buffer",
    "network_stage",
    "program_of_network",
    "row_buffer",
]

Array = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """Some nodes on one row, in one kind of number.

    Attributes
    ----------
    name : str
        Such as "prepare", "network1" and "answer": unique in a program, and an identifier.
    dtype : {"float32", "float64"}
        Of its buffers and arithmetic.
    given : tuple of Buffer
        (N, K) buffers that hold what earlier stages give, or the row.
    nodes : tuple of Node
        Those of a forward plan: `Product`, `Map`, `Lookup`, `MemberSum` and `Cumulate`, on
        buffers that begin with the batch or are constants. There is one row: N is 1.
    constants : dict of Buffer to array
        Parameters and constants that nodes read, in the stage's dtype.
    result : Buffer
        What it gives: (N, K), or (N, M, K) of M members.
    origin : (Network, dict of str to array), optional
        The network and the parameters whose forward pass it is, for languages that train, too.
    """

    name: str
    dtype: str
    given: tuple[Buffer, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[Buffer, Array]
    result: Buffer
    origin: tuple[Network, Mapping[str, Array]] | None = None

    def run(self, *given: Array) -> Array:
        """What the stage gives for rows (N, K), by NumPy: the reference."""
        at = {buffer.name: np.asarray(a, self.dtype) for buffer, a in self._with(given)}
        values = Values(at, NUMPY)
        for node in self.nodes:
            perform(node, values)
        return values[self.result]

    def _with(self, given: Sequence[Array]) -> list[tuple[Buffer, Array]]:
        return [*zip(self.given, given, strict=True), *self.constants.items()]


def folded(stage: Stage) -> Stage:
    """The stage with what follows from constants alone worked out."""
    values = Values({b.name: np.asarray(a) for b, a in stage.constants.items()}, NUMPY)
    constants, nodes = dict(stage.constants), []
    for node in stage.nodes:
        if node.reads and all(buffer in constants for buffer in node.reads):
            perform(node, values)
            constants |= {out: values[out] for out in node.writes}
        else:
            nodes.append(node)
    read = {buffer.home for node in nodes for buffer in node.reads}
    kept = {buffer: a for buffer, a in constants.items() if buffer.home in read}
    return dataclasses.replace(stage, nodes=tuple(nodes), constants=kept)


def network_stage(network: Network, params: Mapping[str, Array], name: str = "network1") -> Stage:
    """The stage from x (N, D) to the logits of a network.

    Parameters
    ----------
    network : Network
    params : mapping of str to array
    name : str
        Of the stage.
    """
    plan, params = forward_plan(network), network.checked_parameters(params)
    constants = {p.buffer: params[p.buffer.name] for p in plan.parameters}
    origin = network, params
    return folded(Stage(name, network.dtype, (plan.x,), plan.nodes, constants, plan.logits, origin))


class StageBuilder:
    """Collects the nodes of a stage, whose buffers it names."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[Buffer, Array] = {}

    def constant(self, name: str, values: Sequence[float]) -> Buffer:
        """A row vector (K,) that maps read."""
        buffer = Buffer(name, (len(values),), role=Role.CONSTANT)
        self.constants[buffer] = np.array(values, np.float64)
        return buffer

    def map(
        self,
        formula: Callable[..., object],
        *inputs: Buffer,
        out: Buffer | None = None,
        **keywords: float,
    ) -> Buffer:
        """What a formula makes of buffers, in a buffer of its own if none is given."""
        if out is None:
            out = Buffer(f"y{len(self.nodes) + 1}", broadcast(list(inputs), str(formula)))
        self.nodes.append(Map(formula, inputs, (out,), tuple(keywords.items())))
        return out

    def beside(self, first: Buffer, second: Buffer) -> Buffer:
        """Two buffers (N, 1) as one of two columns."""
        both = Buffer(f"y{len(self.nodes) + 1}", (BATCH, 2))
        for place, one in enumerate((first, second)):
            self.map(sums.copy, one, out=both.view(f"{both.name}_{place}", place, 1))
        return both

    def expected(self, network: Network, z: Buffer) -> Buffer:
        """What logits mean, as `Network.expected`."""
        y = self.map(network.loss.inverse_link, z)
        if network.members is None:
            return y
        total = Buffer(f"y{len(self.nodes) + 1}", (BATCH, y.width))
        self.nodes.append(MemberSum(y, total))
        return self.map(answers.mean_of, total, count=float(y.members))

    def stage(self, name: str, dtype: str, given: Sequence[Buffer], result: Buffer) -> Stage:
        """The stage of the nodes."""
        constants = {buffer: a.astype(dtype) for buffer, a in self.constants.items()}
        return Stage(name, dtype, tuple(given), tuple(self.nodes), constants, result)


def logits_buffer(network: Network, name: str = "z") -> Buffer:
    """The logits of a network as what a stage is given."""
    return Buffer(name, forward_plan(network).logits.axes, role=Role.INPUT)


def link_stage(network: Network, name: str = "answer") -> Stage:
    """The stage from a network's logits to what they mean, as `Network.predict` gives it."""
    builder, z = StageBuilder(), logits_buffer(network)
    return builder.stage(name, network.dtype, [z], builder.expected(network, z))


def row_buffer(name: str, width: int) -> Buffer:
    """What a stage is given: (N, width)."""
    return Buffer(name, (BATCH, width), role=Role.INPUT)


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table, as the program takes it.

    Attributes
    ----------
    name : str
        As the user's table has it: any text.
    kind : {"number", "date", "category"}
        Its value is a number; the days since 1970-01-01 (in UTC); or the place of a category among
        ``values``. NaN where a number or a date is missing.
    values : tuple of str
        Of a category. What is none of them has the place `OTHER`, and what is missing `MISSING`.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A trained model from a row to an answer.

    Attributes
    ----------
    name : str
        What it predicts from what, in a line for people.
    inputs : int
        D, prepared numbers.
    networks : tuple of Stage
        Each from x (N, D) to logits; they have one dtype, and x has it.
    answer : Stage
        From the logits of each network to y (N, K).
    decision : Decision
    columns : tuple of Column
        What a row of a table has; none if the model takes prepared numbers only.
    sources : tuple of int
        Which column's value stands in each column of what ``prepare`` is given.
    prepare : Stage or None
        From values (N, V) of columns to D prepared numbers.
    order : tuple of int
        Which column of what ``prepare`` gives stands in each column of x.
    feature_names : tuple of str
        Of the columns of x.
    """

    name: str
    inputs: int
    networks: tuple[Stage, ...]
    answer: Stage
    decision: Decision
    columns: tuple[Column, ...] = ()
    sources: tuple[int, ...] = ()
    prepare: Stage | None = None
    order: tuple[int, ...] = ()
    feature_names: tuple[str, ...] = ()

    @property
    def dtype(self) -> str:
        """Of x and of the networks."""
        return self.networks[0].dtype if self.networks else "float32"

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All of them, in order."""
        first = () if self.prepare is None else (self.prepare,)
        return (*first, *self.networks, self.answer)

    def prepared(self, values: Array) -> Array:
        """x (N, D) of the columns' values (N, columns), by NumPy."""
        assert self.prepare is not None
        found = self.prepare.run(np.asarray(values, np.float64)[:, list(self.sources)])
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(found[:, list(self.order)], self.dtype)

    def logits(self, x: Array) -> list[Array]:
        """The logits of each network for x (N, D), by NumPy."""
        return [stage.run(x) for stage in self.networks]

    def answers(self, x: Array) -> Array:
        """y (N, K) for x (N, D), by NumPy."""
        found = self.answer.run(*self.logits(x))
        return np.broadcast_to(found, (len(x), self.answer.result.width))

    def decided(self, x: Array) -> Array:
        """What `Decision.of` decides for x (N, D), by NumPy."""
        return self.decision.of(self.logits(x), self.answers(x))


def program_of_network(network: Network, params: Mapping[str, Array]) -> Program:
    """A network by itself: y is what `Network.predict` gives."""
    answer = link_stage(network)
    return Program(
        f"network {network.summary}",
        network.inputs,
        (network_stage(network, params),),
        answer,
        Decision("numbers"),
    )

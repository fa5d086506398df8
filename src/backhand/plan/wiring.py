"""`Wiring`: what layers write their forward and backward nodes into.

It makes buffers, gives them labels and checks that what is learned gets one gradient.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ..errors import InputError
from ..formulas import sums
from ..formulas.optimisers import OPTIMISERS
from .buffers import BATCH, Axes, Buffer, Role, broadcast
from .nodes import BatchSum, Map, Node, Noise, formula_name
from .recording import Recorded, RecordedSum

T = TypeVar("T")

Draw = Callable[[Any, tuple[int, ...]], Any]
"""``draw(rng, shape)``: the first values of a parameter, as NumPy draws them."""


class Factors(NamedTuple):
    """Of the learning rate and of weight decay, for one parameter."""

    learning_rate: float = 1.0
    decay: float = 1.0


NO_FACTORS = Factors()


@dataclasses.dataclass(frozen=True)
class Parameter:
    """An array that is learned, or a constant that is stored with those.

    Attributes
    ----------
    buffer : Buffer
    draw : callable, optional
        How it begins; None: by the network's initialiser, from the last two axes.
    factors : Factors
        Those without decay have a factor of 1, so that they need no group of their own.
    penalised : bool
        Whether the L2 penalty and weight decay apply to it: to weights, not to biases.
    """

    buffer: Buffer
    draw: Draw | None
    factors: Factors = NO_FACTORS
    penalised: bool = True

    @property
    def learned(self) -> bool:
        """Whether training changes it."""
        return self.buffer.role is Role.PARAMETER


@dataclasses.dataclass(frozen=True)
class Scalar:
    """A per-step scalar that a layer reads.

    Attributes
    ----------
    buffer : Buffer
    source : str
        The setting that it is made of, such as "dropout"; a schedule may scale that.
    setting : float
        Its value without a schedule.
    of : callable
        ``of(setting) -> float`` or whole number: what stands in the buffer.
    """

    buffer: Buffer
    source: str
    setting: float
    of: Callable[[float], float]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a layer gives: the number of the linear layer, a letter, the buffer, its gradient."""

    linear_index: int
    letter: str
    buffer: Buffer
    gradient: Buffer | None = None

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """What it gives and, where there is one, the gradient there."""
        return (self.buffer,) if self.gradient is None else (self.buffer, self.gradient)


PLANNED = ("x", "t", "weight", "share", "value", "loss", "grad", "clip")
"""The labels of what the planner adds to the layers."""

GIVEN = ("all_x", "all_t", "all_weight", "order", "seed", "step", "dtype", "l2", "clip_norm")
"""The names of what executors are given beside buffers."""

_OPTIMISERS = {n for o in OPTIMISERS.values() for n in o.scalars(1, 1.0, **o.keywords)}

RESERVED = frozenset({*PLANNED, *GIVEN, *_OPTIMISERS})
"""No layer's buffer has one of these labels: per-step scalars and buffers are found by them."""


class Wiring:
    """The nodes and buffers of a step while they are being written.

    Parameters
    ----------
    training : bool
        Whether layers that only act in training, such as dropout, do.
    wrt_input : bool
        Whether gradients go back to the inputs.

    Attributes
    ----------
    nodes : list of Node
    parameters : list of Parameter
        In the order in which layers ask for them.
    scalars : list of Scalar
    results : list of Result
        What each layer gives.
    kinks : list of (Buffer, tuple of float)
        Values of buffers at which gradients jump, or a formula changes its branch.
    gradients : dict of Buffer to Buffer
        The gradient of each parameter that has one by now.
    categories : dict of int to int
        Columns of the inputs that hold whole numbers, with how many there are.
    linear_index : int
        How many linear layers there are by now; it numbers labels.
    """

    def __init__(self, *, training: bool = False, wrt_input: bool = False) -> None:
        self.training, self.wrt_input = training, wrt_input
        self.nodes: list[Node] = []
        self.parameters: list[Parameter] = []
        self.scalars: list[Scalar] = []
        self.gradients: dict[Buffer, Buffer] = {}
        self.categories: dict[int, int] = {}
        self.linear_index = 0
        self.results: list[Result] = []
        self.kinks: list[tuple[Buffer, tuple[float, ...]]] = []
        self._labels = set(RESERVED)
        self._learned: set[Buffer] = set()
        self._noises: set[int] = set()
        self._joined: dict[Buffer, Buffer] = {}

    # buffers ------------------------------------------------------------------------------------

    def label(self, name: str) -> str:
        """A name that no buffer has yet: the given one, or with a number behind it."""
        number, found = 1, name
        while found in self._labels:
            number += 1
            found = f"{name}_{number}"
        self._labels.add(found)
        return found

    def buffer(
        self, name: str, axes: Axes, role: Role = Role.ACTIVATION, kind: str = "real"
    ) -> Buffer:
        """A new buffer, with this label or one like it."""
        return Buffer(self.label(name), axes, kind, role)

    def reserved(
        self, name: str, axes: Axes, role: Role = Role.ACTIVATION, kind: str = "real"
    ) -> Buffer:
        """A buffer of the planner's own, with just this label, which is one of `RESERVED`."""
        assert name in RESERVED, f"{name} may be the label of a layer's buffer"
        made = Buffer(name, axes, kind, role)
        if role is Role.INPUT and self.wrt_input:
            self._learned.add(made)
        return made

    def parameter(
        self,
        prefix: str,
        shape: tuple[int, ...],
        draw: Draw | None,
        factors: Factors = NO_FACTORS,
        *,
        penalised: bool = True,
        learned: bool = True,
    ) -> Buffer:
        """A new parameter; see `Parameter`. If it is not ``learned``, a constant beside them."""
        role = Role.PARAMETER if learned else Role.CONSTANT
        made = self.buffer(f"{prefix}{self.linear_index}", shape, role)
        if not all(math.isfinite(factor) and factor >= 0 for factor in factors):
            raise InputError(
                f"{made.name}: factors must be finite numbers of at least 0, got {tuple(factors)}"
            )
        factors = factors if penalised else Factors(factors.learning_rate)
        self.parameters.append(Parameter(made, draw, factors, penalised))
        if learned:
            self._learned.add(made)
        return made

    def scalar(
        self, name: str, source: str, setting: float, of: Callable[[float], float], kind: str
    ) -> Buffer:
        """A new per-step scalar; see `Scalar`."""
        made = self.buffer(f"{name}{self.linear_index}", (), Role.SCALAR, kind)
        self.scalars.append(Scalar(made, source, setting, of))
        return made

    def is_wanted(self, buffer: Buffer) -> bool:
        """Whether a gradient at this buffer is of use: something learned went into it."""
        return buffer in self._learned or (buffer.base is not None and self.is_wanted(buffer.base))

    def whole_numbers(self, x: Buffer, values: int) -> None:
        """Note that ``x`` (N, 1), a column of the inputs, holds numbers from 0 to values - 1.

        Raises
        ------
        InputError
            If it is no column of the inputs: numbers that are computed are no categories.
        """
        if x.width != 1 or x.home.role is not Role.INPUT:
            raise InputError(f"an embedding takes one column of the inputs, not {x}")
        self.categories[x.first] = min(values, self.categories.get(x.first, values))

    # nodes --------------------------------------------------------------------------------------

    def add(self, node: Node) -> None:
        """Append a node."""
        self.nodes.append(node)
        if any(self.is_wanted(buffer) for buffer in node.reads):
            self._learned.update(b.home for b in node.writes)

    def map(
        self,
        formula: Callable[..., Any],
        inputs: Sequence[Buffer | None],
        out: str | Buffer,
        keywords: tuple[tuple[str, float], ...] = (),
        scalars: tuple[tuple[str, Buffer], ...] = (),
    ) -> Buffer:
        """A formula with one result: see `maps`."""
        (made,) = self.maps(formula, inputs, (out,), keywords, scalars)
        return made

    def maps(
        self,
        formula: Callable[..., Any],
        inputs: Sequence[Buffer | None],
        outs: Sequence[str | Buffer],
        keywords: tuple[tuple[str, float], ...] = (),
        scalars: tuple[tuple[str, Buffer], ...] = (),
    ) -> tuple[Buffer, ...]:
        """A formula with several results. Parameters are those of `Map`.

        A result that is a label is a new buffer, of the axes that the inputs have in common.
        """
        axes = broadcast([i for i in inputs if i is not None], formula_name(formula))
        made = tuple(self.buffer(out, axes) if isinstance(out, str) else out for out in outs)
        self.add(Map(formula, tuple(inputs), made, keywords, scalars))
        return made

    def product(self, recorded: Recorded, out: str | Buffer) -> Buffer:
        """A product over rows, as a formula of the linear layer records it."""
        if isinstance(out, str):
            left, right = recorded.left.buffer, recorded.right
            width = right.buffer.axes[-2 if right.transposed else -1]
            out = self.buffer(out, (*left.axes[:-1], width))
        self.add(recorded.into(out))
        return out

    def noise(self, axes: Axes) -> Buffer:
        """Words of noise, numbered by the linear layer where that number is free."""
        number = self.linear_index
        while number in self._noises or number == 0:  # 0 is for the order of the rows
            number = max(number, FIRST_FREE_NOISE) + 1
        self._noises.add(number)
        made = self.buffer(f"words{self.linear_index}", axes, kind="word")
        self.add(Noise(number, made))
        return made

    # what statistics and reports of divergence look at ------------------------------------------

    def result(self, letter: str, buffer: Buffer) -> int:
        """Note what a layer gives. Returns its place in `results`."""
        self.results.append(Result(self.linear_index, letter, buffer))
        return len(self.results) - 1

    def result_gradient(self, place: int, gradient: Buffer) -> None:
        """Note the gradient there."""
        self.results[place] = dataclasses.replace(self.results[place], gradient=gradient)

    # columns side by side -----------------------------------------------------------------------

    def join(self, name: str, parts: Sequence[Buffer]) -> Buffer:
        """(N, K) buffers side by side. Those that nodes compute are written there; others copied.

        Raises
        ------
        InputError
            If one has members: columns of different members do not lie side by side.
        """
        computed = {out.home for node in self.nodes for out in node.writes}
        computed.update(place.base for place in self._joined.values() if place.base is not None)
        joined = self.buffer(name, (BATCH, sum(part.width for part in parts)))
        first = 0
        for part in parts:
            if len(part.axes) != 2:
                raise InputError(f"{part} has members, and no columns that lie beside others")
            if part in computed and part.base is None and part not in self._joined:
                place = joined.view(part.name, first, part.width)
                self._joined[part] = place
            else:
                place = joined.view(self.label(f"{part.name}_copy"), first, part.width)
                self.map(sums.copy, (part,), place)
            first += part.width
            if self.is_wanted(part):
                self._learned.add(joined)
        return joined

    def padded(self, name: str, part: Buffer, first: int, like: Buffer) -> Buffer:
        """A gradient at some columns of a buffer as one at all of them, 0 in the others."""
        whole = self.buffer(name, like.axes)
        place = whole.view(self.label(f"{name}_columns"), first, part.width)
        self.map(sums.copy, (part,), place)
        for start, end in ((0, first), (first + part.width, like.width)):
            if end > start:
                some = whole.view(self.label(f"{name}_rest"), start, end - start)
                other = like.view(self.label(f"{like.name}_rest"), start, end - start)
                self.map(sums.nothing, (other,), some)
        return whole

    def placed(self, value: T) -> T:
        """What has buffers in it, with those that were joined in their places."""
        return placed(value, self._joined)

    # gradients ----------------------------------------------------------------------------------

    def gradient(
        self,
        parameter: Buffer,
        found: Buffer | Recorded | RecordedSum | Callable[[Buffer], Node],
    ) -> None:
        """The gradient of a parameter.

        Parameters
        ----------
        parameter : Buffer
        found : Buffer, Recorded, RecordedSum or callable
            Each row's part of it, which are added up; what a formula of the linear layer records;
            or what makes a node of the buffer of the gradient.

        Raises
        ------
        InputError
            If it has one: each parameter belongs to one layer.
        """
        if parameter in self.gradients:
            raise InputError(f"{parameter.name} has two gradients: a parameter has one layer")
        out = self.buffer(f"d{parameter.name}", parameter.axes, Role.GRADIENT)
        if isinstance(found, Buffer):
            node: Node = BatchSum(found, out)
        else:
            node = found(out) if callable(found) else found.into(out)
        self.nodes.append(node)
        self.gradients[parameter] = out

    def sum(self, name: str, gradients: Sequence[Buffer | None]) -> Buffer | None:
        """The gradient of a buffer with several readers: theirs, added up; None if none has any."""
        found = [gradient for gradient in gradients if gradient is not None]
        if not found:
            return None
        total = found[0]
        for other in found[1:]:
            total = self.map(sums.add, (total, other), name)
        return total


def placed(value: T, places: Mapping[Buffer, Buffer]) -> T:
    """A buffer in its place; or a node, a result or a tuple, with its buffers in theirs."""
    found: Any = value
    if isinstance(found, tuple):
        return type(found)(placed(item, places) for item in found)  # type: ignore[return-value]
    if isinstance(found, (Node, Result)):
        fields = {f.name: placed(getattr(found, f.name), places) for f in dataclasses.fields(found)}
        return type(found)(**fields)  # type: ignore[return-value]
    if not isinstance(found, Buffer):
        return value
    if found in places:
        return placed(places[found], places)  # type: ignore[return-value]
    home = None if found.base is None else places.get(found.base)
    if home is None:
        return value
    moved = dataclasses.replace(found, base=home.base, first=home.first + found.first)
    return placed(moved, places)  # type: ignore[return-value]


FIRST_FREE_NOISE = 1 << 16
"""Noise beyond that of the linear layers is numbered from here on."""

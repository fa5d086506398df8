"""The nodes of a step: what every executor must be able to do, with the buffers of `buffers`.

Each node checks the shapes of its buffers when it is made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from ..errors import InputError
from ..formulas.optimisers import Optimiser, l2_penalised
from .buffers import BATCH, Axes, Buffer, broadcast, shape_text


def _check(fits: bool, what: str, left: Buffer, right: Buffer | Axes) -> None:
    """Raise InputError with both sides if they do not fit one another."""
    if not fits:
        other = right if isinstance(right, Buffer) else shape_text(right)
        raise InputError(f"{what}: {left} and {other} do not go together")


def _buffers(value: Any) -> Iterator[Buffer]:
    """The buffers in a field of a node: one, or those in a tuple of them or of pairs."""
    if isinstance(value, Buffer):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _buffers(item)


@dataclasses.dataclass(frozen=True)
class Node:
    """One thing that an executor does; a dataclass, some of whose fields hold buffers."""

    TARGETS: ClassVar[tuple[str, ...]] = ("out",)
    """The fields whose buffers it writes; it reads those of all others."""

    @property
    def reads(self) -> tuple[Buffer, ...]:
        """The buffers that it reads, in the order of its fields."""
        rest = (f.name for f in dataclasses.fields(self) if f.name not in self.TARGETS)
        return tuple(buffer for name in rest for buffer in _buffers(getattr(self, name)))

    @property
    def writes(self) -> tuple[Buffer, ...]:
        """The buffers that it writes."""
        return tuple(buffer for name in self.TARGETS for buffer in _buffers(getattr(self, name)))


@dataclasses.dataclass(frozen=True)
class Gather(Node):
    """``out = source[order]``: the rows of this batch, in the kind of number of ``out``.

    ``sparse`` if they hold only the entries that are stored; the products read only those.
    """

    source: str
    out: Buffer
    sparse: bool = False

    def __str__(self) -> str:
        return f"{self.out.name} = {self.source}[order]{' (stored entries)' * self.sparse}"


@dataclasses.dataclass(frozen=True)
class Product(Node):
    """``out = scale * (left @ right) (+ bias)``, either operand transposed or not.

    One of three, by the axes of its operands:

    - rows: (N, D) or (N, M, D) with (D, K) gives (N, K) or (N, M, K); with (M, D, K), each member
      has a matrix of its own;
    - the sum over the batch: (N, D) transposed with (N, K) gives (D, K). Of members, (D, K) sums
      over them too, and (M, D, K) keeps them apart.
    """

    left: Buffer
    left_transposed: bool
    right: Buffer
    right_transposed: bool
    out: Buffer
    bias: Buffer | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        what = f"{self.out.name} = {self._text}"
        if self.left_transposed:
            _check(self.left.axes[:-1] == self.right.axes[:-1], what, self.left, self.right)
            matrix: Axes = (self.left.width, self.right.width)
            own = (self.left.members, *matrix)
            _check(self.out.axes in (matrix, own), what, self.out, matrix)
            return
        axes = self.right.axes
        depth, width = (axes[-1], axes[-2]) if self.right_transposed else (axes[-2], axes[-1])
        fits = self.left.by_batch and self.left.width == depth
        if len(axes) == 3:
            fits = fits and self.left.axes[1:-1] == axes[:1]
        _check(fits, what, self.left, self.right)
        wanted = (*self.left.axes[:-1], width)
        _check(self.out.axes == wanted, what, self.out, wanted)
        if self.bias is not None:
            broadcast([self.out, self.bias], what)

    @property
    def sums_batch(self) -> bool:
        """Whether it sums over the rows of the batch."""
        return self.left_transposed

    @property
    def _text(self) -> str:
        left = self.left.name + ".T" * self.left_transposed
        right = self.right.name + ".T" * self.right_transposed
        scale = "" if self.scale == 1.0 else f"{self.scale:g} * "
        return f"{scale}{left} @ {right}"

    def __str__(self) -> str:
        bias = f" + {self.bias.name}" if self.bias else ""
        return f"{self.out.name} = {self._text}{bias}"


@dataclasses.dataclass(frozen=True)
class BatchSum(Node):
    """``out = sum over the batch's rows of source``: (N, K) gives (K,), (N, M, K) gives (M, K).

    With ``out`` (K,), the M members are summed as well.
    """

    source: Buffer
    out: Buffer

    def __post_init__(self) -> None:
        axes = self.source.axes
        what = f"{self.out.name} = {self.source.name}.sum(0)"
        _check(self.out.axes in (axes[1:], axes[-1:]), what, self.out, axes[1:])

    def __str__(self) -> str:
        return f"{self.out.name} = {self.source.name}.sum(0)"


@dataclasses.dataclass(frozen=True)
class MemberSum(Node):
    """``out = sum over the members of source``: (N, M, K) gives (N, K)."""

    source: Buffer
    out: Buffer

    def __post_init__(self) -> None:
        wanted = (BATCH, self.source.width)
        _check(self.out.axes == wanted, f"{self.out.name} = sum of members", self.source, self.out)

    def __str__(self) -> str:
        return f"{self.out.name} = {self.source.name}.sum(1)"


@dataclasses.dataclass(frozen=True)
class Noise(Node):
    """``out``: words of counter-based noise, a function of (seed, step, number, row, column)."""

    number: int
    out: Buffer

    def __str__(self) -> str:
        return f"{self.out.name} = noise(seed, step, layer={self.number})"


@dataclasses.dataclass(frozen=True)
class Map(Node):
    """``outs = formula(xp, *inputs, **keywords, **scalars)``, element by element or row by row.

    Attributes
    ----------
    formula : callable
        One array for one of ``outs``, a tuple of them for more.
    inputs : tuple of Buffer or None
        They broadcast as NumPy's do. One that is None is passed as None: the formula does not
        read it.
    outs : tuple of Buffer
        Each has the common axes of the inputs, or 1 in place of the last one, after a reduction
        over the row.
    keywords : tuple of (str, float)
        Constants.
    scalars : tuple of (str, Buffer)
        Per-step scalars by the formula's names for them.
    """

    TARGETS = ("outs",)

    formula: Callable[..., object]
    inputs: tuple[Buffer | None, ...]
    outs: tuple[Buffer, ...]
    keywords: tuple[tuple[str, float], ...] = ()
    scalars: tuple[tuple[str, Buffer], ...] = ()

    def __post_init__(self) -> None:
        given = [buffer for buffer in self.inputs if buffer is not None]
        axes = broadcast(given, str(self))
        for out in self.outs:
            _check(out.axes in (axes, (*axes[:-1], 1)), str(self), out, axes)

    def __str__(self) -> str:
        inputs = ["_" if buffer is None else buffer.name for buffer in self.inputs]
        inputs += [f"{name}={value:g}" for name, value in self.keywords]
        inputs += [f"{name}={buffer.name}" for name, buffer in self.scalars]
        outs = ", ".join(out.name for out in self.outs)
        return f"{outs} = {formula_name(self.formula)}({', '.join(inputs)})"


@dataclasses.dataclass(frozen=True)
class Lookup(Node):
    """``out[n, m] = table[m, index[n, m]]``: rows of a table (M, C, K), by numbers (N, M).

    ``index`` holds whole numbers from 0 to C - 1, in reals. With one member the axes M are left
    out of ``table`` and ``out``.
    """

    table: Buffer
    index: Buffer
    out: Buffer

    def __post_init__(self) -> None:
        members, width = self.out.members, self.out.width
        what = str(self)
        _check(self.index.axes == (BATCH, members), what, self.out, self.index)
        own = (members,) if len(self.out.axes) == 3 else ()
        _check(
            self.table.axes[:-2] == own and self.table.width == width, what, self.out, self.table
        )

    def __str__(self) -> str:
        return f"{self.out.name} = {self.table.name}[{self.index.name}]"


@dataclasses.dataclass(frozen=True)
class ScatterAdd(Node):
    """`Lookup` backward: ``out[m, index[n, m]] += source[n, m]``, in the order of the rows n."""

    source: Buffer
    index: Buffer
    out: Buffer

    def __post_init__(self) -> None:
        Lookup(self.out, self.index, self.source)  # its shapes, the other way round

    def __str__(self) -> str:
        return f"{self.out.name}[{self.index.name}] += {self.source.name}"


@dataclasses.dataclass(frozen=True)
class Cumulate(Node):
    """``out[m, c] = sum of source[m, j] over j <= c``, or j >= c if ``reverse``; (M, C, K) each.

    What ``plus`` holds is added.
    """

    source: Buffer
    out: Buffer
    reverse: bool = False
    plus: Buffer | None = None

    def __post_init__(self) -> None:
        for buffer in (self.source, self.plus or self.source):
            _check(buffer.axes == self.out.axes, str(self), buffer, self.out)

    def __str__(self) -> str:
        plus = f" + {self.plus.name}" if self.plus else ""
        return (
            f"{self.out.name} = cumulated({self.source.name}{', backwards' * self.reverse}){plus}"
        )


@dataclasses.dataclass(frozen=True)
class NormaliseWeights(Node):
    """``out = formula(weight, outputs)``: each row's part of the loss, (N, 1)."""

    formula: Callable[..., object]
    weight: Buffer
    outputs: int
    out: Buffer

    def __str__(self) -> str:
        name = formula_name(self.formula)
        return f"{self.out.name} = {name}({self.weight.name}, outputs={self.outputs})"


@dataclasses.dataclass(frozen=True)
class ScaleRows(Node):
    """``out = formula(source, share)``: gradients times each row's share, or their total, ()."""

    formula: Callable[..., object]
    source: Buffer
    share: Buffer
    out: Buffer

    def __post_init__(self) -> None:
        broadcast([self.source, self.share], str(self))
        fits = self.out.axes in ((), self.source.axes)
        _check(fits, str(self), self.source, self.out)

    def __str__(self) -> str:
        return (
            f"{self.out.name} = {formula_name(self.formula)}({self.source.name}, {self.share.name})"
        )


@dataclasses.dataclass(frozen=True)
class Update(Node):
    """One optimiser update of ``parameter`` by ``gradient``.

    Attributes
    ----------
    penalised : bool
        Whether the L2 penalty and weight decay apply to it.
    group : int
        Whose per-step scalars it takes: see `step.groups_of`.
    """

    TARGETS = ("parameter", "state")

    optimiser: Optimiser
    parameter: Buffer
    gradient: Buffer
    state: tuple[Buffer, ...]
    penalised: bool
    group: int = 0

    def __post_init__(self) -> None:
        for buffer in (self.gradient, *self.state):
            _check(buffer.axes == self.parameter.axes, "update", self.parameter, buffer)

    @property
    def reads(self) -> tuple[Buffer, ...]:
        return (self.parameter, self.gradient, *self.state)

    def with_penalty(self, xp: Any, w: Any, g: Any, l2: Any) -> Any:
        """The gradient with the L2 penalty's, if the parameter has one."""
        return l2_penalised(xp, w, g, l2) if self.penalised else g

    def apply(
        self, xp: Any, w: Any, g: Any, *state: Any, scalars: dict[str, Any], l2: Any, clip: Any
    ) -> tuple[Any, ...]:
        """The new parameter and state.

        Parameters
        ----------
        xp : namespace
        w, g, *state : array
            The parameter, its gradient and the optimiser's state. If the optimiser clips, the
            gradient is the penalised one.
        scalars : dict of str to number
            The optimiser's at this step.
        l2, clip : number
            Factor of the L2 penalty; what `Clip` gives, which is only read if the optimiser clips.
        """
        g = g * clip if self.optimiser.clips else self.with_penalty(xp, w, g, l2)
        if not self.penalised:
            scalars = {**scalars, **dict(self.optimiser.weights_only)}
        new: tuple[Any, ...] = self.optimiser.update(xp, w, g, *state, **scalars)
        return new

    def __str__(self) -> str:
        targets = ", ".join(buffer.name for buffer in self.writes)
        gradient = f"{self.gradient.name} * clip" if self.optimiser.clips else self.gradient.name
        group = f", group {self.group}" * (self.group > 0)
        return f"{targets} = {self.optimiser.name}({self.parameter.name}, {gradient}, ...{group})"


@dataclasses.dataclass(frozen=True)
class Clip(Node):
    """``out``: the factor for all gradients. Each becomes the one with the L2 penalty's first.

    Attributes
    ----------
    gradients : tuple of (Buffer, Buffer or None)
        With each gradient its parameter, or None if that has no penalty.
    out : Buffer
    """

    gradients: tuple[tuple[Buffer, Buffer | None], ...]
    out: Buffer

    def __str__(self) -> str:
        return f"{self.out.name} = clip_factor({', '.join(g.name for g, _ in self.gradients)})"


def formula_name(formula: Callable[..., object]) -> str:
    """A formula's own name; that of the function inside of a ``functools.partial``."""
    return str(getattr(getattr(formula, "func", formula), "__name__", type(formula).__name__))

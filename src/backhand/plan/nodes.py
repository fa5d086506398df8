"""The nodes of a step: what every executor must be able to do, with named buffers.

A formula of the linear layer is run once on `Symbol` buffers, and what it does is recorded: so the
transposes stand only in `formulas.linear`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..formulas.optimisers import Optimiser, l2_penalised


@dataclasses.dataclass(frozen=True)
class Gather:
    """``out = source[order]``: the rows of this batch, as ``dtype`` (None: as they are).

    ``sparse`` if they hold only the entries that are stored; the products read only those.
    """

    source: str
    out: str
    dtype: str | None = None
    sparse: bool = False


@dataclasses.dataclass(frozen=True)
class Matmul:
    """``out = left @ right (+ bias)``, either operand transposed or not."""

    left: str
    left_transposed: bool
    right: str
    right_transposed: bool
    bias: str | None = None
    out: str = ""

    def __add__(self, bias: Symbol) -> Matmul:
        return dataclasses.replace(self, bias=bias.name)


@dataclasses.dataclass(frozen=True)
class ColumnSum:
    """``out[k] = sum over rows of source[:, k]``."""

    source: str
    out: str = ""


@dataclasses.dataclass(frozen=True)
class Noise:
    """``out``: words of counter-based noise for one layer of the batch, (N, width)."""

    layer: int
    out: str


@dataclasses.dataclass(frozen=True)
class Map:
    """``out = formula(xp, *inputs, **keywords)``, element by element or row by row.

    An input that is ``None`` is passed as ``None``: the formula does not read it.
    """

    formula: Callable[..., Any]
    inputs: tuple[str | None, ...]
    out: str
    keywords: tuple[tuple[str, float], ...] = ()

    def apply(self, xp: Any, at: dict[str, Any]) -> None:
        """Run the formula on named values, and enter its result."""
        inputs = [None if name is None else at[name] for name in self.inputs]
        at[self.out] = self.formula(xp, *inputs, **dict(self.keywords))


@dataclasses.dataclass(frozen=True)
class NormaliseWeights:
    """``out = formula(weight, outputs)``: each row's normalised weight in the loss, (N, 1)."""

    formula: Callable[..., Any]
    weight: str
    outputs: int
    out: str


@dataclasses.dataclass(frozen=True)
class ScaleRows:
    """``out = formula(source, share)``: rows times their normalised weights, or the total."""

    formula: Callable[..., Any]
    source: str
    share: str
    out: str


@dataclasses.dataclass(frozen=True)
class Update:
    """One optimiser update of ``parameter`` by ``gradient``; ``decayed`` if L2 applies to it.

    If the optimiser clips, the gradient is multiplied by what `Clip` gives.
    """

    optimiser: Optimiser
    parameter: str
    gradient: str
    state: tuple[str, ...]
    decayed: bool

    def penalised(self, xp: Any, w: Any, g: Any, l2: Any) -> Any:
        """The gradient with the L2 penalty's, if the parameter has one."""
        return l2_penalised(xp, w, g, l2) if self.decayed else g

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
        g = g * clip if self.optimiser.clips else self.penalised(xp, w, g, l2)
        if not self.decayed:
            scalars = {**scalars, **dict(self.optimiser.weights_only)}
        new: tuple[Any, ...] = self.optimiser.update(xp, w, g, *state, **scalars)
        return new


@dataclasses.dataclass(frozen=True)
class Clip:
    """``out``: the factor for all gradients; of each, the parameter that L2 adds to it, or None."""

    gradients: tuple[tuple[str, str | None], ...]
    out: str = "clip"


Node = Gather | Matmul | ColumnSum | Noise | Map | NormaliseWeights | ScaleRows | Clip | Update


@dataclasses.dataclass(frozen=True)
class Symbol:
    """A named buffer on which a formula of the linear layer is run, to record what it does."""

    name: str
    transposed: bool = False

    @property
    def T(self) -> Symbol:  # noqa: N802  # the name that arrays use
        return Symbol(self.name, not self.transposed)

    def __matmul__(self, right: Symbol) -> Matmul:
        return Matmul(self.name, self.transposed, right.name, right.transposed)

    def sum(self, axis: int) -> ColumnSum:
        if axis != 0 or self.transposed:
            raise ValueError("a formula of the linear layer may only sum over rows")
        return ColumnSum(self.name)

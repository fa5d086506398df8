"""Formulas of the linear layer, run once on symbols, which record the products that they do.

So the transposes stand only in `formulas.linear`.
"""

from __future__ import annotations

import dataclasses

from .buffers import Buffer
from .nodes import BatchSum, Product


@dataclasses.dataclass(frozen=True)
class Recorded:
    """What a formula of the linear layer does: a product, before it has a result."""

    left: Symbol
    right: Symbol
    bias: Buffer | None = None
    scale: float = 1.0

    def __mul__(self, scale: float) -> Recorded:
        return dataclasses.replace(self, scale=scale)

    def __add__(self, bias: Symbol) -> Recorded:
        return dataclasses.replace(self, bias=bias.buffer)

    def into(self, out: Buffer) -> Product:
        """The node that writes it to ``out``."""
        left, right = self.left, self.right
        return Product(
            left.buffer,
            left.transposed,
            right.buffer,
            right.transposed,
            out,
            self.bias,
            self.scale,
        )


@dataclasses.dataclass(frozen=True)
class RecordedSum:
    """A sum over rows, before it has a result."""

    source: Buffer

    def into(self, out: Buffer) -> BatchSum:
        """The node that writes it to ``out``."""
        return BatchSum(self.source, out)


@dataclasses.dataclass(frozen=True)
class Symbol:
    """A buffer on which a formula of the linear layer is run, to record what it does."""

    buffer: Buffer
    transposed: bool = False

    @property
    def T(self) -> Symbol:  # noqa: N802  # the name that arrays use
        return Symbol(self.buffer, not self.transposed)

    def __matmul__(self, right: Symbol) -> Recorded:
        return Recorded(self, right)

    def sum(self, axis: int) -> RecordedSum:
        if axis != 0 or self.transposed:
            raise ValueError("a formula of the linear layer may only sum over rows")
        return RecordedSum(self.buffer)

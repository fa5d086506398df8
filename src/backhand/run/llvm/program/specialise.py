"""Which layers of a network get kernels for their own number of units, and how wide these are.

Kernels serve every width. One made for a width costs its compilation again, and saves what a layer
computes beyond its last unit: that pays where such a layer is much of the network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from ..ir.padding import padded_columns
from ..kernels.tile import Tile, lanes_of_last
from ..machine.target import Target

MUCH = 1 / 8
"""The part of all updates, or of all products, that is worth a kernel for a layer alone."""


@dataclasses.dataclass(frozen=True)
class Widths:
    """The choice for one network.

    Attributes
    ----------
    target : Target
    dtype : dtype
    tile : Tile
    shapes : sequence of (int, int)
        Of the layers' weights.
    """

    target: Target
    dtype: Any
    tile: Tile
    shapes: Collection[tuple[int, int]]

    def last(self, columns: int) -> int | None:
        """Lanes for the last vector of a product with ``columns`` columns; None: no own kernel."""
        lanes = self.target.lanes(self.dtype)
        last = lanes_of_last(self.tile, lanes, columns)
        saved = (lanes - (last or lanes)) / padded_columns(columns)
        return last if saved * self._part(columns) > MUCH else None

    def summing(self, columns: int) -> Target:
        """For the sums over the batch of ``columns`` columns: narrow if that is worth a kernel."""
        much = self._part(columns) > MUCH
        return self.target.narrowed(self.dtype, columns) if much else self.target

    def shared(self, columns: Collection[int]) -> set[int]:
        """The widths, of some, whose products share a kernel; in whole vectors."""
        return {padded_columns(one) for one in columns if not self.last(one)}

    def _part(self, columns: int) -> float:
        """Of all weights as they are stored, those of layers with ``columns`` units."""
        sizes = [(k, d * padded_columns(k)) for d, k in self.shapes]
        mine = max((size for k, size in sizes if k == columns), default=0)
        return mine / sum(size for _, size in sizes)

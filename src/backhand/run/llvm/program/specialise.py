"""Specialisation of kernels: which layers get kernels for their own number of units.

A kernel serves every width. One for a single width costs another compilation, and saves what a
layer computes beyond its last unit: that pays where such a layer is a large part of the network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from .. import tuning
from ..ir.padding import padded_columns
from ..kernels.tile import Tile, lanes_of_last
from ..machine.target import Target


@dataclasses.dataclass(frozen=True)
class KernelSpecialisation:
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
        """Lanes of the last vector of a product's columns; None without a kernel of its own."""
        lanes = self.target.lanes(self.dtype)
        last = lanes_of_last(self.tile, lanes, columns)
        saved = (lanes - (last or lanes)) / padded_columns(columns)
        return last if saved * self._part(columns) > tuning.KERNEL_FRACTION else None

    def target_for_sums(self, columns: int) -> Target:
        """The target for sums over the batch: with short vectors if that pays."""
        much = self._part(columns) > tuning.KERNEL_FRACTION
        return self.target.with_short_vectors(self.dtype, columns) if much else self.target

    def shared(self, columns: Collection[int]) -> set[int]:
        """Those of some widths whose products share a kernel, padded to whole vectors."""
        return {padded_columns(one) for one in columns if not self.last(one)}

    def _part(self, columns: int) -> float:
        """The fraction of all stored weights that belongs to a layer with ``columns`` units."""
        sizes = [(k, d * padded_columns(k)) for d, k in self.shapes]
        mine = max((size for k, size in sizes if k == columns), default=0)
        return mine / sum(size for _, size in sizes)

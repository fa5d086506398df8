"""What a batch of data is on its way through a network, and how that is summed up."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any


class LayerStatistics(NamedTuple):
    """What one array of a layer looks like on a batch of data.

    Attributes
    ----------
    layer : int
        The linear layer that it belongs to, which count from 1; 0 before the first.
    buffer : str
        ``"x"``, ``"z"`` (pre-activation) or ``"y"`` (output), with ``"d"`` in front for gradients.
    mean, std : float
        Over all rows and units.
    zeros : float
        Share of elements that are exactly zero.
    dead : float
        Share of units that give the same value for every row: they tell nothing apart.
    """

    layer: int
    buffer: str
    mean: float
    std: float
    zeros: float
    dead: float


class LayerArray(NamedTuple):
    """One array of a layer.

    Attributes
    ----------
    layer, buffer
        As of `LayerStatistics`.
    values : array (N, units)
        Of an ensemble within the network, (N, members, units).
    """

    layer: int
    buffer: str
    values: Array

    @property
    def dead(self) -> Array:
        """Whether each unit gives the same value for every row, (units,)."""
        return (self.values == self.values[:1]).all(axis=0)

    @property
    def statistics(self) -> LayerStatistics:
        """The array in a few numbers."""
        a = np.asarray(self.values)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is seen
            return LayerStatistics(
                self.layer,
                self.buffer,
                float(a.mean(dtype=np.float64)),
                float(a.std(dtype=np.float64)),
                float((a == 0).mean()),
                float(self.dead.mean()),
            )

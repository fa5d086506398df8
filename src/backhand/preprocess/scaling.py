"""Scales of numbers: robust with a smooth clip, as RealMLP (Holzmüller et al. 2024), and standard.

With m the median and q the interquartile range of the training rows,

    z = (value - m) / q,        z' = z / sqrt(1 + (z / 3)^2),        so that |z'| < 3.

Where q is 0, half the range takes its place. A column of zeros and ones becomes two levels in the
same way: {0, 1.664} where ones are rare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backhand.errors import InputError
from backhand.formulas.columns import linear, robust, smooth_clip
from backhand.preprocess.checks import finite, listed
from backhand.preprocess.distribution import Distribution
from backhand.run.namespaces import NUMPY

HEAVY = 1.5
"""Where the smooth clip moves a training value by more, the column has a tail worth an input."""

TAIL = (0.0001, 0.9999)
"""Quantiles beyond which a tail's values grow as their logarithm."""


@dataclass(frozen=True)
class Scale:
    """A robust scale: ``centre`` becomes 0, and ``width`` more than it becomes 1."""

    centre: float
    width: float

    @classmethod
    def of(cls, values: Distribution | NDArray[np.float64], where: str) -> Scale | None:
        """Return the scale of training values, finite and at least one; None if all are alike.

        Raises
        ------
        InputError
            If the spread is beyond float64, which happens for values about 1e308.
        """
        found = Distribution.of(values)
        least, most = found.least, found.most
        if least == most:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            low, centre, high = found.quantiles((0.25, 0.5, 0.75))
            # of halves, since the range itself may be beyond float64
            width = float(high - low) or most / 2 - least / 2
        if not (np.isfinite(width) and np.isfinite(centre)):
            raise InputError(f"{where}: values up to {max(-least, most):g} are too large")
        # Neighbouring denormals have no half between them.
        return cls(float(centre), width or most - least)

    @np.errstate(over="ignore")
    def __call__(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return z'; NaN stays NaN."""
        z: NDArray[np.float64] = robust(NUMPY, np.asarray(values), self.centre, self.width)
        return z

    def to_list(self) -> list[float]:
        """Return what `from_list` takes."""
        return [self.centre, self.width]

    @classmethod
    def from_list(cls, found: object, where: str) -> Scale:
        """Rebuild from `to_list`; InputError for anything else."""
        centre, width = listed(found, where, 2)
        return cls(finite(centre, f"{where}: centre"), finite(width, f"{where}: width", above=0))


@dataclass(frozen=True)
class Tail:
    """Values standardised, which the smooth clip would crush.

    Beyond ``low`` and ``high``, two quantiles of the training rows, they grow as the logarithm of
    what is beyond: carriers of the signal keep their order, and typos do little harm.
    """

    low: float
    high: float
    mean: float
    std: float

    @classmethod
    def of(
        cls, values: Distribution | NDArray[np.float64], scale: Scale, where: str
    ) -> Tail | None:
        """Return the tail of training values; None if the robust scale takes little from them.

        Where most values are alike, the scale is half the range and takes the differences between
        all but the largest.
        """
        found = Distribution.of(values)
        with np.errstate(over="ignore"):
            ends = np.array([found.least, found.most])
            z = linear(NUMPY, ends, scale.centre, scale.width)
        few_differ = found.quantiles(0.25) == found.quantiles(0.75)
        if np.abs(z - smooth_clip(NUMPY, z)).max() <= HEAVY and not few_differ:
            return None
        low, high = (float(v) for v in found.quantiles(TAIL))
        if not low < high:
            return None
        mean, std = found.mean_and_std(low, high, where)
        return cls(low, high, mean, std) if std > 0 else None

    def to_list(self) -> list[float]:
        """Return what `from_list` takes."""
        return [self.low, self.high, self.mean, self.std]

    @classmethod
    def from_list(cls, found: object, where: str) -> Tail:
        """Rebuild from `to_list`; InputError for anything else."""
        low, high, mean = (finite(v, where) for v in listed(found, where, 4)[:3])
        std = finite(listed(found, where, 4)[3], f"{where}: std", above=0)
        return cls(low, finite(high, f"{where}: high", above=low), mean, std)


def levels(ones: int, rows: int) -> tuple[float, float]:
    """Return what 0 and 1 become in a column that has ``ones`` ones in ``rows`` rows.

    The robust scale with the smooth clip, of a column that needs not be made.
    """
    zeros = rows - ones
    if not (ones and zeros):
        return 0.0, 0.0  # no training row tells what a change of it means

    def quantile(share: float) -> float:
        place = share * (rows - 1)
        return float(np.interp(place, (zeros - 1, zeros), (0.0, 1.0)))

    low, centre, high = quantile(0.25), quantile(0.5), quantile(0.75)
    off, on = Scale(centre, (high - low) or 0.5)((0.0, 1.0))
    return float(off), float(on)

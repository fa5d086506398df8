"""What a scale is fitted to: numbers, or fewer of them that stand for several rows each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError


@dataclass(frozen=True, eq=False)
class Distribution:
    """Finite numbers, at least one.

    Attributes
    ----------
    values : ndarray of float64 (N,)
    weights : ndarray of float64 (N,), or None
        Rows that each of them stands for; None is 1, and values in any order. Else they increase.
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, values: Distribution | NDArray[np.float64]) -> Distribution:
        """The distribution of an array, or one that is there already."""
        return values if isinstance(values, Distribution) else cls(values)

    @property
    def least(self) -> float:
        return float(self.values.min())

    @property
    def most(self) -> float:
        return float(self.values.max())

    def quantiles(self, shares: Any) -> NDArray[np.float64]:
        """Quantiles as `numpy.quantile` has them; a value stands in the middle of its rows."""
        found: NDArray[np.float64]
        if self.weights is None:
            found = np.quantile(self.values, shares)
            return found
        ends = np.cumsum(self.weights)
        places = ends - (self.weights + 1) / 2
        found = np.interp(np.asarray(shares) * (ends[-1] - 1), places, self.values)
        return found

    def mean_and_std(self, low: float, high: float, where: str) -> tuple[float, float]:
        """Mean and deviation of the values, which are first made to lie within two of them."""
        return mean_and_std(np.clip(self.values, low, high), where, self.weights)


def mean_and_std(
    values: NDArray[Any], where: str, weights: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """Return the mean and the population's standard deviation, without overflow on the way.

    Raises
    ------
    InputError
        If they are beyond float64, which happens for values about 1e308.
    """

    def average(a: NDArray[Any]) -> Any:
        return a.mean() if weights is None else np.average(a, weights=weights)

    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(average(values))
        distance = np.abs(values - mean)
    most = float(distance.max())
    if not np.isfinite(most):
        raise InputError(f"{where}: values up to {np.abs(values).max():g} are too large")
    if most == 0:
        return mean, 0.0
    # Dividing by the largest first keeps the squares of 1e200 and of 1e-200 in range.
    return mean, most * float(np.sqrt(average(np.square(distance / most))))

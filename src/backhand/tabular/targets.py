"""What a network learns of a target, and what its outputs mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..formulas.answers import from_log, in_units
from ..preprocess.checks import entries, finite, flag
from ..preprocess.distribution import mean_and_std
from ..run.namespaces import NUMPY

Array = Any

SKEWED = 1.0
"""A positive target with more skewness than this may be easier to learn by its logarithm."""


@dataclasses.dataclass(frozen=True)
class TargetScale:
    """A regression's target, standardised, or its logarithm standardised.

    Attributes
    ----------
    mean, std : float
        Of what is standardised, over the training rows.
    log : bool
    smear : float
        What a prediction is multiplied by: the mean of exp of the logarithm's errors over rows that
        the network has not learned from (Duan 1983), since the exponential of a mean is too small.
    """

    mean: float
    std: float
    log: bool = False
    smear: float = 1.0

    @classmethod
    def of(cls, y: Array, log: bool = False, weights: Array | None = None) -> TargetScale:
        """The scale of the training rows' targets y (N,), each as often as its weight says."""
        mean, std = mean_and_std(np.log(y) if log else y, "y", weights)
        return cls(mean, std or 1.0, log)

    def encode(self, y: Array) -> Array:
        """Targets (N,) as float32 (N, 1)."""
        t = np.log(y) if self.log else np.asarray(y, np.float64)
        return ((t - self.mean) / self.std).astype(np.float32)[:, None]

    def decode(self, z: Array) -> Array:
        """Outputs (N, 1) in the target's unit (N,)."""
        y = in_units(NUMPY, z[:, 0].astype(np.float64), self.mean, self.std)
        return from_log(NUMPY, y, self.smear) if self.log else y

    def smeared(self, y: Array, z: Array) -> TargetScale:
        """The scale with the `smear` of rows with targets y and outputs z."""
        if not self.log:
            return self
        ratio = float(np.mean(y) / np.mean(self.decode(z)))
        return dataclasses.replace(self, smear=float(np.clip(ratio, 0.8, 1.25)))

    @classmethod
    def from_dict(cls, d: object) -> TargetScale:
        """Rebuild from what `dataclasses.asdict` makes; InputError for anything else."""
        entries(d, "scale", [field.name for field in dataclasses.fields(cls)])
        assert isinstance(d, Mapping)
        return cls(
            finite(d["mean"], "scale: mean"),
            finite(d["std"], "scale: std", above=0),
            flag(d["log"], "scale: log"),
            finite(d["smear"], "scale: smear", above=0),
        )

    @staticmethod
    def may_be_log(y: Array, weights: Array | None = None) -> bool:
        """Whether the logarithm of a target is worth trying: all positive, with a long tail."""
        if y.min() <= 0:
            return False
        mean, std = mean_and_std(y, "y", weights)
        return std > 0 and float(np.average(((y - mean) / std) ** 3, weights=weights)) > SKEWED

"""From what networks give to what people read: units, shares of members, probabilities."""

from __future__ import annotations

from .namespace import XP, Array

LARGEST_LOG = 700.0
"""Above this logarithm a predicted amount grows no more: its exponential is finite in float64."""


def in_units(xp: XP, y: Array, mean: Array, std: Array) -> Array:
    """A standardised target in its own unit."""
    return y * std + mean


def from_log(xp: XP, y: Array, smear: Array) -> Array:
    """The amount of a logarithm, times what the exponential of a mean is too small by."""
    return xp.exp(xp.minimum(y, LARGEST_LOG)) * smear


def share(xp: XP, y: Array, weight: Array) -> Array:
    """What a member adds to the mean."""
    return weight * y


def mean_of(xp: XP, total: Array, count: Array) -> Array:
    return total / count


def complement(xp: XP, p: Array) -> Array:
    """The probability of the first of two classes, from that of the second."""
    return 1.0 - p


def opposite(xp: XP, z: Array) -> Array:
    """The logit of the first of two classes, from that of the second."""
    return -z


def tempered(xp: XP, p: Array, temperature: Array) -> Array:
    """Probabilities (N, K) to the power of 1 / temperature, with a sum of 1 (Guo et al. 2017)."""
    z = xp.log(p) / temperature
    q = xp.exp(z - xp.row_max(z))
    return q / xp.row_sum(q)

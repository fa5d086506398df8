"""The pinball loss of one quantile, and several quantiles at once, which never cross.

For several, the network has an output for each level, in rising order. The first is the lowest
quantile, and every other one adds a step above 0, so that

    q_0 = z_0        q_k = q_{k-1} + softplus(z_k)

rises for any z (Gasthaus 2019 builds splines so; Park 2022 says why crossing is worth avoiding).
The loss is the pinball loss of each quantile. The target comes once for each level, (N, K).
"""

from __future__ import annotations

import functools

from ..errors import InputError
from .activations import logistic, softplus
from .loss import Loss
from .namespace import XP, Array

QUANTILES = "quantiles:"


def quantile(xp: XP, z: Array, t: Array, level: float) -> Array:
    # Koenker and Bassett 1978, the pinball loss: a share `level` of targets lies below the best z
    d = t - z
    return xp.maximum(level * d, (level - 1.0) * d)


def quantile_grad(xp: XP, z: Array, t: Array, level: float) -> Array:
    # 0 at z = t, as absolute_error_grad; NaN stays NaN
    d = z - t
    return xp.where(d > 0, 1.0 - level, xp.where(d < 0, -level, d))


def rising(xp: XP, z: Array, count: int) -> Array:
    """The quantiles (N, count), from logits of the same shape."""
    # sums over ever fewer columns, since a row can only be summed as a whole
    steps = xp.where(xp.is_column(0, z), z, softplus(xp, z))
    q = steps
    for k in reversed(range(1, count)):
        q = xp.where(xp.is_column(k, z), xp.row_sum(steps), q)
        steps = xp.where(xp.is_column(k, z), 0.0, steps)
    return q


def rising_vjp(xp: XP, z: Array, dq: Array, count: int) -> Array:
    # z_k moves the quantiles from k on; softplus' = logistic
    dz, above = dq, dq
    for k in range(count):
        dz = xp.where(xp.is_column(k, z), xp.row_sum(above), dz)
        above = xp.where(xp.is_column(k, z), 0.0, above)
    return xp.where(xp.is_column(0, z), dz, dz * logistic(xp, z))


@functools.lru_cache
def quantiles(levels: tuple[float, ...]) -> Loss:
    """The loss of several quantiles, of targets (N, K) that are the same in all columns.

    Parameters
    ----------
    levels : tuple of float
        Rising, above 0 and below 1.

    Raises
    ------
    InputError
        If they are not.
    """
    for level, following in zip(levels, (*levels[1:], 1.0), strict=True):
        if not 0.0 < level < following <= 1.0:
            raise InputError(f"quantiles must rise and lie between 0 and 1, got {list(levels)}")
    count = len(levels)

    def value(xp: XP, z: Array, t: Array) -> Array:
        q = rising(xp, z, count)
        found = quantile(xp, q, t, levels[0])
        for k in range(1, count):
            found = xp.where(xp.is_column(k, z), quantile(xp, q, t, levels[k]), found)
        return found

    def grad(xp: XP, z: Array, t: Array) -> Array:
        q = rising(xp, z, count)
        dq = quantile_grad(xp, q, t, levels[0])
        for k in range(1, count):
            dq = xp.where(xp.is_column(k, z), quantile_grad(xp, q, t, levels[k]), dq)
        return rising_vjp(xp, z, dq, count)

    def inverse_link(xp: XP, z: Array) -> Array:
        return rising(xp, z, count)

    levels = tuple(map(float, levels))
    name = QUANTILES + ",".join(map(repr, levels))
    return Loss(name, value, grad, inverse_link, target="real", outputs="sum", levels=levels)


def choose_quantiles(value: str) -> Loss:
    """The loss of text such as ``"quantiles:0.1,0.5,0.9"``. Raises InputError if it makes none."""
    try:
        levels = tuple(float(level) for level in value.removeprefix(QUANTILES).split(","))
    except ValueError:
        raise InputError(
            f"several quantiles are written like {QUANTILES}0.1,0.5,0.9, got {value!r}"
        ) from None
    return quantiles(levels)

"""Deviances of counts and amounts with the log link, each with its gradient under it.

Half a deviance is 0 where the rate is the target, and never negative. Its terms nearly cancel
there, so all of them are made of ``exp(u) - 1 - u``, how far exp is above its tangent at 0, with
``u`` the logit less that of the target.
"""

from __future__ import annotations

import math

from .namespace import XP, Array

LARGEST_LOG_RATE = 30.0
"""Above this logit (a rate of 1e13) the rate goes on as the tangent of exp.

So loss and gradient stay finite in float32 at any logit that training can reach, and Adam's
squared gradient too. Below it the rate is exp(z).
"""

LARGEST_RATE = math.exp(LARGEST_LOG_RATE)

NO_LOG = -1000.0
"""In place of log(0): far below the logit of any rate that is not 0."""

SERIES = tuple(1.0 / math.factorial(k) for k in range(2, 20))
"""Of ``exp(u) - 1 - u``, from u**2 on: to the last digit of float64 where ``|u| < 1``."""


def rate(xp: XP, z: Array) -> Array:
    over = xp.maximum(z - LARGEST_LOG_RATE, 0.0)
    return xp.exp(xp.minimum(z, LARGEST_LOG_RATE)) * (1.0 + over)


def rate_grad(xp: XP, z: Array) -> Array:
    return xp.exp(xp.minimum(z, LARGEST_LOG_RATE))


def log_target(xp: XP, t: Array, factor: float = 1.0) -> Array:
    """``factor * log(t)``, and `NO_LOG` at 0."""
    return xp.where(t > 0, factor * xp.log(xp.where(t > 0, t, 1.0)), NO_LOG)


def excess(xp: XP, v: Array, base: Array, scale: Array | float, times: Array | float) -> Array:
    """``scale * (exp(v - base) - 1 - (v - base))``, where ``times * exp(base) = scale``.

    Beyond `LARGEST_LOG_RATE` it goes on as ``times * rate(v)`` does.
    """
    over = xp.maximum(v - LARGEST_LOG_RATE, 0.0)
    u = xp.minimum(v, LARGEST_LOG_RATE) - base
    inside = xp.minimum(xp.maximum(u, -1.0), 1.0)  # so that the branch not chosen stays in range
    series = SERIES[-1] + 0.0 * inside
    for term in reversed(SERIES[:-1]):
        series = series * inside + term
    near = scale * (inside * inside * series) + over * (times * LARGEST_RATE - scale)
    far = times * rate(xp, v) - scale * (1.0 + (v - base))
    return xp.where(xp.abs(u) < 1.0, near, far)


# counts -----------------------------------------------------------------------------------------


def poisson(xp: XP, z: Array, t: Array) -> Array:
    # mu - t + t log(t / mu), mu = exp(z)
    return excess(xp, z, log_target(xp, t), t, 1.0)


def poisson_grad(xp: XP, z: Array, t: Array) -> Array:
    return rate_grad(xp, z) - t


# amounts ----------------------------------------------------------------------------------------


def gamma(xp: XP, z: Array, t: Array) -> Array:
    # t / mu - log(t / mu) - 1, mu = exp(z)
    return excess(xp, -z, -xp.log(t), 1.0, t)


def gamma_grad(xp: XP, z: Array, t: Array) -> Array:
    return 1.0 - t * rate_grad(xp, -z)


def gamma_inverse_link(xp: XP, z: Array) -> Array:
    return rate(xp, xp.maximum(z, -LARGEST_LOG_RATE))  # below, the gradient knows no smaller mean


def tweedie(xp: XP, z: Array, t: Array, power: float) -> Array:
    # Jorgensen 1987, for 1 < power < 2: mu^b / b + t mu^-a / a - t^b / (a b), with mu = exp(z),
    # a = power - 1 and b = 2 - power. As a + b = 1, the last term is t^b / a + t^b / b.
    a, b = power - 1.0, 2.0 - power
    base = log_target(xp, t, b)
    scale = xp.exp(base)
    over = excess(xp, b * z, base, scale, 1.0)
    under = excess(xp, -a * z, log_target(xp, t, -a), scale, t)
    return over / b + under / a


def tweedie_grad(xp: XP, z: Array, t: Array, power: float) -> Array:
    return rate_grad(xp, (2.0 - power) * z) - t * rate_grad(xp, (1.0 - power) * z)

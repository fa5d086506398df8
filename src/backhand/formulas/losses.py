"""Losses as functions of the logits, each with its gradient under it.

``z`` are the logits of the last layer (N, K), before any squashing; that is what makes the losses
stable. An element loss gives one value for each element, a row loss one for each row:

    element loss:  z (N, K), t (N, K) -> (N, K)        row loss:  z (N, K), t (N, 1) -> (N, 1)

and ``_grad`` gives the derivative of that value by ``z``, (N, K). Neither knows of the batch:
the one 1/N of the project is `share`, which carries the sample weights too.
``inverse_link`` maps logits to what a person wants to see: probabilities, rates, or the value
itself.
"""

from __future__ import annotations

import math
from typing import Any

from .activations import choose_activation, identity, logistic, softplus
from .deviances import (
    LARGEST_LOG_RATE,
    gamma,
    gamma_grad,
    gamma_inverse_link,
    poisson,
    poisson_grad,
    rate,
    tweedie,
    tweedie_grad,
)
from .entry import BELOW_ONE, POSITIVE, choose, finds
from .loss import OF, Loss, share, share_vjp, through, total
from .namespace import XP, Array
from .quantiles import QUANTILES, choose_quantiles, quantile, quantile_grad

__all__ = [
    "LOSSES",
    "QUANTILES",
    "Loss",
    "choose_loss",
    "share",
    "share_vjp",
    "through",
    "total",
]


# real targets -----------------------------------------------------------------------------------


def squared_error(xp: XP, z: Array, t: Array) -> Array:
    d = z - t
    return d * d


def squared_error_grad(xp: XP, z: Array, t: Array) -> Array:
    return 2.0 * (z - t)


def half_squared_error(xp: XP, z: Array, t: Array) -> Array:
    return 0.5 * squared_error(xp, z, t)


def half_squared_error_grad(xp: XP, z: Array, t: Array) -> Array:
    return z - t


def absolute_error(xp: XP, z: Array, t: Array) -> Array:
    return xp.abs(z - t)


def absolute_error_grad(xp: XP, z: Array, t: Array) -> Array:
    # 0 at z = t, as torch.nn.functional.l1_loss. What is neither above nor below is d itself: 0 or
    # NaN, of the precision of the logits, which two Python numbers would not have.
    d = z - t
    return xp.where(d > 0, 1.0, xp.where(d < 0, -1.0, d))


def huber(xp: XP, z: Array, t: Array, delta: float) -> Array:
    # Huber 1964; the quadratic part has unit curvature, as torch.nn.functional.huber_loss
    a = xp.abs(z - t)
    inside = xp.minimum(a, delta)
    return inside * (a - 0.5 * inside)


def huber_grad(xp: XP, z: Array, t: Array, delta: float) -> Array:
    return xp.maximum(xp.minimum(z - t, delta), -delta)


# probabilities, one an output -------------------------------------------------------------------


def opposed(xp: XP, z: Array, t: Array) -> Array:
    """The part of the target that speaks against the side on which the logit is."""
    return xp.where(z > 0, 1.0 - t, t)


def cross_entropy_opposed(xp: XP, z: Array, part: Array) -> Array:
    """Binary cross-entropy of a logit and the `opposed` part of its target.

    It is ``max(z, 0) - t z + log1p(exp(-|z|))``. As ``|z|`` times the opposed part the first two
    terms have no difference that cancels: the loss keeps its digits at every z and t.
    """
    size = xp.abs(z)
    return size * part + xp.log1p(xp.exp(-size))


def binary_cross_entropy(xp: XP, z: Array, t: Array) -> Array:
    # -t log p - (1 - t) log(1 - p) with p = logistic(z)
    return cross_entropy_opposed(xp, z, opposed(xp, z, t))


def binary_cross_entropy_grad(xp: XP, z: Array, t: Array) -> Array:
    return logistic(xp, z) - t


def smoothed_binary_cross_entropy(xp: XP, z: Array, t: Array, label_smoothing: float) -> Array:
    # Szegedy 2016: a share of each target is one half, as if the label were drawn at random
    part = (1.0 - label_smoothing) * opposed(xp, z, t) + 0.5 * label_smoothing
    return cross_entropy_opposed(xp, z, part)


def smoothed_binary_cross_entropy_grad(xp: XP, z: Array, t: Array, label_smoothing: float) -> Array:
    return binary_cross_entropy_grad(xp, z, (1.0 - label_smoothing) * t + 0.5 * label_smoothing)


def binary_focal(xp: XP, z: Array, t: Array, gamma: float) -> Array:
    # Lin 2017: -t (1 - p)^gamma log p - (1 - t) p^gamma log(1 - p), p = logistic(z), where
    # -log p = softplus(-z) and -log(1 - p) = softplus(z)
    hit, miss = softplus(xp, -z), softplus(xp, z)
    return t * xp.exp(-gamma * miss) * hit + (1.0 - t) * xp.exp(-gamma * hit) * miss


def binary_focal_grad(xp: XP, z: Array, t: Array, gamma: float) -> Array:
    hit, miss = softplus(xp, -z), softplus(xp, z)
    p, rest = logistic(xp, z), logistic(xp, -z)
    up = xp.exp(-gamma * miss) * (gamma * p * hit + rest)
    down = xp.exp(-gamma * hit) * (gamma * rest * miss + p)
    return (1.0 - t) * down - t * up


# one class of K ---------------------------------------------------------------------------------


def softmax(xp: XP, z: Array) -> Array:
    e = xp.exp(z - xp.row_max(z))
    return e / xp.row_sum(e)


def chosen(xp: XP, a: Array, t: Array) -> Array:
    """The element in the column of each row's class, (N, 1)."""
    return xp.row_sum(xp.where(xp.is_column(t, a), a, 0.0))


def log_sum_exp(xp: XP, s: Array, t: Array) -> Array:
    """The logarithm of each row's sum of ``exp(s)``; the largest ``s`` of a row is 0.

    As ``log1p`` of the sum without that 1: where the 1 is the class's own, it would hide the rest.
    """
    e = xp.exp(s)
    rest = xp.row_sum(xp.where(xp.is_column(t, s), 0.0, e))
    return xp.log1p(xp.where(chosen(xp, s, t) < 0, xp.row_sum(e) - 1.0, rest))


def softmax_cross_entropy(xp: XP, z: Array, t: Array) -> Array:
    # -log softmax(z)[t]; shifting by the largest logit leaves it as it is and keeps exp in range
    s = z - xp.row_max(z)
    return log_sum_exp(xp, s, t) - chosen(xp, s, t)


def softmax_cross_entropy_grad(xp: XP, z: Array, t: Array) -> Array:
    p = softmax(xp, z)
    return xp.where(xp.is_column(t, z), p - 1.0, p)


def smoothed_cross_entropy(xp: XP, z: Array, t: Array, label_smoothing: float) -> Array:
    # Szegedy 2016: a share of each label is spread over all K classes, its own among them
    s = z - xp.row_max(z)
    spread = label_smoothing / xp.row_sum(xp.exp(0.0 * s))  # over K: a row of ones, added up
    target = xp.where(xp.is_column(t, z), spread + (1.0 - label_smoothing), spread)
    return log_sum_exp(xp, s, t) - xp.row_sum(target * s)


def smoothed_cross_entropy_grad(xp: XP, z: Array, t: Array, label_smoothing: float) -> Array:
    spread = label_smoothing / xp.row_sum(xp.exp(0.0 * z))
    target = xp.where(xp.is_column(t, z), spread + (1.0 - label_smoothing), spread)
    return softmax(xp, z) - target


def raised(xp: XP, base: Array, exponent: float) -> Array:
    """``base ** exponent`` for a base of at least 0; 0 at 0, whatever the exponent."""
    positive = base > 0
    return xp.where(positive, xp.exp(exponent * xp.log(xp.where(positive, base, 1.0))), 0.0)


def focal(xp: XP, z: Array, t: Array, gamma: float) -> Array:
    # Lin 2017: -(1 - p)^gamma log p, p the probability of the class; 1 - p is added up from the
    # other classes, so that it keeps its digits where p is nearly 1
    rest = xp.row_sum(xp.where(xp.is_column(t, z), 0.0, softmax(xp, z)))
    return raised(xp, rest, gamma) * softmax_cross_entropy(xp, z, t)


def focal_grad(xp: XP, z: Array, t: Array, gamma: float) -> Array:
    p, its = softmax(xp, z), xp.is_column(t, z)
    rest, hit = xp.row_sum(xp.where(its, 0.0, p)), chosen(xp, p, t)
    s = z - xp.row_max(z)
    surprise = xp.log(xp.row_sum(xp.exp(s))) - chosen(xp, s, t)  # within an ULP of 1 is enough
    factor = raised(xp, rest, gamma) + gamma * hit * raised(xp, rest, gamma - 1.0) * surprise
    return factor * xp.where(its, -rest, p)


_SMOOTHING = (("label_smoothing", 0.1),)
_SMOOTHING_LIMITS = (("label_smoothing", 0.0, BELOW_ONE),)
_FOCUS = (("gamma", 2.0),)
_FOCUS_LIMITS = (("gamma", 0.0, math.inf),)

LOSSES: dict[str, Loss] = {
    entry.name: entry
    for entry in (
        Loss(
            "mean_squared_error",
            squared_error,
            squared_error_grad,
            identity,
            target="real",
            definition="(z - t)**2",
            torch="mse_loss",
        ),
        Loss(
            "half_squared_error",
            half_squared_error,
            half_squared_error_grad,
            identity,
            target="real",
            definition="(z - t)**2 / 2",
            outputs="sum",
        ),
        Loss(
            "mean_absolute_error",
            absolute_error,
            absolute_error_grad,
            identity,
            target="real",
            definition="abs(z - t)",
            kinks=lambda t: (t,),
            torch="l1_loss",
        ),
        Loss(
            "huber",
            huber,
            huber_grad,
            identity,
            target="real",
            definition=(
                "(z - t)**2 / 2 if abs(z - t) <= delta else delta * (abs(z - t) - delta / 2)"
            ),
            kinks=lambda t, delta: (t - delta, t, t + delta),
            torch="huber_loss",
            parameters=(("delta", 1.0),),
            limits=(("delta", POSITIVE, math.inf),),
        ),
        Loss(
            "quantile",
            quantile,
            quantile_grad,
            identity,
            target="real",
            definition="max(level * (t - z), (level - 1) * (t - z))",
            kinks=lambda t, level: (t,),
            parameters=(("level", 0.5),),
            limits=(("level", 0.0, 1.0),),
        ),
        Loss(
            "binary_cross_entropy",
            binary_cross_entropy,
            binary_cross_entropy_grad,
            logistic,
            target="probability",
            definition="t * log1p(exp(-z)) + (1 - t) * log1p(exp(z))",
            kinks=lambda t: (0.0,),
            torch="binary_cross_entropy_with_logits",
        ),
        Loss(
            "softmax_cross_entropy",
            softmax_cross_entropy,
            softmax_cross_entropy_grad,
            softmax,
            target="class",
            definition="log(fsum(exp(v - z[t]) for v in z))",
            torch="cross_entropy",
        ),
        Loss(
            "smoothed_binary_cross_entropy",
            smoothed_binary_cross_entropy,
            smoothed_binary_cross_entropy_grad,
            logistic,
            target="probability",
            definition=("log1p(exp(z)) - ((1 - label_smoothing) * t + label_smoothing / 2) * z"),
            kinks=lambda t, label_smoothing: (0.0,),
            parameters=_SMOOTHING,
            limits=_SMOOTHING_LIMITS,
        ),
        Loss(
            "smoothed_cross_entropy",
            smoothed_cross_entropy,
            smoothed_cross_entropy_grad,
            softmax,
            target="class",
            definition=(
                "log(fsum(exp(v - z[t]) for v in z))"
                " - label_smoothing * (fsum(z) / fsum(1 for v in z) - z[t])"
            ),
            torch="cross_entropy",
            parameters=_SMOOTHING,
            limits=_SMOOTHING_LIMITS,
        ),
        Loss(
            "binary_focal",
            binary_focal,
            binary_focal_grad,
            logistic,
            target="probability",
            definition=(
                "t * log1p(exp(-z)) / (1 + exp(z))**gamma"
                " + (1 - t) * log1p(exp(z)) / (1 + exp(-z))**gamma"
            ),
            kinks=lambda t, gamma: (0.0,),
            parameters=_FOCUS,
            limits=_FOCUS_LIMITS,
        ),
        Loss(
            "focal",
            focal,
            focal_grad,
            softmax,
            target="class",
            definition=(
                "(1 - 1 / fsum(exp(v - z[t]) for v in z))**gamma"
                " * log(fsum(exp(v - z[t]) for v in z))"
            ),
            parameters=_FOCUS,
            limits=_FOCUS_LIMITS,
        ),
        Loss(
            "poisson",
            poisson,
            poisson_grad,
            rate,
            target="count",
            definition=(
                "(exp(z) if z <= 30 else exp(30) * (z - 29)) - t * z + (t * log(t) - t if t else 0)"
            ),
            kinks=lambda t: (LARGEST_LOG_RATE,),
        ),
        Loss(
            "gamma",
            gamma,
            gamma_grad,
            gamma_inverse_link,
            target="positive",
            definition=("t * (exp(-z) if z >= -30 else exp(30) * (-z - 29)) + z - log(t) - 1"),
            kinks=lambda t: (-LARGEST_LOG_RATE,),
        ),
        Loss(
            "tweedie",
            tweedie,
            tweedie_grad,
            rate,
            target="count",
            definition=(
                "(lambda rate, a, b: rate(b * z) / b + t * rate(-a * z) / a - t**b / (a * b))("
                "lambda v: exp(v) if v <= 30 else exp(30) * (v - 29), power - 1, 2 - power)"
            ),
            kinks=lambda t, power: (
                LARGEST_LOG_RATE / (2.0 - power),
                LARGEST_LOG_RATE / (1.0 - power),
            ),
            parameters=(("power", 1.5),),
            limits=(("power", 1.01, 1.99),),
        ),
    )
}
"""Every loss by name, those that a user registers included."""


@finds(Loss.kind)
def choose_loss(value: Any) -> Loss:
    """A `Loss` from itself, or text: ``"huber"``, ``"huber:delta=2"``, ``"huber of tanh"``.

    Several quantiles that do not cross are ``"quantiles:0.1,0.5,0.9"``.
    """
    if isinstance(value, str) and value.startswith(QUANTILES):
        return choose_quantiles(value)
    if isinstance(value, str) and OF in value:
        loss, _, activation = value.partition(OF)
        return through(choose(LOSSES, loss, Loss.kind), choose_activation(activation))
    return choose(LOSSES, value, Loss.kind)

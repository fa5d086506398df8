"""Losses as functions of the logits, each with its gradient under it.

``z`` are the logits of the last layer (N, K), before any squashing; that is what makes the losses
stable. An element loss gives one value for each element, a row loss one for each row:

    element loss:  z (N, K), t (N, K) -> (N, K)        row loss:  z (N, K), t (N, 1) -> (N, 1)

and ``_grad`` gives the derivative of that value by ``z``, (N, K). Neither knows of the batch:
the one 1/N of the project is `share`, which carries the sample weights too.
``_mean`` maps logits to what a person wants to see: probabilities, rates, or the value itself.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

from .activations import identity, logistic, softplus
from .entry import POSITIVE, Entry, choose
from .namespace import XP, Array


@dataclasses.dataclass(frozen=True)
class Loss(Entry):
    """A loss on logits and its gradient.

    Attributes
    ----------
    value : callable
        ``value(xp, z, t, **parameters)``: (N, K) for an element loss, (N, 1) for a row loss.
    grad : callable
        ``grad(xp, z, t, **parameters) -> (N, K)``, the derivative of ``value`` by ``z``.
    mean : callable
        ``mean(xp, z) -> (N, K)``, the expected target given the logits.
    target : {"real", "probability", "class", "count"}
        What the targets must be: any finite number; a number in [0, 1]; a class index; a finite
        number >= 0. A loss with class targets is a row loss.
    outputs : {"mean", "sum"}
        How an element loss combines the K outputs of one row.
    kinks : callable
        ``kinks(t) -> tuple of z`` where the gradient jumps or a formula changes branch.
    definition : str
        The same value as mathematics for mpmath, of one element ``z, t``, or of one row with
        ``z`` a list and ``t`` an index.
    torch : str
        A function of ``torch.nn.functional`` with the same meaning, ``f(z, t, reduction=...)``.
    """

    kind: ClassVar[str] = "loss"

    value: Callable[..., Array]
    grad: Callable[..., Array]
    mean: Callable[[XP, Array], Array]
    target: str
    definition: str = ""
    outputs: str = "mean"
    kinks: Callable[..., tuple[float, ...]] = lambda t, **_: ()
    torch: str = ""

    @property
    def by_row(self) -> bool:
        """Whether it gives one value a row, (N, 1), and not one an element, (N, K)."""
        return self.target == "class"


def share(weight: Array, outputs: int) -> Array:
    """Each row's part of the batch's loss: ``w_n / (outputs * sum of w)``. This is the 1/N.

    ``weight`` is (N, 1); without sample weights it is all ones. ``outputs`` is K where a loss
    averages over the K outputs of a row, else 1.
    """
    return weight / (weight.sum() * outputs)


def total(value: Array, share: Array) -> Array:
    """The loss of the batch: value (N, K) or (N, 1), share (N, 1) -> a scalar."""
    return (value * share).sum()


def share_vjp(grad: Array, share: Array) -> Array:
    """The gradient at the logits, (N, K), of the batch's loss: `total` backward."""
    return grad * share


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


def binary_cross_entropy(xp: XP, z: Array, t: Array) -> Array:
    # -t log p - (1 - t) log(1 - p) with p = logistic(z), rewritten so that no log sees 0
    return softplus(xp, z) - t * z


def binary_cross_entropy_grad(xp: XP, z: Array, t: Array) -> Array:
    return logistic(xp, z) - t


# one class of K ---------------------------------------------------------------------------------


def softmax(xp: XP, z: Array) -> Array:
    e = xp.exp(z - xp.row_max(z))
    return e / xp.row_sum(e)


def softmax_cross_entropy(xp: XP, z: Array, t: Array) -> Array:
    # -log softmax(z)[t]; shifting by the largest logit leaves it as it is and keeps exp in range
    s = z - xp.row_max(z)
    chosen = xp.row_sum(xp.where(xp.is_column(t, z), s, 0.0))
    return xp.log(xp.row_sum(xp.exp(s))) - chosen


def softmax_cross_entropy_grad(xp: XP, z: Array, t: Array) -> Array:
    p = softmax(xp, z)
    return xp.where(xp.is_column(t, z), p - 1.0, p)


# counts -----------------------------------------------------------------------------------------

LARGEST_LOG_RATE = 30.0
"""Above this logit (a rate of 1e13) the rate goes on as the tangent of exp.

So loss and gradient stay finite in float32 at any logit that training can reach, and Adam's
squared gradient too. Below it the rate is exp(z) exactly.
"""


def rate(xp: XP, z: Array) -> Array:
    over = xp.maximum(z - LARGEST_LOG_RATE, 0.0)
    return xp.exp(xp.minimum(z, LARGEST_LOG_RATE)) * (1.0 + over)


def rate_grad(xp: XP, z: Array) -> Array:
    return xp.exp(xp.minimum(z, LARGEST_LOG_RATE))


def poisson(xp: XP, z: Array, t: Array) -> Array:
    # half the Poisson deviance, with the log link: 0 where rate(z) = t, never negative
    saturated = t * xp.log(xp.where(t > 0, t, 1.0)) - t
    return rate(xp, z) - t * z + saturated


def poisson_grad(xp: XP, z: Array, t: Array) -> Array:
    return rate_grad(xp, z) - t


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
    )
}
"""Every loss by name, those that a user registers included."""


def choose_loss(value: Any) -> Loss:
    """A `Loss` from itself, its name, or text such as ``"huber:delta=2"``."""
    return choose(LOSSES, value, Loss.kind)

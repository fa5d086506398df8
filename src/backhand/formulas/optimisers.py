"""Optimiser updates, element by element over a parameter ``w`` and its gradient ``g``.

An update takes the state it keeps from step to step (arrays of the shape of ``w``) and scalars
that the host works out once a step in float64, so that a schedule never recompiles anything and
``1 - beta2`` does not lose its digits in float32. Oracles: torch.optim.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

from ..errors import InputError
from .entry import BELOW_ONE, Entry, as_float, choose, finds
from .namespace import XP, Array

Scalars = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Optimiser(Entry):
    """An update rule.

    Attributes
    ----------
    update : callable
        ``update(xp, w, g, *state, **scalars) -> (w, *state)``, new values, element by element.
    state : tuple of str
        Names of the arrays that it keeps, zero at first.
    scalars : callable
        ``scalars(step, rate, **parameters) -> dict``, the run-time scalars of ``update`` for step
        1, 2, ... at learning rate ``rate``; both may be float64 arrays, one element a step.
    weights_only : tuple of (str, float)
        Scalars that act only on weights, with the value that leaves biases as they are.
    torch : str
        The class of ``torch.optim`` with the same rule.
    clip_norm : float
        The longest that a step's gradient may be, all parameters together; see `clip_factor`.
    """

    kind: ClassVar[str] = "optimiser"

    update: Callable[..., tuple[Array, ...]]
    state: tuple[str, ...]
    scalars: Callable[..., Scalars]
    weights_only: tuple[tuple[str, float], ...] = ()
    torch: str = ""
    clip_norm: float = math.inf

    @property
    def clips(self) -> bool:
        """Whether gradients have a limit."""
        return self.clip_norm < math.inf


def l2_penalty(xp: XP, w: Array, l2: float) -> Array:
    """Half of ``l2`` times the square of each weight; its sum is the penalty on the loss."""
    return 0.5 * l2 * w * w


def l2_penalised(xp: XP, w: Array, g: Array, l2: float) -> Array:
    """The gradient with that of `l2_penalty` added. Weights have it, biases do not."""
    return g + l2 * w


def clip_factor(xp: XP, squares: Array, clip_norm: float) -> Array:
    """What all gradients are multiplied by, from the sum of the squares of all their elements.

    Pascanu 2013, eq. in section 3.2: a gradient longer than ``clip_norm`` is made that long, and
    keeps its direction. That of the L2 penalty counts; decoupled weight decay does not. Where the
    sum is not finite there is no direction, and the factor is NaN.
    """
    norm = xp.sqrt(squares)
    return xp.where(norm > clip_norm, clip_norm / norm, 1.0) + 0.0 * squares


def clipping(optimiser: Optimiser, clip_norm: Any) -> Optimiser:
    """The optimiser with a limit on gradients. Raises InputError unless it is above 0."""
    number = as_float(clip_norm)
    if not 0 < number < math.inf:
        raise InputError(
            f"clip_norm must be a finite number above 0, or None, got {clip_norm!r:.40}"
        )
    return dataclasses.replace(optimiser, clip_norm=number)


def sgd(xp: XP, w: Array, g: Array, *, rate: float) -> tuple[Array, ...]:
    return (w - rate * g,)


def sgd_scalars(step: Any, rate: Any) -> Scalars:
    return {"rate": rate}


def momentum(
    xp: XP, w: Array, g: Array, v: Array, *, rate: float, momentum: float
) -> tuple[Array, ...]:
    # the rate outside the velocity, as torch.optim.SGD: a change of rate acts at once
    v = momentum * v + g
    return w - rate * v, v


def nesterov(
    xp: XP, w: Array, g: Array, v: Array, *, rate: float, momentum: float
) -> tuple[Array, ...]:
    v = momentum * v + g
    return w - rate * (g + momentum * v), v


def momentum_rate_inside(
    xp: XP, w: Array, g: Array, v: Array, *, rate: float, momentum: float
) -> tuple[Array, ...]:
    # the rate inside the velocity, as scikit-learn: after a change, old gradients keep theirs
    v = momentum * v - rate * g
    return w + v, v


def nesterov_rate_inside(
    xp: XP, w: Array, g: Array, v: Array, *, rate: float, momentum: float
) -> tuple[Array, ...]:
    v = momentum * v - rate * g
    return w + momentum * v - rate * g, v


def momentum_scalars(step: Any, rate: Any, momentum: float) -> Scalars:
    return {"rate": rate, "momentum": momentum}


def adam(
    xp: XP,
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    rate: float,
    beta1: float,
    one_minus_beta1: float,
    beta2: float,
    one_minus_beta2: float,
    rsqrt_correction2: float,
    epsilon: float,
) -> tuple[Array, ...]:
    # Kingma and Ba 2015; epsilon outside the root, after bias correction, as torch.optim.Adam
    m = beta1 * m + one_minus_beta1 * g
    v = beta2 * v + one_minus_beta2 * (g * g)
    return w - rate * m / (xp.sqrt(v) * rsqrt_correction2 + epsilon), m, v


def _bias_correction(beta: float, step: Any) -> Any:
    """``1 - beta**step``: how much of a mean that forgets by ``beta`` is filled after some steps.

    From the step on at which ``1 - beta**step`` is 1 the power is no longer needed, and where it
    becomes subnormal it would take long.
    """
    last = min(math.ceil(54 * math.log(2) / -math.log(beta)), 2**51) if beta else 1
    return 1.0 - beta ** (0.5 * (step + last - abs(step - last)))  # the smaller of the two


def adam_scalars(step: Any, rate: Any, beta1: float, beta2: float, epsilon: float) -> Scalars:
    return {
        "rate": rate / _bias_correction(beta1, step),
        "beta1": beta1,
        "one_minus_beta1": 1.0 - beta1,
        "beta2": beta2,
        "one_minus_beta2": 1.0 - beta2,
        "rsqrt_correction2": _bias_correction(beta2, step) ** -0.5,
        "epsilon": epsilon,
    }


def adam_epsilon_hat_scalars(step: Any, rate: Any, **keywords: float) -> Scalars:
    # epsilon before the bias correction, as scikit-learn (Kingma and Ba 2015, end of section 2)
    scalars = adam_scalars(step, rate, **keywords)
    return {**scalars, "epsilon": scalars["epsilon"] * scalars["rsqrt_correction2"]}


def adamw(
    xp: XP, w: Array, g: Array, m: Array, v: Array, *, decay: float, **scalars: float
) -> tuple[Array, ...]:
    # Loshchilov and Hutter 2019: decay beside the gradient step, not through its moments
    return adam(xp, decay * w, g, m, v, **scalars)


def adamw_scalars(
    step: Any, rate: Any, beta1: float, beta2: float, epsilon: float, weight_decay: float
) -> Scalars:
    return {
        **adam_scalars(step, rate, beta1, beta2, epsilon),
        "decay": 1.0 - rate * weight_decay,
    }


_ADAM = (("beta1", 0.9), ("beta2", 0.999), ("epsilon", 1e-8))
_ADAM_LIMITS = (
    ("beta1", 0.0, BELOW_ONE),
    ("beta2", 0.0, BELOW_ONE),
    ("epsilon", 0.0, math.inf),
    ("weight_decay", 0.0, math.inf),
)
_MOMENTUM_LIMITS = (("momentum", 0.0, 1.0),)

OPTIMISERS: dict[str, Optimiser] = {
    entry.name: entry
    for entry in (
        Optimiser("sgd", sgd, (), sgd_scalars, torch="SGD"),
        Optimiser(
            "momentum",
            momentum,
            ("v",),
            momentum_scalars,
            torch="SGD",
            parameters=(("momentum", 0.9),),
            limits=_MOMENTUM_LIMITS,
        ),
        Optimiser(
            "nesterov",
            nesterov,
            ("v",),
            momentum_scalars,
            torch="SGD",
            parameters=(("momentum", 0.9),),
            limits=_MOMENTUM_LIMITS,
        ),
        Optimiser(
            "momentum_rate_inside",
            momentum_rate_inside,
            ("v",),
            momentum_scalars,
            parameters=(("momentum", 0.9),),
            limits=_MOMENTUM_LIMITS,
        ),
        Optimiser(
            "nesterov_rate_inside",
            nesterov_rate_inside,
            ("v",),
            momentum_scalars,
            parameters=(("momentum", 0.9),),
            limits=_MOMENTUM_LIMITS,
        ),
        Optimiser(
            "adam",
            adam,
            ("m", "v"),
            adam_scalars,
            torch="Adam",
            parameters=_ADAM,
            limits=_ADAM_LIMITS,
        ),
        Optimiser(
            "adam_epsilon_hat",
            adam,
            ("m", "v"),
            adam_epsilon_hat_scalars,
            parameters=_ADAM,
            limits=_ADAM_LIMITS,
        ),
        Optimiser(
            "adamw",
            adamw,
            ("m", "v"),
            adamw_scalars,
            weights_only=(("decay", 1.0),),
            torch="AdamW",
            parameters=(*_ADAM, ("weight_decay", 0.01)),
            limits=_ADAM_LIMITS,
        ),
    )
}
"""Every optimiser by name."""


@finds(Optimiser.kind)
def choose_optimiser(value: Any) -> Optimiser:
    """An `Optimiser` from itself, its name, or text such as ``"adam:beta2=0.99"``."""
    return choose(OPTIMISERS, value, Optimiser.kind)

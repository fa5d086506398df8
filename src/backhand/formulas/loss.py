"""What a loss is, and how the values of the rows become the one number of a batch."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import ClassVar

from ..errors import InputError
from .activations import Activation
from .entry import Entry
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
    inverse_link : callable
        ``inverse_link(xp, z) -> (N, K)``, the expected target given the logits.
    target : {"real", "probability", "class", "count", "positive"}
        What the targets must be: class indices, or numbers as `TARGETS` says. A loss with class
        targets is a row loss.
    outputs : {"mean", "sum"}
        How an element loss combines the K outputs of one row.
    kinks : callable
        ``kinks(t) -> tuple of z`` where the gradient jumps or a formula changes branch.
    definition : str
        The same value as mathematics for mpmath, of one element ``z, t``, or of one row with
        ``z`` a list and ``t`` an index.
    torch : str
        A function of ``torch.nn.functional`` with the same meaning, ``f(z, t, reduction=...)``.
    levels : tuple of float
        If its outputs are quantiles of one target, which.
    """

    kind: ClassVar[str] = "loss"

    value: Callable[..., Array]
    grad: Callable[..., Array]
    inverse_link: Callable[[XP, Array], Array]
    target: str
    definition: str = ""
    outputs: str = "mean"
    kinks: Callable[..., tuple[float, ...]] = lambda t, **_: ()
    torch: str = ""
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.outputs not in ("mean", "sum"):
            raise InputError(
                f"loss {self.name!r}: outputs must be 'mean' or 'sum', got {self.outputs!r:.60}"
            )

    @property
    def by_row(self) -> bool:
        """Whether it gives one value a row, (N, 1), and not one an element, (N, K)."""
        return self.target == "class"


TARGETS: dict[str, tuple[Callable[[Array], Array], str]] = {
    "real": (lambda t: abs(t) < math.inf, "finite"),
    "probability": (lambda t: (t >= 0) & (t <= 1), "between 0 and 1"),
    "count": (lambda t: (t >= 0) & (t < math.inf), "finite and at least 0"),
    "positive": (lambda t: (t > 0) & (t < math.inf), "finite and above 0"),
}
"""By `Loss.target`: which numbers can be targets, and how messages say it."""

OF = " of "


@functools.lru_cache
def through(loss: Loss, activation: Activation) -> Loss:
    """The loss of an activation's outputs, as a loss of the logits that go into it.

    Its name is ``"LOSS of ACTIVATION"``, both with their parameters, such as
    ``"mean_squared_error of softplus"``; `choose_loss` knows it.

    Raises
    ------
    InputError
        If the loss is not one of real numbers: others have a link of their own.
    """
    if loss.target != "real" or loss.levels:
        raise InputError(
            f"loss {loss.name!r} has a link of its own between logits and targets: an activation "
            f"of the outputs ({activation.name!r}) goes with losses of real numbers"
        )
    value_of, grad_of, given = loss.value, loss.grad, loss.parameters
    forward, vjp, settings = activation.forward, activation.vjp, activation.parameters

    def value(xp: XP, z: Array, t: Array) -> Array:
        return value_of(xp, forward(xp, z, **dict(settings)), t, **dict(given))

    def grad(xp: XP, z: Array, t: Array) -> Array:
        y = forward(xp, z, **dict(settings))
        return vjp(xp, z, y, grad_of(xp, y, t, **dict(given)), **dict(settings))

    def inverse_link(xp: XP, z: Array) -> Array:
        return loss.inverse_link(xp, forward(xp, z, **dict(settings)))

    return dataclasses.replace(
        loss,
        name=f"{loss.spec}{OF}{activation.spec}",
        value=value,
        grad=grad,
        inverse_link=inverse_link,
        definition="",
        kinks=lambda t, **_: activation.kinks,
        torch="",
        parameters=(),
        limits=(),
    )


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

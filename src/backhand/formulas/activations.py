"""Activations, each with its derivative under it.

``y = f(z)`` goes forward over pre-activations ``z``; ``f_vjp`` takes ``dy = d(loss)/dy`` back to
``dz = d(loss)/dz``. All are element by element, on arrays of any shape. A pair declares what its
derivative needs of the forward pass (``saves``), so that an executor keeps that and no more; what
is not saved arrives as ``None``.

To add one: write the pair, and one entry in `ACTIVATIONS`. Nothing else changes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

from .entry import Entry, choose, finds
from .namespace import XP, Array


@dataclasses.dataclass(frozen=True)
class Activation(Entry):
    """An activation and its vector-Jacobian product.

    Attributes
    ----------
    forward : callable
        ``forward(xp, z, **parameters) -> y``.
    vjp : callable
        ``vjp(xp, z, y, dy, **parameters) -> dz``.
    saves : tuple of {"z", "y"}
        What ``vjp`` reads besides ``dy``.
    kinks : tuple of float
        Values of ``z`` where the derivative jumps or the forward formula changes branch.
        Automatic differentiation may choose another convention there, so checks keep away.
    definition : str
        The same function as mathematics, for mpmath: an independent oracle to 100 digits. It may
        use mpmath's functions, ``z`` and the parameters. Ours all have one.
    torch : str
        A function of ``torch.nn.functional`` with the same meaning, called with the parameters
        after ``z``; empty if there is none.
    coarse : bool
        Whether its tails lose digits of their own: ``y`` is then within some ULP of ``z``, and
        ``dz`` of ``dy``.
    """

    kind: ClassVar[str] = "activation"

    forward: Callable[..., Array]
    vjp: Callable[..., Array]
    saves: tuple[str, ...]
    definition: str = ""
    kinks: tuple[float, ...] = ()
    torch: str = ""
    coarse: bool = False


# identity ---------------------------------------------------------------------------------------


def identity(xp: XP, z: Array) -> Array:
    return z


def identity_vjp(xp: XP, z: Array, y: Array, dy: Array) -> Array:
    return dy


# relu and its kin -------------------------------------------------------------------------------


def relu(xp: XP, z: Array) -> Array:
    return xp.maximum(z, 0.0)


def relu_vjp(xp: XP, z: Array, y: Array, dy: Array) -> Array:
    # 0 at z = 0, as torch.relu. A choice of dy, not a product with 0: an infinite dy stays out.
    return xp.where(y > 0, dy, 0.0)


def shifted_relu(xp: XP, z: Array, shift: float) -> Array:
    # With unit-normal z, max(z, 0) has mean 1/sqrt(2 pi) = 0.40; 0.5 is the lesson's round value.
    return xp.maximum(z, 0.0) - shift


def shifted_relu_vjp(xp: XP, z: Array, y: Array, dy: Array, shift: float) -> Array:
    # 0 at z = 0, as relu. It saves z and not y: a tiny z is lost in y = z - shift.
    return xp.where(z > 0, dy, 0.0)


def leaky_relu(xp: XP, z: Array, slope: float) -> Array:
    return xp.where(z > 0, z, slope * z)


def leaky_relu_vjp(xp: XP, z: Array, y: Array, dy: Array, slope: float) -> Array:
    # slope at z = 0, as torch.nn.functional.leaky_relu
    return xp.where(z > 0, dy, slope * dy)


def elu(xp: XP, z: Array, alpha: float) -> Array:
    # minimum keeps expm1 from overflowing in the branch that is not chosen
    return xp.where(z > 0, z, alpha * xp.expm1(xp.minimum(z, 0.0)))


def elu_vjp(xp: XP, z: Array, y: Array, dy: Array, alpha: float) -> Array:
    # alpha at z = 0, the limit from the left, as torch. Below zero f' = alpha * exp(z); it is not
    # taken as y + alpha, which cancels.
    return xp.where(z > 0, dy, dy * (alpha * xp.exp(xp.minimum(z, 0.0))))


# Klambauer et al. 2017, "Self-Normalizing Neural Networks", eq. 14
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def selu(xp: XP, z: Array) -> Array:
    return SELU_SCALE * elu(xp, z, SELU_ALPHA)


def selu_vjp(xp: XP, z: Array, y: Array, dy: Array) -> Array:
    return SELU_SCALE * elu_vjp(xp, z, y, dy, SELU_ALPHA)


# sigmoids ---------------------------------------------------------------------------------------


def tanh(xp: XP, z: Array) -> Array:
    return xp.tanh(z)


def tanh_vjp(xp: XP, z: Array, y: Array, dy: Array) -> Array:
    return dy * (1.0 - y * y)


def logistic(xp: XP, z: Array) -> Array:
    # exp only of numbers <= 0, so it never overflows, and the left tail keeps its precision
    e = xp.exp(-xp.abs(z))
    return xp.where(z >= 0, 1.0, e) / (1.0 + e)


def logistic_vjp(xp: XP, z: Array, y: Array, dy: Array) -> Array:
    return dy * (y * (1.0 - y))


def softplus(xp: XP, z: Array) -> Array:
    return xp.maximum(z, 0.0) + xp.log1p(xp.exp(-xp.abs(z)))


def softplus_vjp(xp: XP, z: Array, y: Array, dy: Array) -> Array:
    return dy * logistic(xp, z)


# gated: z times a sigmoid of z ------------------------------------------------------------------

SQRT_HALF = math.sqrt(0.5)
INVERSE_SQRT_PI = 1.0 / math.sqrt(math.pi)


def normal_cdf(xp: XP, z: Array) -> Array:
    return 0.5 * (1.0 + xp.erf(z * SQRT_HALF))


def gelu(xp: XP, z: Array) -> Array:
    # Hendrycks and Gimpel 2016, the form with erf, as torch: 1 + erf cancels in the left tail, so
    # that below z = -5 float32 has no digit of it left, though no error above an ULP of z
    return z * normal_cdf(xp, z)


def gelu_vjp(xp: XP, z: Array, y: Array, dy: Array) -> Array:
    s = z * SQRT_HALF
    density = SQRT_HALF * INVERSE_SQRT_PI * xp.exp(-s * s)
    return dy * (normal_cdf(xp, z) + z * density)


def silu(xp: XP, z: Array) -> Array:
    return z * logistic(xp, z)


def silu_vjp(xp: XP, z: Array, y: Array, dy: Array) -> Array:
    s = logistic(xp, z)
    return dy * (s + y * (1.0 - s))


def mish(xp: XP, z: Array) -> Array:
    # Misra 2019
    return z * xp.tanh(softplus(xp, z))


def mish_vjp(xp: XP, z: Array, y: Array, dy: Array) -> Array:
    t = xp.tanh(softplus(xp, z))
    return dy * (t + z * (1.0 - t * t) * logistic(xp, z))


ACTIVATIONS: dict[str, Activation] = {
    entry.name: entry
    for entry in (
        Activation("identity", identity, identity_vjp, saves=(), definition="z"),
        Activation(
            "relu", relu, relu_vjp, saves=("y",), definition="max(z, 0)", kinks=(0.0,), torch="relu"
        ),
        Activation(
            "shifted_relu",
            shifted_relu,
            shifted_relu_vjp,
            saves=("z",),
            definition="max(z, 0) - shift",
            kinks=(0.0,),
            parameters=(("shift", 0.5),),
        ),
        Activation(
            "leaky_relu",
            leaky_relu,
            leaky_relu_vjp,
            saves=("z",),
            definition="z if z > 0 else slope * z",
            kinks=(0.0,),
            torch="leaky_relu",
            parameters=(("slope", 0.01),),
        ),
        Activation(
            "elu",
            elu,
            elu_vjp,
            saves=("z",),
            definition="z if z > 0 else alpha * expm1(z)",
            kinks=(0.0,),
            torch="elu",
            parameters=(("alpha", 1.0),),
        ),
        Activation(
            "selu",
            selu,
            selu_vjp,
            saves=("z",),
            # alpha and scale as the paper derives them: fixed point at mean 0 and variance 1
            definition=(
                "1.0507009873554804934193349852946"
                " * (z if z > 0 else 1.6732632423543772848170429916717 * expm1(z))"
            ),
            kinks=(0.0,),
            torch="selu",
        ),
        Activation(
            "gelu",
            gelu,
            gelu_vjp,
            saves=("z",),
            definition="z * ncdf(z)",
            torch="gelu",
            coarse=True,
        ),
        Activation(
            "silu",
            silu,
            silu_vjp,
            saves=("z", "y"),
            definition="z / (1 + exp(-z))",
            kinks=(0.0,),
            torch="silu",
        ),
        Activation(
            "mish",
            mish,
            mish_vjp,
            saves=("z",),
            definition="z * tanh(log1p(exp(z)))",
            kinks=(0.0,),
            torch="mish",
        ),
        Activation(
            "softplus",
            softplus,
            softplus_vjp,
            saves=("z",),
            definition="log1p(exp(z))",
            kinks=(0.0,),
            torch="softplus",
        ),
        Activation(
            "tanh",
            tanh,
            tanh_vjp,
            saves=("y",),
            definition="1 - 2 / (exp(2 * z) + 1)",
            torch="tanh",
        ),
        Activation(
            "logistic",
            logistic,
            logistic_vjp,
            saves=("y",),
            definition="1 / (1 + exp(-z))",
            kinks=(0.0,),
            torch="sigmoid",
        ),
    )
}
"""Every activation by name, those that a user registers included."""


@finds(Activation.kind)
def choose_activation(value: Any) -> Activation:
    """An `Activation` from itself, its name, or text such as ``"elu:alpha=0.5"``."""
    return choose(ACTIVATIONS, value, Activation.kind)

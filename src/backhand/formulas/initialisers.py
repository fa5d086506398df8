"""How the weights of a layer are drawn: the distribution and its scale, from fan-in and fan-out.

Biases start at zero. For a row of independent unit-variance inputs, a pre-activation has variance
``fan_in * scale**2``; what each scheme makes of that is said beside it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

from .entry import Entry, choose, finds


@dataclasses.dataclass(frozen=True)
class Initialiser(Entry):
    """A scheme for drawing the weights of a layer.

    Attributes
    ----------
    scale : callable
        ``scale(fan_in, fan_out) -> float``: the standard deviation of a normal distribution, the
        bound of a uniform one, the gain of an orthogonal matrix.
    distribution : {"normal", "uniform", "orthogonal"}
        Orthogonal: rows or columns, whichever are fewer, are orthonormal before scaling.
    data_driven : bool
        Whether each layer is rescaled afterwards until its pre-activations have unit variance on
        a batch of real data.
    kinks : int
        If it is data-driven: from how many rows of that data the place where each unit's
        pre-activation is 0 is drawn, which its bias then puts there; 0 leaves biases at 0. Each
        unit is then rescaled by itself.
    """

    kind: ClassVar[str] = "initialiser"

    scale: Callable[[int, int], float]
    distribution: str = "normal"
    data_driven: bool = False
    kinks: int = 0


def lecun(fan_in: int, fan_out: int) -> float:
    # LeCun et al. 1998: unit variance is kept by a linear layer, halved by each relu
    return 1.0 / math.sqrt(fan_in)


def kaiming(fan_in: int, fan_out: int) -> float:
    # He et al. 2015: the 2 makes up for the half that relu drops
    return math.sqrt(2.0 / fan_in)


def glorot(fan_in: int, fan_out: int) -> float:
    # Glorot and Bengio 2010: between keeping the variance forward and backward
    return math.sqrt(2.0 / (fan_in + fan_out))


def unit(fan_in: int, fan_out: int) -> float:
    return 1.0


def bound(scale: Callable[[int, int], float]) -> Callable[[int, int], float]:
    """The bound of a uniform distribution with that standard deviation: sqrt(3) times it."""
    return lambda fan_in, fan_out: math.sqrt(3.0) * scale(fan_in, fan_out)


INITIALISERS: dict[str, Initialiser] = {
    entry.name: entry
    for entry in (
        Initialiser("lecun_normal", lecun),
        Initialiser("kaiming_normal", kaiming),
        Initialiser("kaiming_uniform", bound(kaiming), "uniform"),
        Initialiser("glorot_normal", glorot),
        Initialiser("glorot_uniform", bound(glorot), "uniform"),
        # Saxe et al. 2014
        Initialiser("orthogonal", unit, "orthogonal"),
        # Mishkin and Matas 2016: orthogonal, then each layer scaled on data
        Initialiser("lsuv", unit, "orthogonal", data_driven=True),
        # Holzmueller et al. 2024 ("he+5"): kinks of activations lie among the data
        Initialiser("data_kinks", unit, data_driven=True, kinks=5),
    )
}
"""Every initialiser by name."""


@finds(Initialiser.kind)
def choose_initialiser(value: Any) -> Initialiser:
    """An `Initialiser` from itself or its name."""
    return choose(INITIALISERS, value, Initialiser.kind)


# how other parameters begin ----------------------------------------------------------------------
# ``draw(rng, shape)`` with a generator of NumPy's; it gives an array of that shape, or what
# broadcasts to it.

Draw = Callable[[Any, tuple[int, ...]], Any]


def zeros(rng: Any, shape: tuple[int, ...]) -> Any:
    return 0.0


def ones(rng: Any, shape: tuple[int, ...]) -> Any:
    return 1.0


def constant(value: float) -> Draw:
    return lambda rng, shape: value


def standard_normal(rng: Any, shape: tuple[int, ...]) -> Any:
    return rng.standard_normal(shape)


def normal(sigma: float) -> Draw:
    return lambda rng, shape: sigma * rng.standard_normal(shape)


def uniform(limit: float) -> Draw:
    return lambda rng, shape: rng.uniform(-limit, limit, shape)


def uniform_by_inputs(inputs: int) -> Draw:
    # the bound of torch.nn.Linear's weights and biases
    return uniform(1.0 / math.sqrt(inputs))


def same_for_members(inputs: int) -> Draw:
    """One draw of `uniform_by_inputs` for all members, the first axis."""
    draw = uniform_by_inputs(inputs)
    return lambda rng, shape: draw(rng, shape[1:])


def random_signs(rng: Any, shape: tuple[int, ...]) -> Any:
    return 2.0 * rng.integers(0, 2, shape) - 1.0


def of_groups(draw: Draw, sizes: tuple[int, ...]) -> Draw:
    """One draw for each row and each group of neighbouring columns, of these sizes."""
    return lambda rng, shape: draw(rng, (shape[0], len(sizes))).repeat(sizes, axis=1)

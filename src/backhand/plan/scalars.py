"""Per-step scalars: the numbers that the host works out once a step and a plan reads.

Learning rates, decay, the L2 penalty, dropout and, if it is asked for, label smoothing are such
scalars, so neither their values nor their schedules cause a new compilation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..formulas.optimisers import Optimiser
from .step import Plan, groups_of
from .wiring import Factors

Array = Any

L2 = "l2"
"""The label of the L2 penalty's factor."""

DECAY = "weight_decay"
"""The parameter of optimisers with decoupled weight decay."""


def names_of(plan: Plan, optimiser: Optimiser) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels of the scalars of a training plan: real numbers, and 32-bit words."""
    one = optimiser.scalars(1, 1.0, **optimiser.keywords)
    groups = range(len(groups_of(plan.description)))
    reals = [in_group(name, group) for group in groups for name in one]
    reals += [L2, *(s.buffer.name for s in plan.scalars if s.buffer.kind == "real")]
    return tuple(reals), tuple(s.buffer.name for s in plan.scalars if s.buffer.kind == "word")


def in_group(name: str, group: int) -> str:
    """The label of an optimiser's scalar for a group of parameters."""
    return name if group == 0 else f"{name}.{group}"


def step_scalars(
    plan: Plan,
    optimiser: Optimiser,
    steps: Array,
    learning_rates: Array,
    *,
    l2: float = 0.0,
    factors: Mapping[str, Array] | None = None,
) -> dict[str, Array | float]:
    """The scalars of some steps by their labels.

    Parameters
    ----------
    plan : Plan
        Of a training step.
    optimiser : Optimiser
    steps : array of float64
        Numbers of steps, from 0.
    learning_rates : array of float64, one for each step
    l2 : float
        Factor of half the squared weights in the loss.
    factors : mapping of str to array, optional
        For settings that follow a schedule ("weight_decay", "dropout", "label_smoothing"), what
        they are multiplied by in each step.

    Returns
    -------
    dict of str to array of float64, one element a step, or number
    """
    factors = factors or {}
    found: dict[str, Array | float] = {L2: l2}
    for number, group in enumerate(groups_of(plan.description)):
        rates = learning_rates if group.learning_rate == 1 else learning_rates * group.learning_rate
        keywords = _decayed(optimiser.keywords, group, factors.get(DECAY))
        for name, value in optimiser.scalars(steps + 1, rates, **keywords).items():
            found[in_group(name, number)] = value
    for scalar in plan.scalars:
        factor = factors.get(scalar.source)
        if factor is None:
            found[scalar.buffer.name] = scalar.of(scalar.setting)
        else:
            found[scalar.buffer.name] = [scalar.of(scalar.setting * float(f)) for f in factor]
    return found


def at_step(scalars: Mapping[str, Any], number: int) -> dict[str, float | int]:
    """The scalars of one of the steps, as Python's numbers, which leave the dtype of arrays alone.

    Parameters
    ----------
    scalars : mapping of str to array or number
        What `step_scalars` gives.
    number : int
        Which of its steps, from 0.
    """
    one = {name: v[number] if np.ndim(v) else v for name, v in scalars.items()}
    return {name: np.asarray(value).item() for name, value in one.items()}


def _decayed(keywords: dict[str, Any], group: Factors, factor: Any) -> dict[str, Any]:
    if DECAY not in keywords:
        return keywords
    decay = keywords[DECAY] * group.decay
    return {**keywords, DECAY: decay if factor is None else decay * factor}


def group_scalars(optimiser: Optimiser, group: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """The optimiser's scalars of a group, by the names that its update has for them."""
    one = optimiser.scalars(1, 1.0, **optimiser.keywords)
    return {name: values[in_group(name, group)] for name in one}

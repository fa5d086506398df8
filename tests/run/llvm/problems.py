"""What trainings of the tests beside this file are given."""

from __future__ import annotations

import numpy as np

from backhand.plan.scalars import step_scalars
from backhand.plan.step import training_plan


def scalars_of(network, optimiser, steps, rate=0.01, l2=0.0):
    """The per-step scalars of some steps, at a constant learning rate.

    ``steps`` are their numbers, or how many there are from the first one on.
    """
    steps = np.arange(float(steps)) if np.ndim(steps) == 0 else steps
    rates = np.full(len(steps), rate)
    return step_scalars(training_plan(network, optimiser), optimiser, steps, rates, l2=l2)

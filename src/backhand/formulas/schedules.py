"""Learning-rate schedules: the rate at a step, as a factor on the base rate.

They run on the host, for all steps of an epoch at once: ``step`` is a float64 array that counts
from 0, ``steps`` the number of steps in the whole training. ``xp`` is NumPy's namespace with
``cos``, ``log``, ``where``, ``minimum`` and ``maximum``; ``**`` is an operator.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

from .entry import POSITIVE, Entry, choose, finds
from .namespace import Array


@dataclasses.dataclass(frozen=True)
class Schedule(Entry):
    """A learning-rate schedule: ``factor(xp, step, steps, **parameters) -> (len(step),)``."""

    kind: ClassVar[str] = "schedule"

    factor: Callable[..., Array]


def constant(xp: Any, step: Array, steps: int) -> Array:
    return 1.0 + 0.0 * step


def inverse_scaling(xp: Any, step: Array, steps: int, power: float) -> Array:
    return (step + 1.0) ** -power


def anneal(xp: Any, start: float, end: float, progress: Array) -> Array:
    """Half a cosine from ``start`` at progress 0 to ``end`` at progress 1."""
    return end + (start - end) * 0.5 * (1.0 + xp.cos(math.pi * progress))


def cosine(xp: Any, step: Array, steps: int, warmup: float, final: float) -> Array:
    # Loshchilov and Hutter 2017, without restarts, after a linear warm-up over a share of steps
    rise = warmup * steps
    fall = xp.minimum(xp.maximum((step - rise) / max(steps - 1 - rise, 1.0), 0.0), 1.0)
    down = anneal(xp, 1.0, final, fall)
    return xp.where(step < rise, (step + 1.0) / (rise + 1.0), down)


def one_cycle(xp: Any, step: Array, steps: int, rise: float, start: float, final: float) -> Array:
    # Smith and Topin 2019, in the form of torch.optim.lr_scheduler.OneCycleLR with its defaults:
    # the peak at step rise * steps - 1, and `final` is relative to the start
    peak = rise * steps - 1.0
    up = anneal(xp, start, 1.0, xp.minimum(step / max(peak, 1.0), 1.0))
    progress = xp.minimum(xp.maximum((step - peak) / max(steps - 1.0 - peak, 1.0), 0.0), 1.0)
    return xp.where(step <= peak, up, anneal(xp, 1.0, start * final, progress))


def coslog4(xp: Any, step: Array, steps: int) -> Array:
    # Holzmueller et al. 2024 (RealMLP): four waves whose lengths double, 0 at both ends
    progress = step / max(steps, 1)
    return 0.5 * (1.0 - xp.cos(2.0 * math.pi * xp.log(1.0 + 15.0 * progress) / math.log(2.0)))


def flat_cos(xp: Any, step: Array, steps: int) -> Array:
    # the same: 1 for the first half, then half a cosine down to 0
    progress = step / max(steps, 1)
    return anneal(xp, 1.0, 0.0, xp.maximum(2.0 * progress - 1.0, 0.0))


SCHEDULES: dict[str, Schedule] = {
    entry.name: entry
    for entry in (
        Schedule("constant", constant),
        Schedule("coslog4", coslog4),
        Schedule("flat_cos", flat_cos),
        Schedule(
            "inverse_scaling",
            inverse_scaling,
            parameters=(("power", 0.5),),
            limits=(("power", 0.0, math.inf),),
        ),
        Schedule(
            "cosine",
            cosine,
            parameters=(("warmup", 0.05), ("final", 0.0)),
            limits=(("warmup", 0.0, 1.0), ("final", 0.0, math.inf)),
        ),
        Schedule(
            "one_cycle",
            one_cycle,
            parameters=(("rise", 0.3), ("start", 1 / 25), ("final", 1e-4)),
            limits=(("rise", 0.0, 1.0), ("start", POSITIVE, math.inf), ("final", 0.0, math.inf)),
        ),
    )
}
"""Every schedule by name."""


@finds(Schedule.kind)
def choose_schedule(value: Any) -> Schedule:
    """A `Schedule` from itself, its name, or text such as ``"cosine:warmup=0.1"``."""
    return choose(SCHEDULES, value, Schedule.kind)

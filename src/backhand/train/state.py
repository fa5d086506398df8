"""`TrainState`: all that is needed to continue a training, as arrays and JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..formulas.optimisers import Optimiser, choose_optimiser
from ..formulas.schedules import Schedule, choose_schedule
from ..network import Params
from .config import LBFGS, TrainConfig
from .stopping import Best

Array = Any


@dataclasses.dataclass(frozen=True)
class Epoch:
    """One line of a training's history.

    Attributes
    ----------
    epoch : int
        Counts from 1; of L-BFGS, iterations.
    loss : float
        Mean over the epoch's batches by weight, while the parameters were changing. `backhand.fit`
        leaves L2 out; the estimators' is the last value of ``loss_curve_``.
    validation_loss, validation_score : float or None
        After the epoch; None without validation rows, or without a score.
    learning_rate : float or None
        Of the epoch's last step; None for L-BFGS.
    rows_per_second : float
        Only of training.
    """

    epoch: int
    loss: float
    validation_loss: float | None
    validation_score: float | None
    learning_rate: float | None
    rows_per_second: float


COLUMNS = len(dataclasses.fields(Epoch))


class Part(NamedTuple):
    """What has been done of an epoch whose rows come in blocks.

    Attributes
    ----------
    blocks : int
        Blocks that were trained on.
    loss, weight : float
        Their mean loss, and the weight of their rows.
    """

    blocks: int = 0
    loss: float = 0.0
    weight: float = 0.0


@dataclasses.dataclass(frozen=True)
class TrainState:
    """Where a training stands after a whole epoch, or block; it goes on from there to the bit.

    Attributes
    ----------
    params : dict of str to array
        The parameters now. Empty in the record of an estimator, which has them in ``coefs_``.
    optimiser : Optimiser or None
        The update rule that ``arrays`` belong to; None for L-BFGS.
    arrays : dict of str to array
        What the optimiser keeps, by name, such as ``m_w1``. Empty before the first step.
    seed : int
        Of the order of rows and of dropout, 0 to 2**32 - 1. Both follow from it and ``step``.
    learning_rate : float
        What the schedule scales; training may have adapted it.
    schedule : Schedule
        Of the learning rate.
    step : int
        Steps so far.
    epoch : int
        Epochs so far.
    best : Best
        The best epoch so far, and how long ago the last improvement was.
    history : list of Epoch
        Its first ``epoch`` entries are those of this state.
    schedules : mapping of str to Schedule
        Of other settings; see `TrainConfig`.
    part : Part
        What has been done of the next epoch, where its rows come in blocks.
    """

    params: Params
    optimiser: Optimiser | None
    arrays: Mapping[str, Array]
    seed: int
    learning_rate: float
    schedule: Schedule
    step: int = 0
    epoch: int = 0
    best: Best = dataclasses.field(default_factory=Best)
    history: list[Epoch] = dataclasses.field(default_factory=list)
    schedules: Mapping[str, Schedule] = dataclasses.field(default_factory=dict)
    part: Part = dataclasses.field(default_factory=Part)

    @classmethod
    def at_start(cls, params: Any, config: TrainConfig) -> TrainState:
        """The state before the first epoch."""
        start = {name: np.array(a) for name, a in params.items()}
        seed = int(np.random.SeedSequence(config.seed).generate_state(1)[0])
        optimiser = None if config.optimiser == LBFGS else config.optimiser
        return cls(
            start,
            optimiser,
            {},
            seed,
            config.learning_rate,
            config.schedule,
            best=Best(params=start),
            schedules=config.schedules,
        )

    # as arrays and JSON ---------------------------------------------------------------------------

    def tensors(self) -> dict[str, Array]:
        """Its arrays by name, contiguous: ``now.w1``, ``optimiser.m_w1``, ``best.w1``..."""
        same = self.params and self.best.epoch == self.epoch and not self.part.blocks
        kept = None if same else self.best.params
        named = {
            f"{part}.{name}": a
            for part, arrays in (("now", self.params), ("best", kept), ("optimiser", self.arrays))
            for name, a in (arrays or {}).items()
        }
        values = [v for line in self.history[: self.epoch] for v in vars(line).values()]
        named["history"] = np.array(values, float).reshape(-1, COLUMNS)  # None becomes NaN
        named["history.none"] = np.array([v is None for v in values], bool).reshape(-1, COLUMNS)
        return {name: np.ascontiguousarray(a) for name, a in named.items()}

    def described(self) -> dict[str, Any]:
        """Everything else, for JSON."""
        rule = self.optimiser
        return {
            # JSON has no infinity
            "optimiser": None if rule is None else [rule.spec, str(rule.clip_norm)],
            "seed": self.seed,
            "learning_rate": self.learning_rate,
            "schedule": self.schedule.spec,
            "schedules": {name: schedule.spec for name, schedule in self.schedules.items()},
            "step": self.step,
            "epoch": self.epoch,
            "best": [str(self.best.merit), self.best.epoch, self.best.waited],
            "keeps_best": self.best.params is not None,
            "part": [*self.part],
        }

    @classmethod
    def restored(cls, tensors: Mapping[str, Array], described: Mapping[str, Any]) -> TrainState:
        """The state that `tensors` and `described` were taken of.

        Raises
        ------
        InputError
            If the optimiser or the schedule is not known here, or a count makes no sense. What
            else is wrong with a forged file raises whatever it does; see `backhand.sealed.UNFIT`.
        """
        rule = described["optimiser"]
        if rule is not None:
            spec, clip_norm = rule
            rule = dataclasses.replace(choose_optimiser(spec), clip_norm=float(clip_norm))
        counts = {name: described[name] for name in ("seed", "step", "epoch")}
        for name, value in counts.items():
            if type(value) is not int or value < 0:
                raise InputError(f"its {name} is {value!r}, not a whole number")
        params = _of("now", tensors)
        merit, epoch, waited = described["best"]
        kept = _of("best", tensors) or params if described["keeps_best"] else None
        lines: Any = np.where(tensors["history.none"], None, tensors["history"].astype(object))
        history = [Epoch(int(number), *values) for number, *values in lines.tolist()]
        rate = float(described["learning_rate"])
        if not 0 <= rate < math.inf:
            raise InputError(f"its learning rate is {rate}")
        best = Best(float(merit), int(epoch), int(waited), kept)
        known = {
            "params": params,
            "optimiser": rule,
            "arrays": _of("optimiser", tensors),
            "learning_rate": rate,
        }
        blocks, loss, weight = described["part"]
        if type(blocks) is not int or blocks < 0:
            raise InputError(f"its part has {blocks!r} blocks, not a whole number")
        part = Part(blocks, float(loss), float(weight))
        schedule = choose_schedule(described["schedule"])
        others = {name: choose_schedule(spec) for name, spec in described["schedules"].items()}
        return cls(
            **known,
            schedule=schedule,
            best=best,
            history=history,
            schedules=others,
            part=part,
            **counts,
        )


def _of(part: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a part by their own names."""
    return {n.partition(".")[2]: a for n, a in tensors.items() if n.startswith(f"{part}.")}

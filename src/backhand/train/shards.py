"""Rows that lie in shards: steps on each shard by itself, then the average, and again.

This is local SGD (Stich 2019, "Local SGD Converges Fast and Communicates Little"), with averages
weighted by rows as in federated averaging (McMahan et al. 2017), with the optimiser's moments
averaged like the parameters (Yu, Jin, Yang 2019), and with Nesterov momentum from one average to
the next as in DiLoCo (Douillard et al. 2023). The result follows from the shards, and not from who
trains on them or when.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..network import Network, Params
from .blocks import Blocks
from .config import TrainConfig
from .state import TrainState
from .stopping import Best

Array = Any
T = TypeVar("T")

MOMENTUM = 0.7
"""What parameters keep of the way to earlier averages. More needs more exchanges than most have."""

FEWEST = 16
"""Rows that a step of a shard has at least, if a training has as many: fewer take as long."""


class Turn(NamedTuple):
    """What every shard starts from, and which part of which epoch it takes.

    Attributes
    ----------
    network : Network
    config : TrainConfig
    state : TrainState
        Where all shards stand; ``epoch`` counts epochs that were done.
    number, turns : int
        The part of the epoch, from 0, and how many there are.
    share : float
        Share of each shard's rows that an epoch takes.
    """

    network: Network
    config: TrainConfig
    state: TrainState
    number: int
    turns: int
    share: float = 1.0


@dataclass(frozen=True)
class Stand:
    """Where a shard stands after its steps, or all of them on average.

    Attributes
    ----------
    params, arrays : dict of str to array
        Parameters, and what the optimiser keeps.
    weight : float
        Rows that were learned from, or their weights.
    loss : float
        Their mean loss.
    rate : float
        The learning rate of the last step.
    """

    params: Params
    arrays: Mapping[str, Array]
    weight: float
    loss: float
    rate: float


class Averaged:
    """What a loop keeps of a training that happens elsewhere, in the place of a trainer.

    Parameters
    ----------
    params : dict of str to array
    state : mapping of str to array
        As `state`, or empty before the first step.

    Attributes
    ----------
    arrays : dict of str to array
        What the optimiser keeps.
    velocity : dict of str to array
        How parameters move from one exchange to the next.
    """

    nonfinite = None

    def __init__(self, params: Params, state: Mapping[str, Array]) -> None:
        self.params = params
        self.arrays = {name: a for name, a in state.items() if name not in params}
        self.velocity = {name: state.get(name, np.zeros_like(a)) for name, a in params.items()}

    @property
    def state(self) -> dict[str, Array]:
        """All that is kept; the velocity of a parameter has the parameter's name."""
        return {**self.arrays, **self.velocity}

    def follow(self, found: Stand) -> None:
        """Go towards an average, and on in the direction of those before."""
        for name, a in self.params.items():
            moved = found.params[name] - a
            self.velocity[name] = velocity = MOMENTUM * self.velocity[name] + moved
            self.params = {**self.params, name: a + moved + MOMENTUM * velocity}
        self.arrays = dict(found.arrays)


class Shards(Blocks):
    """Rows in a fixed list of shards, each of which is trained on by itself between exchanges.

    To be implemented: `exchange`.

    Parameters
    ----------
    counts : sequence of int
        Rows of each shard.
    steps : int
        How many steps a shard takes between two exchanges, about: exchanges divide an epoch.
    share : float
        Share of each shard's rows that an epoch takes.
    """

    def __init__(self, counts: Sequence[int], steps: int, share: float = 1.0) -> None:
        self.counts, self.steps, self.share = tuple(counts), steps, share
        super().__init__(sum(taken(count, share) for count in counts), 1, 1)

    elsewhere = True

    def described(self) -> dict[str, Any]:
        return {"rows": [*self.counts], "steps": self.steps, "share": self.share}

    def exchange(self, turn: Turn) -> Stand:
        """The average of where all shards stand after a turn."""
        raise NotImplementedError

    def trainer(self, params: Params, arrays: Mapping[str, Array]) -> Averaged:
        return Averaged(params, arrays)

    def train(self, loop: Any, trainer: Averaged) -> float:
        batch_size = self.batch_size(loop.config.batch_size)
        config = replace(loop.config, batch_size=batch_size)
        turns = self.turns(batch_size)
        for number in range(loop.state.part.blocks, turns):
            now = loop.snapshot(
                part=loop.state.part, best=Best(), history=[], arrays=trainer.arrays
            )
            found = self.exchange(Turn(loop.network, config, now, number, turns, self.share))
            if not math.isfinite(found.loss):
                return found.loss
            trainer.follow(found)
            loop.rate = found.rate
            loop.after_part(number + 1, found.loss, found.weight)
        loss: float = loop.state.part.loss
        return loss

    def scaled(self, encode: Callable[[Array], Array]) -> Shards:
        """As these, with targets (N,) that a function makes (N, 1)."""
        raise NotImplementedError

    def batch_size(self, whole: int) -> int:
        """Rows of a shard's step, so that a step of all shards together takes about ``whole``."""
        return min(whole, max(FEWEST, whole // len(self.counts)))

    def turns(self, batch_size: int) -> int:
        """Exchanges in an epoch, with so many rows a step of each shard."""
        most = math.ceil(taken(max(self.counts), self.share) / batch_size)
        return max(1, round(most / self.steps))


def taken(count: int, share: float) -> int:
    """How many rows of a shard an epoch takes."""
    return min(count, math.ceil(count * share))


GROUP = 16
"""Shards whose stands are averaged at once; then averages are, so that none has all to fetch."""


def groups(items: list[T]) -> list[list[T]]:
    """Items that follow one another, in groups that are averaged at once."""
    return [items[first : first + GROUP] for first in range(0, len(items), GROUP)]


def average(stands: Sequence[Stand]) -> Stand:
    """The average by weight, in the order of the shards; those of weight 0 do not count."""
    stands = [stand for stand in stands if stand.weight > 0] or [*stands[:1]]
    if len(stands) == 1:
        return stands[0]
    total = sum(stand.weight for stand in stands)

    def mean(values: Sequence[Any]) -> Any:
        found = np.zeros(np.shape(values[0]))
        for value, stand in zip(values, stands, strict=True):
            found += np.asarray(value, np.float64) * (stand.weight / total)
        return found.astype(np.asarray(values[0]).dtype)

    return Stand(
        {name: mean([s.params[name] for s in stands]) for name in stands[0].params},
        {name: mean([s.arrays[name] for s in stands]) for name in stands[0].arrays},
        total,
        float(mean([s.loss for s in stands])),
        stands[0].rate,
    )

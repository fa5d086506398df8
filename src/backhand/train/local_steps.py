"""The steps of one shard between two exchanges; see `shards`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from .loop import TrainLoop
from .rows import Rows, checked
from .shards import Shards, Stand, Turn, average, groups, taken


def local_steps(turn: Turn, rows: Rows, number: int, threads: int | None = None) -> Stand:
    """Train on a part of a shard's epoch, from where all shards stand.

    Parameters
    ----------
    turn : Turn
    rows : Rows
        Of the shard.
    number : int
        Of the shard, which decides the order of its rows and its dropout together with the seed.
    threads : int, optional
        Never changes a bit.
    """
    state, config = turn.state, turn.config
    count = taken(len(rows), turn.share)
    steps = math.ceil(count / config.batch_size)
    first, last = (steps * n // turn.turns for n in (turn.number, turn.number + 1))
    if first == last:
        return Stand(state.params, state.arrays, 0.0, 0.0, state.learning_rate)
    order = np.random.default_rng((state.seed, state.epoch, number)).permutation(len(rows))
    part = order[first * config.batch_size : min(last * config.batch_size, count)]
    loop = TrainLoop(
        turn.network,
        state.params,
        dataclasses.replace(config, threads=threads),
        count,
        state=dataclasses.replace(
            state,
            seed=int(np.random.SeedSequence((state.seed, number)).generate_state(1)[0]),
            step=state.epoch * steps + first,
        ),
    )
    rows = checked(turn.network, rows, "training")
    loss = loop.epoch(rows, part)
    now = loop.snapshot()
    weight = len(part) if rows.weight is None else float(rows.weight[part].sum(dtype=np.float64))
    return Stand(now.params, now.arrays, weight, loss, loop.rate)


class LocalShards(Shards):
    """Shards in this process, trained on one after another: what other machines are compared with.

    Parameters
    ----------
    rows : sequence of Rows
        Of each shard.
    steps : int
        As of `Shards`.
    """

    def __init__(self, rows: Sequence[Rows], steps: int, share: float = 1.0) -> None:
        super().__init__([len(some) for some in rows], steps, share)
        self._rows = rows

    def first(self, rows: int) -> LocalShards:
        return LocalShards(self._rows, self.steps, min(1.0, self.share * rows / len(self)))

    def exchange(self, turn: Turn) -> Stand:
        stands = [local_steps(turn, some, number) for number, some in enumerate(self._rows)]
        while len(stands) > 1:
            stands = [average(group) for group in groups(stands)]
        return stands[0]

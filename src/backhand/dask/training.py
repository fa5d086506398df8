"""Shards on the workers of a cluster; between exchanges each is trained on where it lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..train.local_steps import local_steps
from ..train.rows import CheckedRows
from ..train.shards import Shards, Stand, Turn, average, groups
from .waiting import result_of

Array = Any


class DaskShards(Shards):
    """Shards as futures of (x, t, weight).

    What all shards start from is a task's argument, and so stays with the scheduler: after a worker
    is lost, its part is repeated from the last exchange, and nothing before.

    Parameters
    ----------
    client : distributed.Client
    futures : sequence of Future
    counts, steps, share
        As of `Shards`.
    encode : callable, optional
        From targets (N,) to what is learned (N, 1).
    """

    def __init__(
        self,
        client: Any,
        futures: Sequence[Any],
        counts: Sequence[int],
        steps: int,
        share: float = 1.0,
        encode: Callable[[Array], Array] | None = None,
    ) -> None:
        super().__init__(counts, steps, share)
        self._client, self._futures, self._encode = client, futures, encode

    def _with(self, share: float, encode: Any) -> DaskShards:
        return DaskShards(
            self._client, self._futures, self.counts, self.steps, share, encode or self._encode
        )

    def first(self, rows: int) -> DaskShards:
        return self._with(min(1.0, self.share * rows / len(self)), None)

    def scaled(self, encode: Callable[[Array], Array]) -> DaskShards:
        return self._with(self.share, encode)

    def exchange(self, turn: Turn) -> Stand:
        client = self._client
        start = client.submit(same, turn, pure=False)
        stands = [
            client.submit(_steps, start, future, number, self._encode, pure=False)
            for number, future in enumerate(self._futures)
        ]
        while len(stands) > 1:
            stands = [client.submit(average, group, pure=False) for group in groups(stands)]
        found: Stand = result_of(client, stands[0])
        return found


def same(turn: Turn) -> Turn:
    """A turn as the result of a task, which workers fetch from one another."""
    return turn


def _steps(turn: Turn, rows: Any, number: int, encode: Any) -> Stand:
    x, t, weight = rows
    t = t if encode is None else encode(t[:, 0])
    return local_steps(turn, CheckedRows(x, t, weight), number, threads())


def threads() -> int:
    """Threads for a task: those of its worker, divided among the tasks that it has now."""
    from distributed import get_worker

    state = get_worker().state
    return max(1, int(state.nthreads) // max(1, int(state.executing_count)))

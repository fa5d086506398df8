"""What workers do with partitions: samples, statistics, and prepared rows."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..datasets.source import SAMPLE
from ..datasets.stream import Stream
from ..errors import InputError
from ..tabular.first_pass import FirstPass
from ..tabular.second_pass import SecondPass, in_memory, no_counts, prepared
from ..tabular.stream_rows import LabelledStream, Preparing
from ..train.rows import CheckedRows, Rows
from .partitions import Named, Partition
from .training import DaskShards
from .waiting import result_of

Array = Any

SAMPLED_PARTITIONS = 8
"""Partitions from all over a table whose first rows say what columns hold."""

MERGED = 8
"""Statistics of partitions that are merged at once; those of more would be in memory together."""


class Spec(NamedTuple):
    """What is predicted: as of `LabelledStream`, and how rows are held out."""

    target: str
    regression: bool
    weight: str | None
    validation: float = 0.1

    def labelled(self, table: Any, sample: Any, first: int = 0) -> LabelledStream:
        """A partition with its target."""
        stream = Stream(Partition(table, sample, first), validation=self.validation)
        return LabelledStream(stream, self.target, self.regression, self.weight)


def head(table: Any) -> Any:
    """The first rows of a partition, for the sample."""
    return table.slice(0, SAMPLE // SAMPLED_PARTITIONS // 4)


def sample_of(heads: Sequence[Any]) -> Any:
    """Some rows of the table, as a pyarrow.Table."""
    import pyarrow as pa

    some = [table for table in heads if len(table)]
    if not some:
        raise InputError(f"{len(heads)} partitions of X from all over it have no rows")
    return pa.concat_tables(some, promote_options="permissive")


def statistics(spec: Spec, sample: Any, table: Any) -> FirstPass:
    """The first pass through a partition."""
    return FirstPass(spec.labelled(table, sample))


def merged(found: Sequence[FirstPass]) -> FirstPass:
    """Statistics of partitions that follow one another as one."""
    first = copy.deepcopy(found[0])  # that of a worker stays as it is, in case this is repeated
    for other in found[1:]:
        first.merge(other)
    return first


class Part(NamedTuple):
    """A partition, prepared: arrays, whose size Dask can tell."""

    x: Array
    t: Array
    weight: Array | None
    held_out: tuple[tuple[Array, ...], ...]
    some_x: Array
    counts: list[Array]


def prepare(
    spec: Spec, sample: Any, preparing: Preparing, rows: int, first: int, length: int, table: Any
) -> Part:
    """The second pass through a partition, of a table of so many rows.

    Raises
    ------
    InputError
        If it has other rows than before.
    """
    if len(table) != length:
        raise InputError(
            f"a partition has {len(table):,} rows where it had {length:,} before: X and y must "
            "give the same rows again; persist them if they do not"
        )
    mine = dataclasses.replace(preparing, labelled=spec.labelled(table, sample, first))
    kept: list[Rows] = []
    found = prepared(mine, rows, kept.append)
    learned, _ = in_memory(mine, [(some, np.zeros(0, np.int64)) for some in kept])
    held_out = tuple((r.x, r.t, r.weight, numbers) for r, numbers in found.held_out)
    some_x = np.concatenate([*found.some, learned.x[:0]])
    return Part(learned.x, learned.t, learned.weight, held_out, some_x, found.counts)


def without_rows(part: Part) -> Part:
    """All of a part but what is learned from, for the client."""
    rows = np.empty((len(part.x), 0), np.float32)  # how many there are, in no bytes
    return part._replace(x=rows, t=part.t[:0], weight=None)


def shard(parts: Sequence[Part]) -> tuple[Array, Array, Array | None]:
    """Parts joined: x, t, weight."""
    weight = None
    if parts[0].weight is not None or any(p.weight is not None for p in parts):
        weight = np.concatenate([p.weight for p in parts if p.weight is not None])
    return np.concatenate([p.x for p in parts]), np.concatenate([p.t for p in parts]), weight


class Passes:
    """The two passes through a table on a cluster.

    Parameters
    ----------
    client : distributed.Client
    X, y, weight : collections of Dask's
    held_out : (X, y, weight) or None
        Validation rows.
    regression : bool
    shards : int
        How many there are, at most; partitions that follow one another make one.
    steps : int
        As of `Shards`.

    Attributes
    ----------
    labelled : LabelledStream
        The sample with its target.
    """

    def __init__(
        self,
        client: Any,
        X: Any,
        y: Any,
        weight: Any,
        held_out: tuple[Any, Any, Any] | None,
        regression: bool,
        shards: int,
        steps: int,
    ) -> None:
        from dask.delayed import delayed

        names = Named(X, y, weight)
        self._client, self._shards, self._steps = client, shards, steps
        self._parts = names.delayed(X, y, weight)
        self._held_out = None if held_out is None else names.delayed(*held_out)
        self._spec = Spec(names.target, regression, names.weight)
        count = len(self._parts)
        places = np.unique(np.linspace(0, count - 1, SAMPLED_PARTITIONS).astype(int))
        heads = [delayed(head, pure=False)(self._parts[place]) for place in places]
        self._sample = client.compute(delayed(sample_of, pure=False)(heads))
        sample = result_of(client, self._sample)
        self.labelled = self._spec.labelled(sample.slice(0, 0), sample)
        self._lengths: list[int] = []

    def first(self) -> FirstPass:
        """Statistics of all partitions, merged in their order."""
        found = self._on_each(statistics, [()] * len(self._parts), self._parts)
        while len(found) > 1:
            found = [
                self._client.submit(merged, found[i : i + MERGED], pure=False)
                for i in range(0, len(found), MERGED)
            ]
        first: FirstPass = result_of(self._client, found[0])
        self._lengths = first.lengths
        return first

    def second(self, preparing: Preparing, rows: int) -> SecondPass:
        """Shards on the workers, and what the client needs of them."""
        from dask.delayed import delayed

        client = self._client
        slim = dataclasses.replace(preparing, labelled=None)  # type: ignore[arg-type]  # each worker has its own
        found = self._prepared(slim, rows, self._lengths, self._parts)
        groups = np.array_split(np.arange(len(found)), min(self._shards, len(found)))
        shards = [client.submit(shard, [found[i] for i in g], pure=False) for g in groups]
        some = [client.submit(without_rows, f, pure=False) for f in found]
        del found  # workers let go of a part when its shard is made
        small = result_of(client, some)
        counts = [sum(len(small[i].x) for i in group) for group in groups]
        if not sum(counts):
            raise InputError(f"no row is left to learn from: all {rows} are held out")
        result_of(client, [client.submit(len, s, pure=False) for s in shards])
        codes = no_counts(preparing.preparation)
        for part in small:
            codes = [a + b for a, b in zip(codes, part.counts, strict=True)]
        judged = small
        if self._held_out is not None:
            every = dataclasses.replace(slim, held_out_share=1.0)
            count = delayed(len, pure=False)
            lengths = result_of(client, client.compute([count(part) for part in self._held_out]))
            judged = result_of(client, self._prepared(every, rows, lengths, self._held_out))
        held = [(CheckedRows(x, t, w), n) for p in judged for x, t, w, n in p.held_out]
        held_out, numbers = in_memory(preparing, held)
        return SecondPass(
            DaskShards(client, shards, counts, self._steps),
            np.concatenate([part.some_x for part in small]),
            codes,
            held_out,
            numbers,
        )

    def _prepared(
        self, preparing: Preparing, rows: int, lengths: Sequence[int], parts: Sequence[Any]
    ) -> list[Any]:
        starts = np.cumsum([0, *lengths])[:-1].tolist()
        given = [(preparing, rows, *each) for each in zip(starts, lengths, strict=True)]
        return self._on_each(prepare, given, parts)

    def _on_each(self, function: Any, given: Sequence[Any], parts: Sequence[Any]) -> list[Any]:
        """Futures of a function of each partition."""
        from dask.delayed import delayed

        spec = delayed(self._spec, traverse=False)
        call = delayed(function, pure=False)
        shared: dict[int, Any] = {}  # by identity: in the graph once

        def once(value: Any) -> Any:
            if isinstance(value, (int, float)):
                return value
            return shared.setdefault(id(value), delayed(value, traverse=False))

        return self._client.compute(  # type: ignore[no-any-return]  # Dask has no types here
            [
                call(spec, self._sample, *map(once, more), part)
                for more, part in zip(given, parts, strict=True)
            ]
        )

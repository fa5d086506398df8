"""What workers do with partitions: merged they are the whole, and what changed is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.dask.cluster import table

from backhand import InputError
from backhand.dask.passes import (
    SAMPLED_PARTITIONS,
    Part,
    Spec,
    head,
    merged,
    prepare,
    sample_of,
    shard,
    statistics,
    without_rows,
)
from backhand.datasets.source import SAMPLE
from backhand.tabular.streaming import _preparing

TABLE = pa.Table.from_pandas(table().drop(columns=["y"]), preserve_index=False)
PARTS = [TABLE.slice(0, 1), TABLE.slice(1, 0), TABLE.slice(1, 2500), TABLE.slice(2501)]
SPEC = Spec("v", True, "w")


def preparing():
    first = statistics(SPEC, TABLE, TABLE)
    preparation = first.gathering.preparation()
    return _preparing(SPEC.labelled(TABLE, TABLE), first, preparation, None, None, False)


def prepared(part, first, length):
    return prepare(SPEC, TABLE, preparing(), len(TABLE), first, length, part)


def test_merged_statistics_are_those_of_the_whole():
    whole = statistics(SPEC, TABLE, TABLE)
    parts = [statistics(SPEC, TABLE, part) for part in PARTS]
    merged(parts)
    found = merged(parts)  # again, as after the loss of a worker
    assert (found.rows, found.lengths) == (4000, [1, 0, 2500, 1499])
    assert found.weight == pytest.approx(whole.weight)
    assert (found.y.least, found.y.most) == (whole.y.least, whole.y.most)
    shares = np.linspace(0.01, 0.99, 99)
    values = np.sort(TABLE["v"].to_numpy())
    ranks = np.searchsorted(values, found.y.quantiles(shares)) / len(values)
    assert np.abs(ranks - shares).max() < 1e-3 + 1 / len(values)  # as of the sketch
    columns = found.gathering.preparation().columns, whole.gathering.preparation().columns
    assert columns[0] == columns[1] == list("abcdk")


def test_partitions_are_prepared_as_the_whole_is():
    whole = prepared(TABLE, 0, 4000)
    firsts = np.cumsum([0, *map(len, PARTS)])
    found = [prepared(p, int(first), len(p)) for p, first in zip(PARTS, firsts, strict=False)]
    for a, b in zip(shard(found), shard([whole]), strict=True):
        np.testing.assert_array_equal(a, b)
    numbers = [np.concatenate([n for *_, n in part.held_out]) for part in (found[2], found[3])]
    np.testing.assert_array_equal(
        np.concatenate(numbers), np.concatenate([n for *_, n in whole.held_out])
    )


def test_a_partition_that_changes_its_rows_is_refused():
    with pytest.raises(InputError, match=r"2,500 rows where it had 2,499 before.* persist them"):
        prepared(PARTS[2], 1, 2499)


def test_weights_come_from_the_parts_that_have_rows():
    x, t = np.zeros((2, 1), np.float32), np.zeros((2, 1))
    weighted = Part(x, t, np.ones((2, 1), np.float32), (), x, [])
    empty = Part(x[:0], t[:0], None, (), x[:0], [])
    assert shard([empty, weighted])[2].shape == (2, 1)
    assert shard([weighted, empty])[2].shape == (2, 1)
    assert shard([empty, empty])[2] is None


def test_the_client_gets_no_rows():
    part = prepared(PARTS[2], 1, 2500)
    slim = without_rows(part)
    assert len(slim.x) == len(part.x)
    assert slim.x.nbytes + slim.t.nbytes == 0
    assert slim.held_out is part.held_out


def test_a_sample_is_of_rows():
    heads = [head(part) for part in PARTS]
    assert len(sample_of(heads)) == sum(map(len, heads))
    assert max(map(len, heads)) <= SAMPLE // SAMPLED_PARTITIONS
    with pytest.raises(InputError, match="2 partitions of X from all over it have no rows"):
        sample_of([TABLE.slice(0, 0)] * 2)

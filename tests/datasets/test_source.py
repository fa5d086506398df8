"""What sources have in common: slices that keep row numbers, samples, and names that are near."""

from __future__ import annotations

import decimal

import numpy as np
import pyarrow as pa
import pytest

from backhand import InputError
from backhand.datasets import source as module
from backhand.datasets.reading import noted
from backhand.datasets.source import Batch, Kinds, Source, joined, slices
from backhand.preprocess import arrow

TABLE = pa.table({"a": np.arange(250)})


class Made(Source):
    def __init__(self):
        self.names = ["a"]

    def batches(self, rng=None, columns=None):
        for first in range(0, 250, 100):
            some = TABLE.slice(first, 100)
            yield Batch(some, np.arange(first, first + len(some)), "made")


def test_slices_keep_the_numbers_of_rows(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 100)
    parts = [*slices(noted(TABLE, arrow.FIRST_ROW, "2"))]
    assert [len(part) for part in parts] == [100, 100, 50]
    assert [arrow.row_number(part, 0) for part in parts] == [2, 102, 202]


def test_a_sample_is_the_first_rows_of_what_has_an_order(monkeypatch):
    assert Made().sample().column("a").to_pylist() == [*range(250)]
    monkeypatch.setattr(module, "SAMPLE", 120)
    assert Made().sample().column("a").to_pylist() == [*range(120)]


def test_a_source_without_rows_has_no_sample(monkeypatch):
    monkeypatch.setattr(Made, "batches", lambda self: iter(()))
    with pytest.raises(InputError, match="there are no rows, or the filter lets none through"):
        Made().sample()


def test_names_that_are_not_there_have_near_ones():
    with pytest.raises(InputError, match="no column 'A': did you mean 'a'"):
        Made().check_there(["A"])


D, TS = pa.date32(), pa.timestamp("ns", "Europe/Berlin")


@pytest.mark.parametrize(
    ("first", "then", "kind"),
    [
        (pa.array([1]), pa.array(["x"]).dictionary_encode(), None),
        (pa.array([1]), pa.array([True]), None),
        (pa.array([1]), pa.array([1.5]), pa.float64()),
        (pa.array([2**63], pa.uint64()), pa.array([-1]), pa.float64()),
        (pa.array([1]), pa.array([decimal.Decimal("1.5")]), pa.float64()),
        (pa.array([1, 2]).dictionary_encode(), pa.array([3]), pa.int64()),
        (pa.nulls(1), pa.array([3]), pa.int64()),
        (pa.array(["x"], pa.string_view()), pa.array(["y"]).dictionary_encode(), pa.string()),
        (pa.array([1]).cast(pa.timestamp("s")), pa.array([1]).cast(TS), pa.timestamp("us")),
        (pa.array([1], pa.int32()).cast(D), pa.array([1]).cast(TS), pa.timestamp("us")),
        (pa.array([10**10]).cast(pa.timestamp("s")), pa.array([1]).cast(TS), pa.timestamp("us")),
        (pa.array([1]).cast(pa.time64("us")), pa.array([1]).cast(pa.time64("ns")), pa.float64()),
        (pa.array([1]).cast(pa.duration("s")), pa.array([1]).cast(pa.duration("ms")), pa.float64()),
    ],
    ids=str,
)
def test_types_that_may_stand_for_one_another_are_joined(first, then, kind):
    kinds, tables = Kinds(), [pa.table({"a": first}), pa.table({"a": then})]
    kinds.check(tables[0].schema, "one", ["a"])
    if kind is None:
        with pytest.raises(InputError, match=r"two: column 'a' holds .*, and one has int64 there"):
            kinds.check(tables[1].schema, "two", ["a"])
        return
    kinds.check(tables[1].schema, "two", ["a"])
    assert joined(tables).schema.field("a").type == kind

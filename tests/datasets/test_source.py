"""What sources have in common: slices that keep row numbers, samples, and names that are near."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from backhand import InputError
from backhand.datasets import source as module
from backhand.datasets.reading import noted
from backhand.datasets.source import Batch, Source, slices
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
    with pytest.raises(InputError, match="the source has no rows"):
        Made().sample()


def test_names_that_are_not_there_have_near_ones():
    with pytest.raises(InputError, match="no column 'A': did you mean 'a'"):
        Made().check_there(["A"])

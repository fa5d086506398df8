"""Statistics that are gathered: encoders as of a whole table, and what only a stream can have."""

from __future__ import annotations

import dataclasses
import itertools
import warnings

import numpy as np
import pyarrow as pa
import pytest

from backhand.errors import InputError
from backhand.preprocess.gathering import Gathering
from backhand.preprocess.preparation import TablePreparation

N = 6000


def columns():
    rng = np.random.default_rng(0)
    gaps = rng.normal(size=N)
    gaps[::7] = np.nan
    return {
        "number": rng.normal(size=N),
        "heavy": rng.lognormal(0, 3, N),
        "gaps": pa.array(gaps, from_pandas=True),
        "two": rng.integers(0, 2, N) * 3.5,
        "constant": np.ones(N),
        "text": rng.choice(["a", "b", "c"], N),
        "many": [f"v{i}" for i in rng.zipf(1.5, N) % 300],
        "flag": rng.random(N) < 0.3,
        "written": [f"{v:.2f}" for v in rng.normal(size=N)],
        "date": np.datetime64("2021-01-01") + rng.integers(0, 900, N).astype("m8[D]"),
        "day": [f"{d}.3.2020" for d in rng.integers(1, 31, N)],
        "row_id": np.arange(N),
        "key": rng.permutation(N) + 17,
        "name": [f"n{i}" for i in rng.permutation(N)],
        "nothing": pa.nulls(N),
    }


def gathered(table, part=997, sample=2000, **settings):
    found = Gathering(table.slice(0, sample))
    for first in range(0, len(table), part):
        some = table.slice(first, part)
        found.add(some, np.arange(first, first + len(some)))
    return found.preparation(warn=False, **settings)


def test_encoders_are_those_of_the_whole_table():
    """A column has fewer values here than sketches keep, so they are the same to the bit."""
    table = pa.table(columns())
    want = TablePreparation.fit(table, warn=False)
    got = gathered(table)
    assert got.left_out == want.left_out
    for one, other in zip(got.encoders, want.encoders, strict=True):
        assert dataclasses.asdict(one) == dataclasses.asdict(other)
    assert np.array_equal(got.apply(table), want.apply(table))


def test_columns_are_dropped_and_kept_as_asked():
    table = pa.table(columns())
    found = gathered(table, drop=["text"], keep=["row_id"])
    assert "row_id" in found.columns
    assert "text" not in found.columns


def test_more_rows_than_are_kept_are_prepared_nearly_alike():
    rng = np.random.default_rng(1)
    table = pa.table({"a": rng.lognormal(0, 1.5, 200_000), "b": rng.normal(5, 2, 200_000)})
    want, got = TablePreparation.fit(table).apply(table), gathered(table, 20_000).apply(table)
    assert got.shape == want.shape
    assert np.abs(got - want).max() < 0.02


def test_a_column_that_is_empty_in_the_sample_is_looked_at_again():
    values = [None] * 3000 + [float(i % 100) for i in range(3000)]
    found = gathered(pa.table({"late": values, "other": np.arange(N) % 50}))
    assert "late" in found.columns


def test_cells_that_are_no_numbers_are_counted_in_the_pass():
    values = [f"{i % 100}" for i in range(N)]
    values[4000:4010] = ["oops"] * 10
    found = gathered(pa.table({"x": values}))
    assert "10 cells are not a number (the first in row 13: 'oops')" in found.encoders[0].strays


def test_a_column_that_the_sample_misjudged_is_an_error():
    values = [f"{i % 100}" for i in range(3000)] + ["word"] * 3000
    with pytest.raises(InputError, match=r"'x': of 6,000 cells 3,000 are not a number.*sample"):
        gathered(pa.table({"x": values}))


def test_infinity_names_its_row():
    values = np.arange(float(N)) % 100
    values[2500] = np.inf
    with pytest.raises(InputError, match=r"column 'x', row .*inf is not a finite number"):
        gathered(pa.table({"x": values}))


def test_warnings_are_those_of_a_whole_table():
    table = pa.table({"a": np.ones(50), "b": np.arange(50) % 7})
    found = Gathering(table)
    found.add(table, np.arange(50))
    with pytest.warns(UserWarning, match="1 column is left out .constant in the training rows"):
        found.preparation()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.preparation(warn=False)


@pytest.mark.parametrize("cuts", [[2000, 4500], [0, 100, 5999]])
def test_merged_parts_are_the_whole(cuts):
    table = pa.table(columns())
    bounds = [0, *cuts, N]
    parts = []
    for first, last in itertools.pairwise(bounds):
        part = Gathering(table)
        part.add(table.slice(first, last - first), np.arange(last - first))
        parts.append((part, first))
    whole, merged = Gathering(table), parts[0][0]
    whole.add(table, np.arange(N))
    for part, first in parts[1:]:
        merged.merge(part, first)
    assert merged.rows == N
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, wanted = (g.preparation() for g in (merged, whole))
    assert found.to_dict() == wanted.to_dict()


def test_a_column_that_the_sample_knows_nothing_of_takes_one_kind_only():
    sample = pa.table({"a": pa.nulls(5, pa.string())})

    def part(values):
        made = Gathering(sample)
        made.add(pa.table({"a": pa.array(values, pa.string())}), np.arange(len(values)))
        return made

    merged = part([None, None])
    merged.merge(part(["1.5", "2"]), 2)
    merged.merge(part([None]), 4)
    with pytest.raises(InputError, match="column 'a' has no values in a sample of the rows"):
        merged.merge(part(["x", "y"]), 5)

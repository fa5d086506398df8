"""Tables that are made anew in each pass: the same rows again, or one clear line."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from backhand import InputError
from backhand.datasets.sources import source_of

N = 300
TABLE = pa.table({"a": np.arange(N), "b": [f"v{i % 5}" for i in range(N)]})


def values(batches):
    return np.concatenate([np.asarray(batch.table.column("a")) for batch in batches])


def passes(make, count=2):
    source = source_of(make)
    return [values(source.batches()) for _ in range(count)]


def in_turn(*made):
    """A function that gives these at its calls: the first is to learn the names of columns."""
    calls = itertools.chain(made, itertools.repeat(made[-1]))
    return lambda: iter([next(calls)])


def used_up():
    one = iter([TABLE])
    return lambda: one


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (used_up, "the same iterator came twice, and is used up; return a new one"),
        (
            lambda: in_turn(TABLE, TABLE, TABLE.slice(0, 200)),
            "has 200 rows, and had 300 before; the same",
        ),
        (lambda: in_turn(TABLE, TABLE.slice(1)), "the first row is"),
        (
            lambda: lambda: iter([TABLE, pa.table({"a": ["x"], "b": ["y"]})]),
            "the function's tables, table 2: column 'a' holds string, and the function's tables, "
            "table 1 has int64 there",
        ),
        (lambda: lambda: None, "the function's tables, table 1: a table must be a DataFrame"),
    ],
    ids=["used up", "fewer", "others", "types", "none"],
)
def test_what_is_not_the_same_again(make, message):
    with pytest.raises(InputError, match=message):
        passes(make())


def test_tables_of_all_kinds_may_be_mixed():
    def made():
        yield TABLE.slice(0, 100).to_pandas()
        yield pl.from_arrow(TABLE.slice(100, 100))
        yield TABLE.slice(200, 50).to_pylist()
        yield TABLE.slice(250).to_batches()[0]

    source = source_of(made)
    assert values(source.batches()).tolist() == [*range(N)]
    assert source.sample().column("b").to_pylist() == TABLE.column("b").to_pylist()
    kept = source_of(made, filter=pc.field("b") == "v1")
    assert values(kept.batches(columns=["a"])).tolist() == [*range(1, N, 5)]


def test_errors_of_a_function_are_its_own_and_those_of_libraries_one_line():
    def fails():
        yield TABLE
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        passes(fails)
    if hasattr(pl.LazyFrame, "collect_batches"):
        lazy = pl.from_arrow(TABLE).lazy().select(pl.col("missing"))
        with pytest.raises(InputError, match=r"the LazyFrame: cannot be read: .*missing"):
            source_of(lazy)


@pytest.mark.parametrize("bad", [pc.field("b") > 3, pc.field("c") > 3], ids=["type", "name"])
def test_a_filter_that_cannot_be_applied_is_one_line(bad):
    with pytest.raises(InputError, match=r"the function's tables: filter .*: "):
        [*source_of(lambda: TABLE, filter=bad).batches()]


# partitions of Dask's -----------------------------------------------------------------------------


@pytest.fixture
def frame():
    dask = pytest.importorskip("dask.dataframe")
    return dask.from_pandas(TABLE.to_pandas(), npartitions=6)


def test_partitions_come_in_an_order_that_the_generator_decides(frame):
    source = source_of(frame, filter=pc.field("a") >= 20)
    found = {}
    for seed in (None, 0, 1):
        batches = [*source.batches(None if seed is None else np.random.default_rng(seed), ["a"])]
        numbers = np.concatenate([batch.numbers for batch in batches])
        found[seed] = values(batches)
        places = dict(zip(numbers.tolist(), found[seed].tolist(), strict=True))
        assert sorted(places.values()) == [*range(20, N)]
        found.setdefault("places", places)
        assert places == found["places"]
    assert found[None].tolist() == [*range(20, N)]
    assert found[0].tolist() != found[1].tolist()
    assert source.sample().column("a").to_pylist() == [*range(20, N)]


def test_a_partition_that_fails_or_changes_is_named(frame):
    def wrong(part):
        raise ZeroDivisionError("in a task")

    failing = frame.map_partitions(wrong, meta=frame._meta)
    with pytest.raises(InputError, match=r"partition 0 of the dataframe: cannot be read: .*a task"):
        [*source_of(failing).batches()]
    sizes = itertools.count(50)
    other = frame.map_partitions(lambda part: part.head(next(sizes) % 49), meta=frame._meta)
    source = source_of(other)
    with pytest.raises(InputError, match=r"partition \d of the dataframe: has \d+ rows, and had"):
        [*source.batches(), *source.batches()]

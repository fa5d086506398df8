"""What can be streamed: folders, lists, lazy frames, relations, functions; and what not."""

from __future__ import annotations

import contextlib

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from backhand import InputError
from backhand.datasets import parquet_files
from backhand.datasets.parquet_files import ParquetFiles
from backhand.datasets.sources import is_source, source_of
from backhand.datasets.text_files import TextFiles
from backhand.train.blocks import RereadRows
from backhand.train.rows import Rows

N = 1000
TABLE = pa.table({"a": np.arange(N), "b": np.arange(N) / 7, "c": [f"v{i % 5}" for i in range(N)]})


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        part = TABLE.slice(250 * number, 250)
        pq.write_table(part, tmp_path / f"{number}.parquet", row_group_size=100)
    (tmp_path / "README").write_text("not a table")
    return tmp_path


def read(source, rng=None, columns=None):
    return [*source.batches(rng, columns)]


def column(batches, name="a"):
    return np.concatenate([np.asarray(batch.table.column(name)) for batch in batches])


def relation():
    duckdb = pytest.importorskip("duckdb")
    return duckdb.arrow(TABLE)


def dask_frame():
    dask = pytest.importorskip("dask.dataframe")
    return dask.from_pandas(TABLE.to_pandas(), npartitions=7)


def lazy(folder):
    if not hasattr(pl.LazyFrame, "collect_batches"):
        pytest.skip("Polars of before frames in batches")
    return pl.scan_parquet(folder / "*.parquet")


SOURCES = {
    "folder": lambda folder: folder,
    "text": lambda folder: str(folder),
    "list": lambda folder: sorted(folder.glob("*.parquet")),
    "dataset": lambda folder: ds.dataset(folder, format="parquet", exclude_invalid_files=True),
    "lazy": lambda folder: lazy(folder),
    "relation": lambda folder: relation(),
    "dask": lambda folder: dask_frame(),
    "frame": lambda folder: pl.from_arrow(TABLE),
    "function": lambda folder: lambda: (TABLE.slice(i, 90) for i in range(0, N, 90)),
    "one table": lambda folder: lambda: TABLE,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_rows_come_in_their_order_as_often_as_they_are_read(folder, kind):
    source = source_of(SOURCES[kind](folder))
    assert source.names == ["a", "b", "c"]
    for _ in range(2):
        batches = read(source)
        assert np.array_equal(column(batches), np.arange(N))
        assert np.array_equal(np.concatenate([b.numbers for b in batches]), np.arange(N))
    assert read(source, columns=["b"])[0].table.column_names == ["b"]


@pytest.mark.parametrize("kind", [*SOURCES])
def test_filters_let_some_rows_through(folder, kind):
    source = source_of(SOURCES[kind](folder), filter=pc.field("a") >= 730, columns=["b", "a"])
    batches = read(source, columns=["a"])
    assert np.array_equal(column(batches), np.arange(730, N))
    numbers = np.concatenate([batch.numbers for batch in batches])
    assert len(np.unique(numbers)) == len(numbers)
    assert np.array_equal(numbers, np.concatenate([b.numbers for b in read(source)]))


def test_a_relation_that_is_read_twice_at_once_has_a_remedy():
    source = source_of(relation())
    with contextlib.closing(source.batches()) as first:
        next(first)
        with pytest.raises(InputError, match=r"if several networks read at once, keep rows on the"):
            read(source)
    assert len(column(read(source))) == N


def test_what_is_a_source_and_what_is_a_table(folder):
    assert all(is_source(SOURCES[kind](folder)) for kind in SOURCES if kind != "frame")
    assert not any(map(is_source, (TABLE, pl.from_arrow(TABLE), np.zeros((3, 3)), [[1.0]], [])))


def test_text_is_streamed_file_by_file(tmp_path):
    for number in range(2):
        part = TABLE.slice(500 * number, 500)
        pc_csv.write_csv(part, tmp_path / f"{number}.csv")
    source = source_of(tmp_path)
    assert isinstance(source, TextFiles)
    assert column(read(source)).tolist() == [str(i) for i in range(N)]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("nowhere", "no such file or folder: nowhere"),
        (TABLE.to_reader(), "can be read only once: pass a function that returns a new one"),
        (3, "not from int"),
        (["a.txt"], "a.txt: rows can be streamed from .parquet, .csv and .tsv files"),
        (lambda: iter(()), "the function's tables: there are none"),
    ],
    ids=["nowhere", "reader", "number", "suffix", "nothing"],
)
def test_what_is_no_source(made, message):
    with pytest.raises(InputError, match=message):
        source_of(made)


def test_a_folder_without_tables_or_with_two_kinds(tmp_path):
    with pytest.raises(InputError, match=r"has no \.parquet, \.csv or \.tsv files"):
        source_of(tmp_path)
    pq.write_table(TABLE, tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("a,b,c\n1,2,3\n")
    with pytest.raises(InputError, match="Parquet files and text are there; name one kind"):
        source_of(tmp_path)


def test_columns_that_are_not_there_have_near_ones(folder):
    with pytest.raises(InputError, match=r"no column 'A': did you mean 'a'\? columns: a, b, c"):
        source_of(folder, columns=["A"])
    with pytest.raises(InputError, match="a Parquet file has no separator"):
        source_of(folder, separator=";")


def test_tables_of_a_function_have_the_columns_of_the_first():
    source = source_of(lambda: iter([TABLE, TABLE.drop_columns(["b"])]))
    with pytest.raises(InputError, match="the function's tables, table 2: has no column 'b'"):
        read(source)


def test_a_sample_is_from_all_over_a_folder_of_parquet(folder):
    source = source_of(folder)
    assert isinstance(source, ParquetFiles)
    found = np.asarray(source.sample().column("a"))
    assert found.min() == 0
    assert found.max() == N - 1


@pytest.mark.parametrize("parts", [1, 3])
def test_a_sample_holds_no_more_memory_than_it_shows(parts):
    whole = pa.table({"a": np.arange(1_000_000.0)})
    sample = source_of(lambda: iter([whole] * parts)).sample()
    assert 0 < sample.get_total_buffer_size() <= 1.1 * sample.nbytes < whole.nbytes / 5


# how random an epoch of sorted rows is ------------------------------------------------------------

SORTED, PIECE, BLOCK = 4000, 40, 400


@pytest.fixture
def ordered(tmp_path):
    table = pa.table({"a": np.arange(SORTED, dtype=np.float32)})
    pq.write_table(table, tmp_path / "0.parquet", row_group_size=PIECE)
    return table


def epochs(source, count=5):
    """The values of each block of some epochs, in windows of `BLOCK` rows."""

    def make(rng):
        for batch in source.batches(rng):
            x = np.asarray(batch.table.column("a"))[:, None]
            yield Rows(x, x)

    blocks, found = RereadRows(make, SORTED, 8, 8 * BLOCK), []
    for number in range(count):
        with blocks.epoch(number, 0, 10) as made:
            found.append(np.array([block.x[:, 0] for block in made]))
    return np.array(found)  # (epochs, blocks, rows)


@pytest.mark.parametrize("kind", ["row groups", "parts of row groups", "partitions"])
def test_blocks_of_what_has_parts_are_like_all_rows(ordered, kind, tmp_path, monkeypatch):
    """The mean of a block of B rows in pieces of P, drawn from a sorted table without return, has a
    standard deviation of at most that of the values times sqrt(P / B); and the places of SORTED / P
    pieces in two epochs have a correlation whose standard deviation is 1 / sqrt(SORTED / P - 1)."""
    if kind == "partitions":
        dask = pytest.importorskip("dask.dataframe")
        source = source_of(dask.from_pandas(ordered.to_pandas(), npartitions=SORTED // PIECE))
    else:
        monkeypatch.setattr(parquet_files, "ROWS_MIXED", PIECE if kind == "row groups" else 8)
        source = source_of(tmp_path)
    found = epochs(source, 2 if kind == "partitions" else 5)  # Dask takes 10 ms for each
    assert all(np.array_equal(np.sort(one.ravel()), np.arange(SORTED)) for one in found)
    means, sd = found.mean(axis=2).ravel(), np.std(np.arange(SORTED))
    spread = sd * np.sqrt(PIECE / BLOCK)
    assert abs(means - (SORTED - 1) / 2).max() < 4 * spread
    assert 0.5 * spread < means.std() < 1.2 * spread
    first, second = (np.argsort(one.ravel()) for one in found[:2])
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(SORTED / PIECE - 1)
    # the rows of one block are from all over, and mostly others than in the epoch before
    assert found.std(axis=2).min() > 0.5 * sd
    assert max(len(np.intersect1d(found[0, 0], block)) for block in found[1]) < BLOCK / 2


def test_blocks_of_what_has_an_order_have_the_same_rows_in_each_epoch(ordered):
    """They are shuffled within the window only, as docs/streaming.md says."""
    found = epochs(source_of(lambda: ordered), 2)
    assert np.array_equal(found[0], np.arange(SORTED).reshape(-1, BLOCK))
    assert np.array_equal(found[1], found[0])

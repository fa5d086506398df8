"""Parquet files: random order, files that change or break, and columns that differ."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from backhand import InputError
from backhand.datasets import source as module
from backhand.datasets.sources import source_of
from backhand.preprocess import arrow

N = 1000
TABLE = pa.table({"a": np.arange(N), "b": [f"v{i % 5}" for i in range(N)]})


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        part = TABLE.slice(250 * number, 250)
        pq.write_table(part, tmp_path / f"{number}.parquet", row_group_size=100)
    return tmp_path


def numbers(source, rng=None):
    return np.concatenate([batch.numbers for batch in source.batches(rng)])


def test_row_groups_come_in_an_order_that_the_generator_decides(folder):
    source = source_of(folder)
    assert source.length == N
    one, again, other = (numbers(source, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(np.sort(one), np.arange(N))
    for batch in source.batches(np.random.default_rng(1)):
        assert np.array_equal(np.asarray(batch.table.column("a")), batch.numbers)


def test_row_groups_are_read_a_few_rows_at_a_time(folder, monkeypatch):
    monkeypatch.setattr("backhand.datasets.parquet_files.ROWS", 30)
    monkeypatch.setattr("backhand.datasets.parquet_files.ROWS_MIXED", 7)
    source, rng = source_of(folder), np.random.default_rng(0)
    assert max(len(batch.numbers) for batch in source.batches()) == 30
    mixed = [batch.numbers for batch in source.batches(rng)]
    assert max(map(len, mixed)) == 7
    # eight groups of 100 rows come in turns
    assert len({int(some[0]) // 250 * 250 + int(some[0]) % 250 // 100 for some in mixed[:30]}) >= 6
    assert module.ROWS >= 1 << 16


def test_messages_have_the_rows_number_in_its_file(folder):
    *_, last = source_of(folder).batches()
    assert last.where.endswith("3.parquet")
    assert arrow.row_number(last.table, 0) == 201  # counted from 1, as elsewhere


def test_empty_row_groups_and_files_are_no_fault(folder):
    with pq.ParquetWriter(folder / "4.parquet", TABLE.schema) as writer:
        writer.write_table(TABLE.slice(0, 0))
        writer.write_table(TABLE.slice(0, 10))
        writer.write_table(TABLE.slice(0, 0))
    pq.write_table(TABLE.slice(0, 0), folder / "5.parquet")
    assert len(numbers(source_of(folder))) == N + 10


def test_a_column_of_another_type_names_its_file(folder):
    pq.write_table(pa.table({"a": ["x"], "b": ["y"]}), folder / "2.parquet")
    with pytest.raises(InputError, match=r"2\.parquet: column 'a' holds string, and .*0\.parquet"):
        source_of(folder)
    pq.write_table(pa.table({"b": ["y"]}), folder / "2.parquet")
    with pytest.raises(InputError, match=r"2\.parquet: has no column 'a', and others have one"):
        source_of(folder)


def test_numbers_of_other_sizes_are_numbers(folder):
    pq.write_table(pa.table({"a": pa.array([1.5]), "b": ["y"]}), folder / "2.parquet")
    assert len(numbers(source_of(folder))) == N - 250 + 1


def test_a_file_that_changes_between_passes_names_itself(folder):
    source = source_of(folder)
    numbers(source)
    pq.write_table(TABLE.slice(0, 250), folder / "2.parquet", row_group_size=100)
    with pytest.raises(InputError, match=r"2\.parquet: has changed since it was first read"):
        numbers(source)


def test_a_file_that_changes_while_it_is_read_names_itself(folder):
    source = source_of(folder)
    reading = source.batches()
    next(reading)
    os.utime(folder / "0.parquet", (1, 1))
    with pytest.raises(InputError, match=r"0\.parquet: has changed since it was first read"):
        list(reading)


def test_a_file_that_vanishes_names_itself(folder):
    source = source_of(folder)
    os.unlink(folder / "1.parquet")
    with pytest.raises(InputError, match=r"1\.parquet: has changed"):
        numbers(source)


@pytest.mark.parametrize("place", [0, 2])
def test_a_damaged_file_names_itself(folder, place):
    path = folder / f"{place}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=rf"{place}\.parquet: is not a readable Parquet file"):
        source_of(folder)


def test_damaged_pages_name_their_file(folder):
    path = folder / "1.parquet"
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"1\.parquet: is not a readable Parquet file"):
        numbers(source_of(folder))


def test_names_of_folders_are_columns(tmp_path):
    for year in (2024, 2025):
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(TABLE.slice(0, 100), tmp_path / f"year={year}" / "a.parquet")
    source = source_of(tmp_path, filter=pc.field("year") == 2025)
    (batch,) = source.batches()
    assert set(batch.table.column("year").to_pylist()) == {2025}
    assert source.names == ["a", "b", "year"]


@pytest.mark.parametrize("place", ["a.parquet", "z.parquet", "year=2024/month=1/a.parquet"])
def test_a_file_outside_of_folders_that_name_a_column_is_named(tmp_path, place):
    inside = [tmp_path / f"year={year}" / "a.parquet" for year in (2024, 2025)]
    for path in (*inside, tmp_path / place):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(TABLE.slice(0, 100), path)
    odd, name = (inside[0], "month") if "month" in place else (tmp_path / place, "year")
    with pytest.raises(InputError, match=rf"{odd}: is in no folder {name}=\.\.\., and others are"):
        source_of(tmp_path)


def test_a_folder_of_rows_without_a_value_is_one_as_the_others(tmp_path):
    for year in ("2024", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(TABLE.slice(0, 100), tmp_path / f"year={year}" / "a.parquet")
    found = [batch.table.column("year").to_pylist() for batch in source_of(tmp_path).batches()]
    assert found == [[2024] * 100, [None] * 100]


def test_columns_that_cannot_be_used_are_marked_and_not_read(tmp_path):
    pq.write_table(pa.table({"a": [1, 2], "l": [[1], [2, 3]]}), tmp_path / "a.parquet")
    (batch,) = source_of(tmp_path).batches()
    assert not arrow.is_usable_column(batch.table, "l")
    assert arrow.type_of(batch.table, "l").startswith("list")

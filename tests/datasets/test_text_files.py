"""Text that is streamed: cells as they are written, rows with their numbers, files that change."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest

from backhand import InputError
from backhand.datasets.sources import source_of
from backhand.preprocess import arrow, cells


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.csv").write_text("code;price\n007;1,5\n008;2,5\n")
    (tmp_path / "b.tsv").write_text("price\tcode\n3,5\t009\n")
    return tmp_path


def test_cells_are_text_and_columns_are_found_by_name(folder):
    first, second = source_of(folder).batches()
    assert first.table.to_pydict() == {"code": ["007", "008"], "price": ["1,5", "2,5"]}
    assert second.table.to_pydict() == {"code": ["009"], "price": ["3,5"]}
    assert [*first.numbers, *second.numbers] == [0, 1, 2]
    assert arrow.row_number(first.table, 1) == 3  # the header is the first
    assert cells.numbers(first.table, "price", cells.look(first.table, "price"))[1] == 2.5


def test_rows_of_long_files_keep_their_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("backhand.datasets.source.ROWS", 100)
    (tmp_path / "a.csv").write_text("x\n" + "".join(f"{i}\n" for i in range(1050)))
    batches = [*source_of(tmp_path / "a.csv").batches()]
    assert len(batches) == 11
    assert np.concatenate([b.numbers for b in batches]).tolist() == [*range(1050)]
    assert arrow.row_number(batches[3].table, 7) == 309


def test_packed_files_are_read(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x,y\n1,2\n"))
    (batch,) = source_of(tmp_path).batches()
    assert batch.table.to_pydict() == {"x": ["1"], "y": ["2"]}


def test_decimals_and_separators_may_be_named(tmp_path):
    (tmp_path / "a.csv").write_text("x|y\n1,234|a\n")
    (batch,) = source_of(tmp_path, separator="|", decimal=",").batches()
    assert cells.numbers(batch.table, "x")[0] == 1.234


def test_a_file_without_a_column_names_itself(folder):
    (folder / "c.csv").write_text("code\n1\n")
    with pytest.raises(InputError, match=r"c\.csv: has no column 'price', and .*a\.csv has one"):
        source_of(folder)


def test_a_ragged_row_names_file_and_row(folder):
    (folder / "a.csv").write_text("code;price\n007;1\n" * 1 + "008;2;3\n")
    with pytest.raises(InputError, match=r"a\.csv, row 3: has 3 values, the header names 2"):
        list(source_of(folder).batches())


def test_a_file_that_changes_names_itself(folder):
    source = source_of(folder)
    os.utime(folder / "b.tsv", (1, 1))
    with pytest.raises(InputError, match=r"b\.tsv: has changed since it was first read"):
        list(source.batches())

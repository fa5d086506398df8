from __future__ import annotations

import pytest

from backhand.cli.describe import names

from .conftest import write_csv


def lines_of(out):
    return {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line}


def test_how_columns_would_be_treated(backhand, people):
    code, out, err = backhand("describe", people[1], "--target", "label")
    assert (code, err) == (0, "")
    first, second = out.splitlines()[:2]
    assert first == "300 rows; classification of 'label'; classes no, yes"
    assert second.startswith("columns: 2 of numbers, 2 of categories, as 8 inputs (2 columns with")
    rows = lines_of(out)
    assert rows["city"].startswith("city text one-hot of 3 values")
    assert rows["unit"] == "unit text left out constant in the training rows"
    assert "label" not in rows


def test_without_a_target(backhand, people):
    code, out, _ = backhand("describe", people[1])
    assert code == 0
    assert out.splitlines()[0] == "300 rows"
    assert lines_of(out)["label"].startswith("label text -1 or 1 ")


def test_a_regression_and_its_rows_without_a_target(backhand, people, tmp_path):
    columns, _ = people
    file = write_csv(tmp_path / "gaps.csv", {**columns, "income": ["", *columns["income"][1:]]})
    code, out, err = backhand("describe", file, "--target", "income")
    assert code == 0
    assert out.startswith("299 rows; regression of 'income'; ")
    assert "1 row" in err


def test_drop_and_keep(backhand, tmp_path):
    table = {"id": range(40), "a": [i % 7 for i in range(40)], "b": [i % 3 for i in range(40)]}
    file = write_csv(tmp_path / "t.csv", {k: list(v) for k, v in table.items()})
    rows = lines_of(backhand("describe", file)[1])
    assert rows["id"] == "id numbers left out row numbers; to use it, name it to keep"
    rows = lines_of(backhand("describe", file, "--keep", "id", "--drop", "a, b")[1])
    assert rows["id"].startswith("id numbers number, robustly scaled")
    assert rows["a"] == "a left out as asked"
    assert rows["b"] == "b left out as asked"
    code, _, err = backhand("describe", file, "--drop", "bb")
    assert (code, err) == (2, "error: no column 'bb' to drop or keep: did you mean 'b'?\n")


def test_how_cells_are_written(backhand, tmp_path):
    file = tmp_path / "t.csv"
    file.write_bytes("größe|zahl\n1,5|1\n2,25|2\n1.000,5|4\n".encode("latin-1"))
    words = "--separator", "|", "--decimal", ",", "--encoding", "latin-1"
    rows = lines_of(backhand("describe", file, *words)[1])
    assert rows["größe"].startswith("größe numbers (decimal comma")
    assert "1.5 to 1000" in rows["größe"].replace("1.5 to 1001", "1.5 to 1000")


def test_a_task_needs_a_target(backhand, people):
    code, _, err = backhand("describe", people[1], "--task", "regression")
    assert code == 2
    assert "--target" in err


@pytest.mark.parametrize(("text", "found"), [("", []), ("a", ["a"]), (" a b ,c,", ["a b", "c"])])
def test_names(text, found):
    assert names(text) == found

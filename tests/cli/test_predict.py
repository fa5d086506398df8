from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from .conftest import write_csv

pytest.importorskip("pyarrow", reason="the extra `table` is not installed")


def read(text, delimiter=","):
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


@pytest.fixture
def model(backhand, people, tmp_path):
    assert backhand("train", people[1], "--target", "label", "--out", "run")[0] == 0
    return tmp_path / "run" / "model.safetensors"


def test_a_table_trains_predicts_and_round_trips(backhand, people, model, tmp_path):
    columns, file = people
    code, out, _ = backhand("predict", model, file)
    assert code == 0
    answers = read(out)
    right = [a["prediction"] == t for a, t in zip(answers, columns["label"], strict=True)]
    assert np.mean(right) > 0.85
    for answer in answers[:5]:
        total = float(answer["probability no"]) + float(answer["probability yes"])
        assert total == pytest.approx(1, abs=1e-5)


def test_columns_in_any_order_and_more_of_them(backhand, people, model, tmp_path):
    columns, file = people
    want = backhand("predict", model, file)[1]
    mixed = {"extra": ["?"] * 300} | {k: columns[k] for k in ("income", "smokes", "city", "age")}
    got = backhand("predict", model, write_csv(tmp_path / "mixed.csv", mixed))[1]
    assert got == want


def test_a_missing_or_misspelt_column_is_named(backhand, people, model, tmp_path):
    columns, _ = people
    misspelt = {("cty" if k == "city" else k): v for k, v in columns.items()}
    code, _, err = backhand("predict", model, write_csv(tmp_path / "m.csv", misspelt))
    assert code == 2
    assert "'city' is missing" in err
    assert "'cty'" in err


def test_unseen_values_are_predicted_too(backhand, people, model, tmp_path):
    columns, _ = people
    strange = {**columns, "city": ["Atlantis"] * 300, "age": [""] * 300}
    code, out, _ = backhand("predict", model, write_csv(tmp_path / "s.csv", strange))
    assert code == 0
    assert len(read(out)) == 300


def test_files_out(backhand, people, model, tmp_path):
    want = backhand("predict", model, people[1])[1]
    for name, delimiter in (("out.csv", ","), ("out.tsv", "\t")):
        assert backhand("predict", model, people[1], "-o", name)[0] == 0
        assert read((tmp_path / name).read_text(), delimiter) == read(want)
    assert backhand("predict", model, people[1], "-o", "out.parquet")[0] == 0
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.column("prediction").to_pylist() == [row["prediction"] for row in read(want)]
    code, _, err = backhand("predict", model, people[1], "-o", "out.xls")
    assert code == 2
    assert ".csv" in err


def test_pixels_come_as_an_array(backhand, tmp_path):
    from sklearn.datasets import load_digits

    backhand("train", "digits", "--out", "run")
    digits = load_digits()
    np.save(tmp_path / "pixels.npy", digits.data)
    code, out, _ = backhand("predict", "run/model.safetensors", "pixels.npy")
    assert code == 0
    right = [int(a["prediction"]) == t for a, t in zip(read(out), digits.target, strict=True)]
    assert np.mean(right) > 0.97
    (tmp_path / "x.csv").write_text("a\n1\n")
    code, _, err = backhand("predict", "run/model.safetensors", "x.csv")
    assert code == 2
    assert ".npy" in err
    np.save(tmp_path / "narrow.npy", digits.data[:, :9])
    assert backhand("predict", "run/model.safetensors", "narrow.npy")[0] == 2
    (tmp_path / "bad.npy").write_bytes(b"garbage")
    assert backhand("predict", "run/model.safetensors", "bad.npy")[0] == 2

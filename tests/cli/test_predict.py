from __future__ import annotations

import csv
import io
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backhand import MLPClassifier, MLPRegressor, Model, Network, load
from backhand.cli import answers
from backhand.datasets import source

from .conftest import write_csv


def read(text, delimiter=","):
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


@pytest.fixture
def model(backhand, people, tmp_path):
    words = "--target", "label", "--hidden", "256", "--out", "run"
    assert backhand("train", people[1], *words)[0] == 0
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


def test_a_file_may_be_written_in_another_way(backhand, tmp_path):
    rng = np.random.default_rng(0)
    x = [f"{v:.2f}" for v in rng.normal(size=200)]
    kinds = ["café" if float(v) > 0 else "thé" for v in x]
    rows = [f"{v}|{kind}" for v, kind in zip(x, kinds, strict=True)]
    (tmp_path / "point.csv").write_text("x|kind\n" + "\n".join(rows), encoding="utf-8")
    comma = "\n".join(row.replace(".", ",").replace("|", "\t") for row in rows)
    (tmp_path / "comma.csv").write_text("x\tkind\n" + comma, encoding="cp1252")
    options = ("--decimal", ",", "--encoding", "cp1252", "--separator", "tab")
    done = backhand(
        "train", "comma.csv", "--target", "kind", "--epochs", "5", "--out", "r", *options
    )
    assert done[0] == 0
    code, out, err = backhand("predict", "r", "comma.csv", *options)
    assert (code, err) == (0, "")
    assert backhand("predict", "r", "point.csv", "--decimal", ".") == (0, out, "")
    # Not told, a comma is the model's decimal mark, and a point is none.
    told = backhand("predict", "r", "point.csv")[2]
    assert f"200 cells are not a number with a decimal comma (the first in row 2: '{x[0]}')" in told
    code, _, err = backhand("predict", "r", "comma.csv")
    assert code == 2
    assert "--encoding" in err
    np.save(tmp_path / "x.npy", np.zeros((2, 64)))
    backhand("train", "digits", "--epochs", "1", "--out", "d")
    code, _, err = backhand("predict", "d", "x.npy", "--separator", ";")
    assert code == 2
    assert "leave out --separator" in err


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
    code, out, err = backhand("predict", model, write_csv(tmp_path / "s.csv", strange))
    assert code == 0
    assert err == (
        "warning: column 'city': none of its 300 values was seen in training ('Atlantis')\n"
    )
    assert len(read(out)) == 300


def test_files_out(backhand, people, model, tmp_path):
    want = backhand("predict", model, people[1])[1]
    for name, delimiter in (("out.csv", ","), ("out.tsv", "\t")):
        done = backhand("predict", model.parent, people[1], "-o", name)
        assert done == (0, "", f"300 predictions: {name}\n")
        assert read((tmp_path / name).read_text(), delimiter) == read(want)
    assert backhand("predict", model, people[1], "-o", "out.parquet")[0] == 0
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.column("prediction").to_pylist() == [row["prediction"] for row in read(want)]
    for name, said in (("out.xls", ".csv"), (people[1], "overwrite")):
        before = set(tmp_path.rglob("*"))
        code, _, err = backhand("predict", model, people[1], "-o", name)
        assert code == 2
        assert said in err
        assert set(tmp_path.rglob("*")) == before
    assert backhand("predict", model, people[1])[1] == want


def test_tables_of_every_format_give_the_same(backhand, people, model, tmp_path):
    import pyarrow.csv
    import pyarrow.parquet

    table = pyarrow.csv.read_csv(people[1])
    tabs = pyarrow.csv.WriteOptions(delimiter="\t")
    pyarrow.csv.write_csv(table, tmp_path / "people.tsv", tabs)
    pyarrow.parquet.write_table(table, tmp_path / "people.parquet")
    want = backhand("predict", model, people[1])[1]
    for name in ("people.tsv", "people.parquet"):
        assert backhand("predict", model, name) == (0, want, "")
        backhand("train", name, "--target", "label", "--hidden", "256", "--out", f"run_{name}")
        again = backhand("predict", tmp_path / f"run_{name}" / "model.safetensors", people[1])
        assert again == (0, want, "")


@pytest.fixture
def pieces(people, tmp_path):
    """The same rows as a folder of files."""
    lines = people[1].read_text().splitlines(keepends=True)
    (tmp_path / "pieces").mkdir()
    for number in range(3):
        text = "".join([lines[0], *lines[1 + 100 * number : 101 + 100 * number]])
        (tmp_path / "pieces" / f"{number}.csv").write_text(text)
    return tmp_path / "pieces"


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_folder_is_predicted_as_one_table(backhand, people, model, pieces, tmp_path, suffix):
    words = ("--key", "city", "-o")
    backhand("predict", model, people[1], *words, f"one{suffix}")
    done = backhand("predict", model, pieces, *words, f"many{suffix}")
    assert done == (0, "", f"300 predictions: many{suffix}\n")
    one, many = ((tmp_path / f"{name}{suffix}") for name in ("one", "many"))
    if suffix == ".parquet":
        assert pq.read_table(one).equals(pq.read_table(many))
    else:
        assert one.read_bytes() == many.read_bytes()


def test_a_large_file_is_read_a_few_rows_at_a_time(backhand, people, model, monkeypatch):
    want = backhand("predict", model, people[1])
    monkeypatch.setattr(answers, "STREAMED", 0)
    monkeypatch.setattr(source, "ROWS", 70)
    assert backhand("predict", model, people[1]) == want


def test_a_folder_to_write_to_that_is_not_there(backhand, people, model):
    code, _, err = backhand("predict", model, people[1], "-o", "none/out.csv")
    assert code == 2
    assert err == "error: cannot write none/out.csv: make the folder none first\n"


def test_what_is_wrong_in_a_folder_names_the_file(backhand, model, pieces, tmp_path):
    strange = (pieces / "1.csv").read_text().replace("Rome", "Atlantis").replace("Oslo", "Utopia")
    (pieces / "1.csv").write_text(strange.replace("Paris", "Eden"))
    code, _, err = backhand("predict", model, pieces, "-o", "out.csv")
    assert code == 0
    assert err.count("warning: ") == 1
    assert "1.csv: column 'city': none of its " in err
    (pieces / "2.csv").write_text((pieces / "2.csv").read_text() + "1\n")
    before = (tmp_path / "out.csv").read_bytes()
    code, _, err = backhand("predict", model, pieces, "-o", "out.csv")
    assert code == 2
    assert "2.csv, row 102: has 1 values" in err
    assert (tmp_path / "out.csv").read_bytes() == before
    code, _, err = backhand("predict", model, pieces, "-o", "pieces/out.csv")
    assert code == 2
    assert "in the folder that is read: name a file elsewhere" in err
    assert len([*pieces.iterdir()]) == 3


def test_regression_predicts_in_the_targets_unit(backhand, people, tmp_path):
    words = "--target", "income", "--hidden", "256", "--out", "run"
    assert backhand("train", people[1], *words)[0] == 0
    code, out, _ = backhand("predict", "run/model.safetensors", people[1])
    assert code == 0
    got = [float(row["prediction"]) for row in read(out)]
    error = np.subtract(got, people[0]["income"])
    assert np.sqrt(np.mean(error**2)) < 250  # of values around 3,000


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


def test_arrays_that_are_refused(backhand, tmp_path):
    backhand("train", "digits", "--epochs", "1", "--hidden", "4", "--out", "run")
    images = np.zeros((2, 8, 8))
    np.save(tmp_path / "images.npy", images)
    code, out, _ = backhand("predict", "run/model.safetensors", "images.npy")
    assert code == 0
    assert len(read(out)) == 2
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 64), }\n"
    with open(tmp_path / "archive.npy", "wb") as file:
        np.savez(file, a=images)
    wrong = {
        "huge": b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64),
        "garbage": b"garbage",
        "empty": b"",
    }
    for name, content in wrong.items():
        (tmp_path / f"{name}.npy").write_bytes(content)
    np.save(tmp_path / "narrow.npy", np.zeros((3, 9)))
    np.save(tmp_path / "row.npy", np.zeros(64))
    np.save(tmp_path / "none.npy", np.zeros((0, 64)))
    np.save(tmp_path / "nan.npy", np.full((2, 64), np.nan))
    np.save(tmp_path / "text.npy", np.full((2, 64), "a"))
    np.save(tmp_path / "objects.npy", np.array([[1, "a"]], dtype=object), allow_pickle=True)
    (tmp_path / "folder.npy").mkdir()
    names = ("narrow", "row", "none", "nan", "text", "objects", "folder", "archive", *wrong)
    for name in (*names, "missing"):
        code, out, err = backhand("predict", "run/model.safetensors", f"{name}.npy", "-o", "o.csv")
        assert (code, out) == (2, ""), name
        assert err.startswith("error: "), name
        assert len(err.splitlines()) == 1, name
    assert not (tmp_path / "o.csv").exists()


def test_a_damaged_array_is_refused_in_one_line(backhand, tmp_path):
    network = Network((6, 5, 2), loss="softmax_cross_entropy")
    params = network.init("kaiming_normal")
    model = tmp_path / "m.safetensors"
    Model(network, params, "classification", classes=[0, 1]).save(model)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "whole.npy", np.zeros((4, 6)))
    np.save(tmp_path / "texts.npy", np.full((4, 6), "x"))
    np.save(tmp_path / "scalar.npy", np.float64(3))
    np.save(tmp_path / "cube.npy", np.zeros((4, 6, 1)))
    whole = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / "bracket.npy").write_bytes(whole.replace(b"(4, 6)", b"(4, 6 ", 1))
    for name in ("texts", "scalar", "cube", "bracket"):
        code, out, err = backhand("predict", model, tmp_path / f"{name}.npy")
        assert (code, out, err.count("\n")) == (2, "", 1), name
    for _ in range(150):
        content = bytearray(whole)
        for place in rng.integers(128, size=3):
            content[place] = rng.integers(256)
        (tmp_path / "x.npy").write_bytes(content)
        code, _, err = backhand("predict", model, tmp_path / "x.npy")
        assert code in (0, 2)
        assert err.count("\n") == (code == 2)


BLANK = {"quotes": 'dose\n1\n""\n3\n', "empty": "dose\n1\n\n3\n", "last": "dose\n1\n3\n\n"}


@pytest.mark.parametrize("text", BLANK.values(), ids=BLANK)
def test_a_row_without_values_is_predicted_in_its_place(backhand, tmp_path, text):
    x = np.linspace(-1, 1, 50)
    table = write_csv(tmp_path / "t.csv", {"dose": x.tolist(), "effect": (2 * x).tolist()})
    backhand("train", table, "--target", "effect", "--epochs", "1", "--out", "run")
    (tmp_path / "new.csv").write_text(text)
    values = [None if value in ("", '""') else float(value) for value in text.split("\n")[1:-1]]
    pq.write_table(pa.table({"dose": values}), tmp_path / "new.parquet")
    model = tmp_path / "run" / "model.safetensors"
    code, out, err = backhand("predict", model, tmp_path / "new.csv")
    assert (code, err) == (0, "")
    assert len(read(out)) == 3
    assert backhand("predict", model, tmp_path / "new.parquet")[1] == out


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_labels_go_through_any_pipe_as_utf_8(backhand, tmp_path, encoding):
    labels = ["сыр", "茶"] * 30
    table = tmp_path / "t.csv"
    table.write_text("x,kind\n" + "".join(f"{i % 7},{k}\n" for i, k in enumerate(labels)), "utf-8")
    words = [sys.executable, "-m", "backhand"]
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    train = ["train", table, "--target", "kind", "--epochs", "1", "--out", tmp_path / "run"]
    done = subprocess.run([*words, *train], capture_output=True, env=env, check=True)
    assert done.stderr == b""
    predict = ["predict", tmp_path / "run" / "model.safetensors", table]
    done = subprocess.run([*words, *predict], capture_output=True, env=env, check=True)
    assert done.stderr == b""
    assert {row["prediction"] for row in read(done.stdout.decode())} <= {"сыр", "茶"}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_file_of_an_estimator_predicts_too(backhand, tmp_path):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.standard_normal((30, 3)), columns=["a", "b", "c"])
    named = MLPClassifier((4,), max_iter=3, batch_size=8).fit(X, X["a"] > 0)
    named.save(tmp_path / "named.safetensors")
    X[["c", "a", "b"]].to_csv(tmp_path / "x.csv", index=False)
    code, out, err = backhand("predict", tmp_path / "named.safetensors", tmp_path / "x.csv")
    assert (code, err) == (0, "")
    answers = read(out)
    assert [a["prediction"] for a in answers] == list(map(str, named.predict(X)))
    p = [[float(a[f"probability {k}"]) for k in named.classes_] for a in answers]
    np.testing.assert_allclose(p, named.predict_proba(X), atol=1e-6)
    several = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3).fit(X.to_numpy(), X[["a", "b"]])
    several.save(tmp_path / "several.safetensors")
    np.save(tmp_path / "x.npy", X.to_numpy())
    X.to_csv(tmp_path / "x.csv", index=False)
    for file in ("x.npy", "x.csv"):
        code, out, _ = backhand("predict", tmp_path / "several.safetensors", tmp_path / file)
        found = [[float(a["prediction 1"]), float(a["prediction 2"])] for a in read(out)]
        np.testing.assert_allclose(found, several.predict(X.to_numpy()), rtol=1e-5)
    X.drop(columns="b").to_csv(tmp_path / "less.csv", index=False)
    for model, said in (("named", "column 'b' is missing"), ("several", "has 2 columns; the")):
        code, _, err = backhand("predict", tmp_path / f"{model}.safetensors", tmp_path / "less.csv")
        assert code == 2
        assert said in err


def test_every_row_has_a_prediction_and_its_key(backhand, people, tmp_path):
    words = "--target", "label", "--preset", "fast", "--members", "1", "--out", "run"
    backhand("train", people[1], *words)
    lines = people[1].read_text().splitlines()
    lines[0] = f"code,{lines[0]}"
    rows = [f"{i:04d},{line}" for i, line in enumerate(lines[1:9])]
    rows[3], rows[5] = "", "0005,,,,,,"  # nothing at all, and nothing but a key
    (tmp_path / "new.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    code, out, _ = backhand("predict", "run", "new.csv", "--key", "code", "--key", "city,age")
    assert code == 0
    answers = read(out)
    assert list(answers[0])[:4] == ["code", "city", "age", "prediction"]
    assert [a["code"] for a in answers] == [
        "0000",
        "0001",
        "0002",
        "",
        "0004",
        "0005",
        "0006",
        "0007",
    ]
    assert [a["city"] for a in answers[:3]] == people[0]["city"][:3]
    assert answers[3]["prediction"] == answers[5]["prediction"]
    assert all(a["prediction"] in ("yes", "no") for a in answers)
    model = load(tmp_path / "run" / "model.safetensors")
    one = {n: values[7] or None for n, values in people[0].items()}
    assert answers[7]["prediction"] == model.predict(one)[0]
    assert float(answers[7]["probability yes"]) == pytest.approx(
        model.predict_proba(one)[0, 1], abs=1e-6
    )


def test_keys_of_parquet_keep_their_digits(backhand, people, tmp_path):
    words = "--target", "label", "--hidden", "4", "--epochs", "1", "--out", "run"
    backhand("train", people[1], *words)
    columns = {n: [v or None for v in values[:3]] for n, values in people[0].items()}
    keys = [12345678.25, None, 0.1]
    pq.write_table(pa.table({**columns, "key": keys}), tmp_path / "new.parquet")
    code, out, _ = backhand("predict", "run", "new.parquet", "--key", "key")
    assert code == 0
    assert [a["key"] for a in read(out)] == ["12345678.25", "", "0.1"]
    assert backhand("predict", "run", "new.parquet", "--key", "key", "-o", "o.parquet")[0] == 0
    assert pq.read_table(tmp_path / "o.parquet").column("key").to_pylist() == keys


def test_an_interval_is_that_of_the_model(backhand, people, tmp_path):
    words = "--target", "income", "--preset", "fast", "--members", "1", "--out", "run"
    backhand("train", people[1], *words)
    code, out, _ = backhand("predict", "run", people[1], "--interval", "0.8")
    assert code == 0
    half = load(tmp_path / "run" / "model.safetensors").model_.half_width(0.8)
    for answer in read(out):
        low, value, high = (float(answer[name]) for name in ("low", "prediction", "high"))
        # seven digits of numbers up to 10,000
        assert (value - low, high - value) == pytest.approx((half, half), abs=2e-3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--key", "citi"), ("--key citi", "did you mean 'city'")),
        (("--key", "prediction"), ("--key prediction", "rename")),
        (("--interval", "0.9"), ("--interval", "classes")),
        (("--interval", "90"), ("--interval 90", "classes")),
    ],
)
def test_keys_and_intervals_that_make_no_sense(backhand, people, tmp_path, words, said):
    backhand(
        "train", people[1], "--target", "label", "--preset", "fast", "--members", "1", "--out", "r"
    )
    columns = {**people[0], "prediction": people[0]["age"]}
    code, _, err = backhand("predict", "r", write_csv(tmp_path / "new.csv", columns), *words)
    assert code == 2
    for word in said:
        assert word in err

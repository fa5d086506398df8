from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from backhand import load
from backhand.cli import train_table
from backhand.cli.table_rows import TableRows
from backhand.errors import InputError
from backhand.tabular import TabularClassifier, training
from backhand.train.result import DivergedError

from .conftest import write_csv

FAST = "--preset", "fast", "--members", "1"


def run_of(folder):
    return json.loads((folder / "run.json").read_text())


def test_a_table_trains_an_ensemble_on_all_rows(backhand, people, tmp_path):
    columns, file = people
    code, out, err = backhand(
        "train", file, "--target", "label", "--preset", "fast", "--out", "run"
    )
    assert code == 0
    assert "unit" in err
    share = columns["label"].count("yes") / 300
    assert out.splitlines()[0] == (
        f"{file}: classification of 'label' (inferred; --task decides), 300 rows: "
        f"no {1 - share:.1%}, yes {share:.1%}"
    )
    assert re.search("^city +text +one-hot of 3 values ", out, re.M)
    assert re.search("^unit +text +left out ", out, re.M)
    assert len(re.findall("^[12]  +(?:periodic|piecewise linear) ", out, re.M)) == 2
    assert "120 rows held out" in out
    assert "baseline: always " in out
    assert out.splitlines()[-1] == "model: run/model.safetensors"
    folder = tmp_path / "run"
    names = ["history.jsonl", "model.safetensors", "run.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    record, model = run_of(folder), load(folder / "model.safetensors")
    assert model.model_.target == "label"
    assert model.model_.about["rows"] == 300
    assert f"{record['scores']['held_out']['accuracy']:.4f}" in out
    assert record["options"]["preset"] == "fast"
    assert {row["column"] for row in record["columns"]} == set(columns) - {"label"}
    assert sum(map(sum, record["details"]["held_out"]["confusion"])) == 120
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    for place, network in enumerate(record["networks"], start=1):
        assert sum(line["network"] == place for line in history) == network["epochs"]
    # names of text go through the file and back
    table = {n: [None if v == "" else v for v in values] for n, values in columns.items()}
    assert accuracy_score(columns["label"], model.predict(table)) > 0.9


def test_the_recorded_command_gives_the_same_model_again(backhand, people, tmp_path):
    words = "--drop", "unit,smokes", "--seed", "7", "--metric", "accuracy", *FAST
    backhand("train", people[1], "--target", "label", *words, "--out", "one")
    command = shlex.split(run_of(tmp_path / "one")["command"])
    assert command[:2] == ["backhand", "train"]
    backhand(*command[1:], "--out", "two")
    one, two = ((tmp_path / n / "model.safetensors").read_bytes() for n in ("one", "two"))
    assert one == two
    assert {c.name for c in load("one/model.safetensors").model_.preparation.left_out} == {
        "unit",
        "smokes",
    }


def test_regression_and_rows_to_test_by(backhand, people, tmp_path):
    columns = people[0]
    write_csv(tmp_path / "a.csv", {n: v[:220] for n, v in columns.items()})
    write_csv(tmp_path / "b.csv", {n: v[220:] for n, v in columns.items()})
    words = "--target", "income", "--test", "b.csv", *FAST, "--out", "run"
    code, out, _ = backhand("train", "a.csv", *words)
    assert code == 0
    assert "b.csv:\n80 test rows" in out
    assert "intervals: 90 % of values are within ± " in out
    record = run_of(tmp_path / "run")
    assert record["scores"]["test"]["R2"] > 0.5  # the mean has 0
    code, said, _ = backhand("evaluate", "run", "b.csv", "--json", "-")
    values = {score["name"]: score["value"] for score in json.loads(said)["scores"]}
    assert values["R2"] == record["scores"]["test"]["R2"]


def test_cross_validation_comes_first(backhand, people):
    words = "--target", "label", *FAST, "--cv", "3", "--metric", "f1", "--out", "run"
    code, out, _ = backhand("train", people[1], *words)
    assert code == 0
    lines = out.splitlines()
    at = lines.index("cross-validation, 3 parts of the rows:")
    head = lines[at + 1].split()
    assert head[:3] == ["part", "rows", "accuracy"]
    assert " ".join(head).endswith("f1 of yes")
    parts = [line.split() for line in lines[at + 2 : at + 5]]
    assert [part[:2] for part in parts] == [["1", "100"], ["2", "100"], ["3", "100"]]
    accuracy = [float(part[2]) for part in parts]
    mean, sd = lines[at + 5].split(), lines[at + 6].split()
    assert mean[0] == "mean"
    assert float(mean[1]) == pytest.approx(np.mean(accuracy), abs=1e-4)
    assert sd[:2] == ["±", "sd"]
    assert float(sd[2]) == pytest.approx(np.std(accuracy, ddof=1), abs=1e-4)
    assert lines[-1] == "model: run/model.safetensors"


def test_a_class_that_a_part_does_not_learn_has_probability_0():
    table = write_table(["a"] * 30 + ["b"] * 29 + ["c"])
    estimator = TabularClassifier("fast", n_members=1, random_state=0)
    rows = np.arange(59)
    train_table._fit(estimator, table, rows, [])
    assert estimator.classes_.tolist() == ["a", "b"]
    answers, y = train_table._known(estimator, table, np.array([0, 30, 59]))
    assert y.tolist() == [0, 1, 2]
    assert (answers.predictions[:, 2] == 0).all()
    assert (answers.chosen == answers.predictions.argmax(axis=1)).all()


def write_table(labels):
    import pyarrow as pa

    x = [{"a": 0.0, "b": 5.0, "c": 9.0}[label] + i / 100 for i, label in enumerate(labels)]
    y = np.array(labels, dtype=object)
    return TableRows(pa.table({"x": x}), y, np.arange(len(y)), np.unique(y))


def test_rows_without_a_target_shift_nothing(backhand, people, tmp_path):
    lines = people[1].read_text().splitlines()
    blank = [lines[0], "", *lines[1:], ",,,,,"]
    (tmp_path / "blank.csv").write_text("\n".join(blank) + "\n")
    for name in ("people", "blank"):
        words = "--target", "label", *FAST, "--out", name
        code, _, err = backhand("train", f"{name}.csv", *words)
        assert code == 0
        assert ("left out (the first is row 2)" in err) == (name == "blank")
    people_, blank_ = (load(tmp_path / n / "model.safetensors").model_ for n in ("people", "blank"))
    assert people_.about["rows"] == blank_.about["rows"] == 300
    for one, other in zip(people_.members, blank_.members, strict=True):
        assert all((a == other.params[name]).all() for name, a in one.params.items())


def test_a_rare_class_is_seen_and_the_threshold_is_kept(backhand, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 2))
    fraud = rng.random(900) < 1 / (1 + np.exp(4.2 - 1.6 * x[:, 0]))
    columns = {"a": x[:, 0], "b": x[:, 1], "fraud": np.where(fraud, "yes", "no")}
    write_csv(tmp_path / "t.csv", columns)
    out = backhand("train", "t.csv", "--target", "fraud", *FAST, "--out", "one")[1]
    recall = run_of(tmp_path / "one")["details"]["held_out"]["classes"][1]["recall"]
    assert recall < 0.8
    assert f"hint: yes is rare, and its recall is {recall:.3f}; --metric balanced" in out
    words = "--metric", "balanced_accuracy", *FAST, "--out", "two"
    out = backhand("train", "t.csv", "--target", "fraud", *words)[1]
    assert "hint" not in out
    threshold = load("two/model.safetensors").model_.threshold
    assert 0 < threshold < 0.3
    assert f"threshold: yes is predicted from a probability of {threshold:.3f} on" in out
    assert run_of(tmp_path / "two")["details"]["held_out"]["classes"][1]["recall"] > recall + 0.2
    columns["fraud"] = np.where(fraud, "a", "b")
    write_csv(tmp_path / "t.csv", columns)
    out = backhand("train", "t.csv", "--target", "fraud", "--metric", "f1", *FAST)[1]
    assert "f1 of b " in out
    assert "note: f1 is that of b, the second class by name" in out


def test_class_weights_are_given_by_the_labels_of_the_file(backhand, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    write_csv(tmp_path / "t.csv", {"x": x, "t": (x + rng.normal(size=200) > 1).astype(int)})
    recalls = []
    for number, weights in enumerate(("{}", '{"1": 30}')):
        given = [] if weights == "{}" else ["--class-weight", weights]
        words = "--target", "t", *FAST, *given, "--out", f"run{number}"
        assert backhand("train", "t.csv", *words)[0] == 0
        record = run_of(tmp_path / f"run{number}")
        recalls.append(record["details"]["held_out"]["classes"][1]["recall"])
    assert recalls[1] > recalls[0]
    words = "--target", "t", "--task", "regression", "--class-weight", "balanced"
    code, _, err = backhand("train", "t.csv", *words)
    assert code == 2
    assert "--class-weight is for classes" in err


def test_a_time_limit_is_told_as_the_reason(backhand, people):
    words = "--target", "income", "--preset", "best", "--time-limit", "0.2", "--out", "run"
    code, out, _ = backhand("train", people[1], *words)
    assert code == 0
    assert "time limit" in out or "epochs" in out


def test_networks_that_a_time_limit_left_out_are_no_interrupt(backhand, people, monkeypatch):
    monkeypatch.setattr(training, "_affordable", lambda jobs, epochs, *_: (jobs, epochs))
    words = "--target", "label", "--preset", "fast", "--threads", "1", "--time-limit", "0.01"
    code, out, _ = backhand("train", people[1], *words, "--cv", "2", "--out", "run")
    assert code == 0
    assert "interrupted" not in out
    assert len(run_of(Path("run"))["networks"]) == 1


def test_too_few_rows_and_no_columns_for_the_test(backhand, people, tmp_path):
    write_csv(tmp_path / "few.csv", {"a": range(9), "t": ["u", "v", "u"] * 3})
    code, _, err = backhand("train", "few.csv", "--target", "t")
    assert code == 2
    assert "few.csv: has 9 rows; training needs 10" in err
    columns = people[0]
    write_csv(tmp_path / "less.csv", {n: v for n, v in columns.items() if n != "age"})
    words = "--target", "label", "--test", "less.csv"
    code, _, err = backhand("train", people[1], *words, "--out", "run")
    assert code == 2
    assert "--test less.csv: column 'age' is missing" in err
    code, _, _ = backhand("train", people[1], *words, "--drop", "age", *FAST, "--out", "run")
    assert code == 0


def interrupting(monkeypatch, when):
    """Press Ctrl-C when an epoch of an ensemble is told of for the n-th time."""
    real, seen = train_table.ensemble.Live.__call__, []

    def tell(live, now):
        seen.append(now)
        real(live, now)
        if len(seen) == when:
            raise KeyboardInterrupt

    monkeypatch.setattr(train_table.ensemble.Live, "__call__", tell)


def test_ctrl_c_keeps_what_was_trained(backhand, people, tmp_path, monkeypatch):
    interrupting(monkeypatch, 5)
    words = "--target", "label", "--preset", "fast", "--threads", "1", "--out", "run"
    code, out, err = backhand("train", people[1], *words)
    assert code == 130
    assert "interrupted" not in err
    assert re.search("^interrupted: kept what was trained so far; ", out, re.M)
    assert "Ctrl-C" in out
    assert load("run/model.safetensors").model_.about["stopped"] == "interrupted"
    assert run_of(tmp_path / "run")["networks"][0]["epochs"] <= 5


def test_ctrl_c_in_a_cross_validation_leaves_nothing(backhand, people, tmp_path, monkeypatch):
    interrupting(monkeypatch, 5)
    words = "--target", "label", *FAST, "--cv", "2", "--out", "run"
    code, out, err = backhand("train", people[1], *words)
    assert (code, err) == (130, "interrupted: nothing was written\n")
    assert "model:" not in out
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


def test_a_training_that_diverges_leaves_nothing(backhand, people, tmp_path, monkeypatch):
    def diverge(*args, **kwargs):
        raise DivergedError("training diverged in epoch 1")

    monkeypatch.setattr(TabularClassifier, "fit", diverge)
    code, _, err = backhand("train", people[1], "--target", "label", "--out", "run")
    assert code == 1
    assert err.splitlines()[-1] == "error: training diverged in epoch 1 (nothing was written)"
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


def test_a_full_disk_does_not_lose_the_training(backhand, people, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "tmp").mkdir()
    real = TabularClassifier.save

    def full(estimator, path):
        if path.parent.parent == tmp_path / "runs":
            raise InputError(f"cannot write {path}: No space left on device")
        real(estimator, path)

    monkeypatch.setattr(TabularClassifier, "save", full)
    words = "--target", "label", *FAST, "--out", tmp_path / "runs" / "one"
    code, out, err = backhand("train", people[1], *words)
    assert code == 1
    kept = tmp_path / "tmp" / "one"
    assert f"the run is kept in {kept}" in err
    assert f"model: {kept / 'model.safetensors'}" in out
    assert load(kept / "model.safetensors").model_.target == "label"


def test_options_of_a_text_file(backhand, tmp_path):
    rows = "".join(f"{i % 7},5|{'grün' if i % 7 > 3 else 'blau'}\n" for i in range(60))
    (tmp_path / "t.csv").write_bytes(f"größe|farbe\n{rows}".encode("latin-1"))
    form = "--separator", "|", "--decimal", ",", "--encoding", "latin-1"
    code, out, _ = backhand("train", "t.csv", "--target", "farbe", *form, *FAST, "--out", "run")
    assert code == 0
    assert "grün" in out
    code, out, _ = backhand("predict", "run", "t.csv", *form, "--key", "größe")
    assert code == 0
    assert out.splitlines()[1].startswith('"0,5",blau,')
    assert run_of(tmp_path / "run")["options"]["separator"] == "|"


# folders ------------------------------------------------------------------------------------------


def test_a_folder_is_streamed(backhand, people, tmp_path):
    columns = people[0]
    (tmp_path / "parts").mkdir()
    for number in range(3):
        some = {n: v[100 * number : 100 * (number + 1)] for n, v in columns.items()}
        write_csv(tmp_path / "parts" / f"{number}.csv", some)
    words = "train", "parts", "--target", "label", *FAST
    code, out, _ = backhand(*words, "--test", people[1], "--out", "run")
    assert code == 0
    first = "parts: classification of 'label' (inferred; --task decides), "
    assert out.splitlines()[0] == f"{first}rows of unknown number, streamed"
    record = run_of(tmp_path / "run")
    assert record["scores"]["test"]["accuracy"] > 0.8
    assert load(tmp_path / "run" / "model.safetensors").model_.about["rows"] == 300
    backhand(*shlex.split(record["command"])[1:], "--out", "two")
    one, two = ((tmp_path / n / "model.safetensors").read_bytes() for n in ("run", "two"))
    assert one == two


def test_what_a_folder_has_not(backhand, people, tmp_path):
    (tmp_path / "parts").mkdir()
    write_csv(tmp_path / "parts" / "a.csv", people[0])
    words = "train", "parts", "--target"
    for more, message in (
        (("label", "--cv", "3"), "--cv 3: parts is a folder, and is streamed; --test FILE"),
        (("labels",), "no column 'labels': did you mean 'label'?"),
        (("label", "--hidden", "8"), "--hidden is for one plain network, and the folder parts"),
    ):
        code, _, err = backhand(*words, *more)
        assert code == 2
        assert message in err

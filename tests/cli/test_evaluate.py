from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from backhand import MLPClassifier, MLPRegressor, load

from .conftest import write_csv
from .test_app import refused

FAST = "--preset", "fast", "--members", "1"


def scores_of(outcome):
    code, out, err = outcome
    assert (code, err) == (0, "")
    found = json.loads(out)
    return found, {score["name"]: score for score in found["scores"]}


@pytest.mark.parametrize("way", [FAST, ("--hidden", "20")], ids=["ensemble", "plain"])
def test_classes(backhand, people, tmp_path, way):
    columns, file = people
    backhand("train", file, "--target", "label", *way, "--out", "run")
    model = load(tmp_path / "run" / "model.safetensors")
    right = accuracy_score(columns["label"], model.predict(as_texts(columns)))
    found, scores = scores_of(backhand("evaluate", "run", file, "--json", "-"))
    assert found["rows"] == 300
    assert scores["accuracy"]["value"] == right
    assert scores["accuracy"]["low"] < right < scores["accuracy"]["high"]
    assert np.trace(found["confusion"]) == round(300 * right)
    code, out, _ = backhand("evaluate", "run/model.safetensors", file, "--json", "scores.json")
    assert code == 0
    assert json.loads((tmp_path / "scores.json").read_text()) == found
    assert out.startswith(f"'label' of {file}:\n300 rows")
    assert f"{right:.4f}" in out
    assert "recall" in out


def as_texts(columns):
    return {
        name: [None if v == "" else v for v in values]
        for name, values in columns.items()
        if name != "label"
    }


def test_numbers_and_how_many_lie_within_their_intervals(backhand, people, tmp_path):
    columns, file = people
    backhand("train", file, "--target", "income", *FAST, "--out", "run")
    found, scores = scores_of(backhand("evaluate", "run", file, "--json", "-"))
    model = load(tmp_path / "run" / "model.safetensors")
    rows = {name: v for name, v in as_texts(columns).items() if name != "income"}
    rows["label"] = columns["label"]
    y, predicted = np.array(columns["income"]), model.predict(rows)
    assert scores["R2"]["value"] == pytest.approx(r2_score(y, predicted))
    low, high = model.predict_interval(rows, 0.9).T
    share = float(np.mean((y >= low) & (y <= high)))
    assert found["coverage"] == {"interval": 0.9, "rows": pytest.approx(share)}
    out = backhand("evaluate", "run", file)[1]
    assert f"; {100 * share:.1f} % of these rows are" in out


def test_rows_without_a_known_target_are_left_out_with_a_message(backhand, people, tmp_path):
    backhand("train", people[1], "--target", "label", *FAST, "--out", "run")
    lines = people[1].read_text().splitlines()
    changed = [lines[0], lines[1].replace(",yes,", ",maybe,").replace(",no,", ",maybe,"), "", ""]
    (tmp_path / "new.csv").write_text("\n".join([*changed, *lines[2:20]]))
    code, out, err = backhand("evaluate", "run", "new.csv")
    assert code == 0
    assert "18 rows" in out
    assert "3 rows have no class that the model knows and are left out (the first is row 2" in err
    assert "'maybe'" in err


def test_a_folder_is_scored_as_one_table(backhand, people, tmp_path):
    backhand("train", people[1], "--target", "label", *FAST, "--out", "run")
    lines = people[1].read_text().splitlines(keepends=True)
    (tmp_path / "pieces").mkdir()
    for name, part in (("a", lines[1:120]), ("b", lines[120:])):
        (tmp_path / "pieces" / f"{name}.csv").write_text("".join([lines[0], *part]))
    one, many = (backhand("evaluate", "run", file, "--json", "-") for file in (people[1], "pieces"))
    assert one == many
    refused(backhand("evaluate", "run", "pieces", "--target", "lable"), "did you mean 'label'")


@pytest.mark.parametrize(
    ("file", "words", "said"),
    [
        ("people.csv", ("--target", "lable"), "did you mean 'label'"),
        ("none.csv", (), "no column 'label'"),
        ("unknown.csv", (), "no row has a class that the model knows"),
        ("x.npy", (), "takes a table"),
        ("nothing.csv", (), "no such file: nothing.csv"),
    ],
)
def test_what_cannot_be_scored(backhand, people, tmp_path, file, words, said):
    backhand(
        "train", people[1], "--target", "label", "--hidden", "4", "--epochs", "1", "--out", "r"
    )
    columns = people[0]
    write_csv(tmp_path / "none.csv", {n: v for n, v in columns.items() if n != "label"})
    write_csv(tmp_path / "unknown.csv", {**columns, "label": ["maybe"] * 300})
    np.save(tmp_path / "x.npy", np.ones((2, 2)))
    refused(backhand("evaluate", "r", file, *words), said)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_is_told_its_target(backhand, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = (X[:, 0] > 0).astype(int)
    model = MLPClassifier((4,), max_iter=5, random_state=0).fit(X, y)
    model.save(tmp_path / "m.safetensors")
    write_csv(tmp_path / "t.csv", {"a": X[:, 0], "b": X[:, 1]})
    refused(backhand("evaluate", "m.safetensors", "t.csv"), "--target")
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["a", "b"])
    model.fit(frame, y).save(tmp_path / "m.safetensors")
    frame.assign(t=y).to_csv(tmp_path / "t.csv", index=False)
    outcome = backhand("evaluate", "m.safetensors", "t.csv", "--target", "t", "--json", "-")
    assert scores_of(outcome)[1]["accuracy"]["value"] == model.score(frame, y)
    two = MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, random_state=0).fit(frame, X)
    two.save(tmp_path / "m.safetensors")
    refused(backhand("evaluate", "m.safetensors", "t.csv", "--target", "t"), "2 outputs")

from __future__ import annotations

import json
import re

import pytest

from backhand import load

FAST = "--preset", "fast", "--members", "2"
PLAIN = "--hidden", "20", "--epochs", "5"


def data_of(path):
    text = path.read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.mark.parametrize("way", [FAST, PLAIN], ids=["ensemble", "plain"])
@pytest.mark.parametrize("target", ["label", "income"])
def test_a_training_with_a_report(backhand, people, tmp_path, way, target):
    _, file = people
    code, out, _ = backhand("train", file, "--target", target, *way, "--report", "--out", "run")
    assert code == 0
    assert "report: run/report.html" in out
    found = data_of(tmp_path / "run" / "report.html")
    assert found["task"] == ("classification" if target == "label" else "regression")
    assert found["course"]["trainings"]
    assert found["command"].startswith("backhand train")
    assert found["columns"]["importances"]


@pytest.mark.parametrize("way", [FAST, PLAIN], ids=["ensemble", "plain"])
def test_of_a_run_with_rows_and_without(backhand, people, tmp_path, way):
    _, file = people
    backhand("train", file, "--target", "label", *way, "--report", "--out", "run")
    code, out, err = backhand("report", "run", "-o", "without.html")
    assert (code, out, err) == (0, "report: without.html\n", "")
    found = data_of(tmp_path / "without.html")
    assert found["course"]["trainings"][0]["epochs"]
    assert "Rows whose target is known" in found["notes"][0]
    code, out, err = backhand("report", "run", file)
    assert (code, out, err) == (0, f"report: run/report-{file.stem}.html\n", "")
    assert data_of(tmp_path / "run" / "report.html")["rows"] != "300 rows"
    found = data_of(tmp_path / "run" / f"report-{file.stem}.html")
    assert found["rows"] == "300 rows"
    assert {one["column"] for one in found["columns"]["importances"]} == {
        *("age", "city", "smokes", "income")
    }


def test_a_test_file_is_what_is_reported(backhand, people, tmp_path):
    _, file = people
    backhand(
        *("train", file, "--target", "label", *FAST, "--test", file, "--report", "--out", "run")
    )
    found = data_of(tmp_path / "run" / "report.html")
    assert found["rows"] == "300 rows"
    model = load(tmp_path / "run" / "model.safetensors")
    test = model.model_.about["scores"]["test"]["scores"]
    assert found["scores"]["scores"][0]["value"] == pytest.approx(test[0]["value"])


def test_digits(backhand, tmp_path):
    code, _, err = backhand("train", "digits", "--epochs", "3", "--report", "--out", "run")
    assert (code, err) == (0, "")
    found = data_of(tmp_path / "run" / "report.html")
    assert found["image"] == [8, 8]
    assert len(found["mistakes"][0]["heat"]) == 8


def test_what_is_wrong_is_told(backhand, people):
    _, file = people
    backhand("train", file, "--target", "label", *FAST, "--out", "run")
    code, _, err = backhand("report", "run", file, "--target", "nothing")
    assert code == 2
    assert "no column 'nothing'" in err
    code, _, err = backhand("report", "run", "--target", "age")
    assert code == 2
    assert "name their file as well" in err

from __future__ import annotations

import json
import re

import pytest

FAST = "--preset", "fast", "--members", "2"
PLAIN = "--hidden", "20", "--epochs", "5"


def data_of(path):
    text = path.read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.mark.parametrize("way", [FAST, PLAIN], ids=["ensemble", "plain"])
@pytest.mark.parametrize("target", ["label", "income"])
def test_of_a_run_and_of_a_file(backhand, people, tmp_path, way, target):
    _, file = people
    backhand("train", file, "--target", target, *way, "--out", "run")
    code, out, err = backhand("explore", "run")
    assert (code, out, err) == (0, "explore: run/explore.html\n", "")
    found = data_of(tmp_path / "run" / "explore.html")
    assert found["target"] == target
    assert (found["labels"] is not None) is (target == "label")
    assert len(found["columns"]) == 4
    assert found["rowsInAll"] == 300
    code, out, err = backhand("explore", "run/model.safetensors", file, "-o", "page.html")
    assert (code, out, err) == (0, "explore: page.html\n", "")
    again = data_of(tmp_path / "page.html")
    assert again["rows"] == found["rows"]


def test_the_example(backhand, tmp_path):
    code, out, err = backhand("explore", "digits")
    assert (code, out, err) == (0, "explore: digits-explore.html\n", "")
    found = data_of(tmp_path / "digits-explore.html")
    assert found["image"] == [8, 8]
    assert found["labels"] == [str(digit) for digit in range(10)]
    assert {pixel for row in found["rows"] for pixel in row} == set(range(17))


def test_a_run_of_digits(backhand, tmp_path):
    backhand("train", "digits", *PLAIN, "--out", "run")
    code, _, _ = backhand("explore", "run")
    assert code == 0
    assert data_of(tmp_path / "run" / "explore.html")["title"] == "run: digits"


def test_what_is_wrong(backhand, people, tmp_path):
    _, file = people
    backhand("train", file, "--target", "label", *PLAIN, "--out", "run")
    code, _, err = backhand("explore", "run/model.safetensors")
    assert code != 0
    assert "name their file" in err
    code, _, err = backhand("explore", "digits", file)
    assert code != 0
    assert "rows of its own" in err

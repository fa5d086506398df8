from __future__ import annotations

import csv

import numpy as np
import pytest

from backhand.cli.app import run


@pytest.fixture
def backhand(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder; gives its exit code, output and error output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKHAND_DATA", raising=False)

    def command(*words):
        code = run([str(word) for word in words])
        return code, *capsys.readouterr()

    return command


def write_csv(path, columns):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


@pytest.fixture
def people(tmp_path):
    """A table with numbers, text, booleans, missing values and a constant column."""
    rng = np.random.default_rng(0)
    rows = 300
    age = rng.normal(40, 10, rows).round(1)
    city = rng.choice(["Paris", "Rome", "Oslo"], rows)
    smokes = rng.random(rows) < 0.5
    label = np.where((age > 40) ^ (city == "Rome"), "yes", "no")
    columns = {
        "age": [a if rng.random() > 0.05 else "" for a in age.tolist()],
        "city": [c if rng.random() > 0.05 else "" for c in city.tolist()],
        "unit": ["EUR"] * rows,
        "smokes": [str(s).lower() for s in smokes],
        "label": label.tolist(),
        "income": (1000 + 50 * age + 200 * smokes + rng.normal(0, 20, rows)).round(2).tolist(),
    }
    return columns, write_csv(tmp_path / "people.csv", columns)

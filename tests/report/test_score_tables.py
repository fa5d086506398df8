from __future__ import annotations

import io
import math

import numpy as np
import pytest
from rich.console import Console

from backhand.report.score_tables import between, number, share, show
from backhand.report.scores import score_classes, score_numbers


def shown(found, width=80):
    out = io.StringIO()
    show(found, f"{found.rows} rows", Console(file=out, width=width, markup=False, highlight=False))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def classes(count, rows=120):
    rng = np.random.default_rng(0)
    y = rng.integers(count, size=rows)
    y[:count] = np.arange(count)
    p = rng.dirichlet(np.ones(count), rows) + 0.5 * np.eye(count)[y]
    p /= p.sum(axis=1, keepdims=True)
    return score_classes(y, p, p.argmax(axis=1), [f"kind {k}" for k in range(count)])


def test_numbers():
    assert number(0.12345) == "0.1235"
    assert number(-3.0) == "-3.0000"
    assert number(1234.567) == "1234.6"
    assert number(36997.4) == "36,997"
    assert number(1234567.8) == "1,234,568"
    assert number(1.5e12) == "1.5e+12"
    assert number(math.nan) == share(math.nan) == between(math.nan, 1.0) == ""
    assert between(0.1, 0.25, share) == "0.100 to 0.250"


def test_a_confusion_matrix_stands_beside_the_recall():
    found = classes(3)
    lines = shown(found, 90)
    (head,) = [line for line in lines if line.startswith("class")]
    assert head.split()[:6] == ["class", "rows", "recall", "95", "%", "interval"]
    assert head.endswith("taken for:  kind 0  kind 1  kind 2")
    for k, line in enumerate(lines[lines.index(head) + 1 :]):
        cells = line.split()
        assert cells[:2] == ["kind", str(k)]
        assert [int(n) for n in cells[-3:]] == found.confusion[k].tolist()
    assert max(map(len, lines)) <= 90
    assert not any("taken for" in line for line in shown(found, 80))


def test_a_wide_confusion_matrix_becomes_its_largest_entries():
    found = classes(9)
    lines = shown(found)
    assert not any("taken for" in line for line in lines)
    wrong = found.confusion - np.diag(np.diag(found.confusion))
    a, b = np.unravel_index(wrong.argmax(), wrong.shape)
    assert lines[-1].startswith(f"most often mistaken: kind {a} for kind {b} ({wrong[a, b]} ×), ")


def test_of_many_classes_those_that_are_missed_most_are_shown():
    found = classes(30, 400)
    lines = shown(found)
    recalls = sorted((one.recall, k) for k, one in enumerate(found.classes))
    at = next(n for n, line in enumerate(lines) if line.startswith("class"))
    assert lines[at - 1] == "20 of 30 classes, those with the lowest recall:"
    names = [line.split("  ")[0] for line in lines[at + 1 : at + 21]]
    assert names == [f"kind {k}" for _, k in recalls[:20]]


def test_scores_of_numbers_have_no_classes():
    y = np.arange(30.0)
    lines = shown(score_numbers(y, y + 1))
    assert lines[0].split() == ["30", "rows", "score", "95", "%", "interval", "baseline"]
    assert [line.split()[0] for line in lines[1:]] == ["RMSE", "MAE", "R2", "baseline:"]


@pytest.mark.parametrize("label", ["\x1b[2J", "[red]"])
def test_labels_do_nothing_to_a_terminal(label):
    y = np.array([0, 1] * 5)
    p = np.stack([1 - 0.8 * y, 0.8 * y], axis=1)
    text = "\n".join(shown(score_classes(y, p, y, ["a", label])))
    assert "\x1b" not in text
    assert label.replace("\x1b", "\\x1b") in text

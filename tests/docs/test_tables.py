"""The benchmark of models for tables: its arithmetic, on made-up tables and records."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def scripts():
    """The modules of `benchmarks/`, which import one another by their bare names."""
    names = ["pages", "table_sources", "table_models", "table_report", "tables"]
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture
def sources(scripts):
    return scripts["table_sources"]


@pytest.fixture
def report(scripts):
    return scripts["table_report"]


def source(sources, frame, task, most_rows=None):
    return sources.Source("shown", task, "pandas", lambda: (frame.copy(), "y"), most_rows)


def record(table, model, split, error, **more):
    known = {"threads": 1, "cache": "kept", "group": "shown", "task": "binary", "status": "ok"}
    sizes = {"n_train": 80, "n_test": 20, "columns": 3, "text": 1}
    found = {"error": error, "logloss": error, "fit_cpu": 1.0, "fit_wall": 1.0}
    return {"table": table, "model": model, "split": split, **known, **sizes, **found, **more}


# tables -----------------------------------------------------------------------------------------


def test_no_table_is_in_two_groups(sources):
    assert [len(rows) for rows in sources.GROUPS.values()] == [22, 27, 5]
    assert len(sources.SOURCES) == 54


def test_a_table_is_columns_of_three_kinds_and_class_numbers_in_order(sources):
    frame = pd.DataFrame(
        {
            "whole": np.arange(42),
            "gaps": [np.nan, *np.arange(41.0)],
            "text": [None, "", " a", "b ", *["c"] * 38],
            "flag": [True, False] * 21,
            "y": [10.0] * 20 + [9.0] * 20 + [8.0, np.nan],
        }
    )
    table = sources.prepare("made", source(sources, frame, "binary"))
    assert [str(kind) for kind in table.X.dtypes] == ["int64", "float64", "object", "object"]
    assert table.text == ["text", "flag"]
    assert table.X["text"].isna().tolist() == [True] + [False] * 39
    assert table.X["text"].tolist()[1:4] == ["", "a", "b"]
    assert table.X["flag"].tolist()[:2] == ["True", "False"]
    # 8 is too rare to learn, the last row has no target, and 9 comes before 10
    assert table.y.tolist() == [1] * 20 + [0] * 20
    assert table.n_classes == 2


def test_a_task_that_does_not_fit_the_classes_is_noticed(sources):
    frame = pd.DataFrame({"x": range(30), "y": ["a", "b", "c"] * 10})
    with pytest.raises(ValueError, match="made has 3 classes, but its task is binary"):
        sources.prepare("made", source(sources, frame, "binary"))


def test_large_tables_are_cut_to_the_same_rows_every_time(sources):
    frame = pd.DataFrame({"x": range(100), "y": range(100)})
    one, two = (
        sources.prepare("made", source(sources, frame, "regression", 10)).X["x"] for _ in "12"
    )
    assert one.tolist() == two.tolist()
    assert len(set(one)) == 10


def test_a_split_is_stratified_and_has_every_row_once(sources):
    frame = pd.DataFrame({"x": range(100), "y": ["a"] * 80 + ["b"] * 20})
    table = sources.prepare("made", source(sources, frame, "binary"))
    training, test = sources.split(table, 3)
    assert sorted([*training, *test]) == list(range(100))
    assert np.bincount(table.y[test]).tolist() == [16, 4]


# models and scores ------------------------------------------------------------------------------


def test_scores_are_what_they_are_called(scripts, sources):
    numbers = sources.Table("made", "shown", "regression", None, np.array([0.0, 2.0, 4.0, 6.0]), 0)
    rows = np.array([1, 3])  # targets 2 and 6: their standard deviation is 2
    found = scripts["tables"].scores(numbers, rows, np.array([[3.0], [7.0]]))
    assert found == {"error": 0.5}
    classes = sources.Table("made", "shown", "binary", None, np.array([0, 1, 1]), 2)
    p = np.array([[0.5, 0.5], [0.8, 0.2], [0.0, 1.0]])
    found = scripts["tables"].scores(classes, np.arange(3), p)
    assert found["error"] == 1 / 3
    assert found["logloss"] == pytest.approx(-np.log([0.5, 0.2, 1.0]).mean(), rel=1e-6)
    assert found["auc"] == 0.5  # of the two pairs of classes, one is in order


def test_predictions_that_cannot_be_scored_are_refused(scripts, sources):
    table = sources.Table("made", "shown", "binary", None, np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="not finite"):
        scripts["tables"].scores(table, np.arange(2), np.array([[np.nan, 1], [0, 1]]))
    with pytest.raises(ValueError, match=r"probabilities are \(2, 3\), not \(2, 2\)"):
        scripts["tables"].scores(table, np.arange(2), np.ones((2, 3)) / 3)


def test_a_fit_is_measured(scripts, sources, monkeypatch):
    frame = pd.DataFrame(
        {"x": range(100), "text": list("ab") * 50, "y": ["no"] * 60 + ["yes"] * 40}
    )
    monkeypatch.setitem(sources.SOURCES, "made", source(sources, frame, "binary"))
    tables = scripts["tables"]
    found = tables.measure(tables.Fit("made", "constant", 0, 1, "kept"))
    assert (found["n_train"], found["n_test"], found["columns"], found["text"]) == (80, 20, 2, 1)
    assert found["error"] == 0.4
    # the shares of the classes are 0.6 and 0.4 in both parts
    assert found["logloss"] == pytest.approx(-0.6 * np.log(0.6) - 0.4 * np.log(0.4))
    boosted = tables.measure(tables.Fit("made", "histgb", 0, 1, "kept"))
    assert boosted["error"] < 0.1  # x says it all


def test_what_is_recorded_is_not_measured_again(scripts, sources, monkeypatch, tmp_path):
    tables = scripts["tables"]
    frame = pd.DataFrame({"x": range(100), "y": range(100)})
    monkeypatch.setitem(sources.SOURCES, "made", source(sources, frame, "regression"))
    fitted = []

    def attempt(fit, limit):
        fitted.append(fit.split)
        status = "timeout" if fit.split == 1 else "ok"
        return {**fit._asdict(), "status": status, "why": "slow", "error": 1.0, "fit_cpu": 1.0}

    monkeypatch.setattr(tables, "attempt", attempt)
    call = ["tables.py", "--tables", "made", "--models", "constant", "--splits", "0", "1"]
    for more in ([], [], ["--retry"], ["--again"]):
        monkeypatch.setattr(sys, "argv", [*call, "--records", str(tmp_path / "r.jsonl"), *more])
        tables.main()
    assert fitted == [0, 1, 1, 0, 1]


# the report -------------------------------------------------------------------------------------


def test_the_difference_is_of_logs_on_common_splits_and_every_table_counts_once(report):
    rows = report.frame(
        [
            record("a", "catboost", 0, 0.19),
            record("a", "catboost", 1, 0.09),
            record("a", "catboost", 2, 0.5),  # the other model has no split 2
            record("b", "catboost", 0, 0.29),
            record("a", "lightgbm", 0, 0.09),
            record("a", "lightgbm", 1, 0.19),
            record("b", "lightgbm", 0, 0.99),
            record("b", "lightgbm", 0, 0.59),  # the last record of a fit counts
        ]
    )
    found = report.difference(report.usual(rows), "lightgbm", "catboost", "log error")
    # a: log(0.1 / 0.2) and log(0.2 / 0.1) make 0; b: log(0.6 / 0.3)
    assert found.to_dict() == pytest.approx({"a": 0.0, "b": np.log(2)})


def test_only_fits_with_one_thread_and_kept_code_that_succeeded_are_compared(report):
    rows = report.frame(
        [
            record("a", "catboost", 0, 0.2),
            record("b", "catboost", 0, 0.2, threads=2),
            record("c", "catboost", 0, 0.2, cache="empty"),
            record("d", "catboost", 0, 0.2, status="timeout"),
        ]
    )
    assert report.usual(rows).table.tolist() == ["a"]
    assert "CatBoost on d, split 0: timeout" in "".join(report.failures(rows))


def test_the_report_says_who_wins_where_and_in_what_time(report):
    records = [
        *(record(name, "catboost", 0, 0.2, fit_cpu=8.0) for name in "abc"),
        *(record(name, "constant", 0, 0.3) for name in "abc"),
        record("a", "backhand-default", 0, 0.1, fit_cpu=2.0),
        record("b", "backhand-default", 0, 0.4, fit_cpu=2.0),
        record("c", "backhand-default", 0, 0.2, fit_cpu=2.0),
        *(record(name, "backhand-default", 0, 0.2, threads=2, fit_wall=0.5) for name in "abc"),
        *(record(name, "realmlp", 0, 0.3, fit_cpu=16.0) for name in "abc"),
    ]
    text = report.report(records)
    beside_catboost, beside_realmlp = (
        line for line in text.splitlines() if line.startswith('| backhand, preset "default" | 3')
    )
    # error and log-loss: (log(0.11 / 0.21) + log(0.41 / 0.21) + 0) / 3
    cells = "| 3 (3) | +0.007 ± 0.380 | 1 : 1 | +0.007 ± 0.380 | 2.00 | 0.250 | 1, 1 |"
    assert beside_catboost == f'| backhand, preset "default" {cells}'
    # of the logs of 0.11 / 0.31, 0.41 / 0.31 and 0.21 / 0.31, the second is nearest to 0: of eight
    # ways to sign them, one has a smaller sum (and a smaller sum of ranks) than what was found
    assert beside_realmlp.endswith(" | 2 : 1 | -0.382 ± 0.380 | 0.875 | 0.875 | 0.125 |")
    assert "CatBoost has the smaller error on 1 table: b (+0.67)" in text
    assert "Worse than the mean, or the shares of the classes: b (error), b (log-loss)" in text
    assert "two threads: wall time of a fit, times that with one: 0.50" in text


def test_the_rival_is_met_only_on_small_tables(report):
    records = [
        record("a", "catboost", 0, 0.2, n_train=2_001),
        record("a", "realmlp", 0, 0.2, n_train=2_001),
    ]
    assert "Beside RealMLP-TD" not in report.report(records)


def test_the_page_shows_the_recipes_as_they_are(report):
    shown = "\n".join(report.recipes())
    assert shown in report.PAGE.read_text("utf-8"), (
        "write it: cd benchmarks && python -c 'import table_report; table_report.write_recipes()'"
    )


def test_the_pages_have_a_place_for_the_tables(scripts, report, monkeypatch, tmp_path):
    for page in ("README.md", "docs/tables.md"):
        shutil.copy(ROOT / page, tmp_path)
    monkeypatch.setattr(scripts["pages"], "README", tmp_path / "README.md")
    monkeypatch.setattr(report, "PAGE", tmp_path / "tables.md")
    report.write_docs([record("a", "catboost", 0, 0.2), record("a", "lightgbm", 0, 0.3)])
    briefly = "| LightGBM | +38.9 (0 : 1) | 1.00 |"
    for page, line in (("README.md", briefly), ("tables.md", "| LightGBM | 1 (1) | +0.389 |")):
        text = (tmp_path / page).read_text("utf-8")
        _, _, filled = text.partition("<!-- table tables:")
        assert line in filled.split("<!-- end tables -->")[0]

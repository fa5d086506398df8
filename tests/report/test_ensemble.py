from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from backhand import TabularClassifier, TabularRegressor
from backhand.preprocess.preparation import TablePreparation
from backhand.report import ensemble
from backhand.report.ensemble import (
    Live,
    NetworkRow,
    columns,
    has_scores,
    networks,
    read_rows,
    rows_of,
)
from backhand.tabular.member import MemberProgress


def screen(terminal=False, width=100):
    text = io.StringIO()
    out = Console(file=text, force_terminal=terminal, width=width, markup=False, highlight=False)
    return out, text


def progress(member, epoch, validation_loss=0.5):
    return MemberProgress(epoch, 0.7, validation_loss, None, 0.1, 1000.0, 10, dict, None, member, 2)


def preparation(width):
    rng = np.random.default_rng(0)
    table = {f"x{i}": rng.normal(size=30) for i in range(width)}
    return TablePreparation.fit({"id": np.arange(30), "same": ["a"] * 30, **table}, warn=False)


def test_columns_of_a_wide_table_are_cut_and_those_left_out_are_not():
    out, text = screen()
    columns(preparation(3), out)
    assert "further" not in text.getvalue()
    out, text = screen(width=200)
    wide = preparation(100)
    columns(wide, out)
    lines = text.getvalue().splitlines()
    shown = [line.split()[0] for line in lines[1 : ensemble.MOST_COLUMNS + 1]]
    assert shown == [*(f"x{i}" for i in range(ensemble.MOST_COLUMNS - 2)), "id", "same"]
    assert lines[ensemble.MOST_COLUMNS + 1].startswith("and 77 further columns, which")
    assert wide.summary in lines[ensemble.MOST_COLUMNS + 1]


def test_notes_on_columns_are_short():
    out, text = screen(width=300)
    values = [f"a long value, number {i}" for i in range(8)] * 4
    columns(TablePreparation.fit({"t": values}), out)
    line = text.getvalue().splitlines()[1].rstrip()
    assert line.endswith("…")
    assert len(line.split("values")[1].strip()) <= ensemble.LONGEST_NOTE


def test_where_there_is_no_terminal_a_line_comes_from_time_to_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(ensemble.time, "monotonic", lambda: now[0])
    out, text = screen()
    with Live(out) as live:
        for epoch in range(1, 11):
            now[0] += ensemble.SECONDS_BETWEEN / 4
            live(progress(1 + epoch % 2, epoch))
    lines = text.getvalue().splitlines()
    assert lines == [
        "25 s: network 2/2, epoch 5/10  validation loss 0.5000",
        "50 s: network 1/2, epoch 10/10  validation loss 0.5000",
    ]


def test_in_a_terminal_each_network_has_a_bar_that_goes():
    out, text = screen(terminal=True)
    with Live(out, title="part 1/3 ") as live:
        live.prepared(preparation(2))
        live(progress(1, 1))
        live(progress(2, 1, None))
        live(progress(1, 10))
        live._progress.refresh()
    written = text.getvalue()
    assert "part 1/3 network 2/2" in written
    assert "epoch 1/10  loss 0.7000" in written
    assert "x0" in written
    last = written.rpartition("part 1/3 network 1/2")[2]
    assert "network 2/2" in last  # the bar of the network that is done had gone


def fitted(kind, y, **options):
    x = np.random.default_rng(0).normal(size=(80, 3))
    return kind("fast", random_state=0, **options).fit(x, y(x))


def test_rows_say_what_became_of_each_network():
    made = fitted(TabularRegressor, lambda x: np.exp(x[:, 0]))
    model = made.model_
    rows = rows_of(made.members_, zip(model.members, model.weights, strict=True), None)
    assert len(rows) == len(made.members_)
    kinds = {row.kind for row in rows}
    assert {kind.partition(",")[2] for kind in kinds} == {"", " log of target"}
    assert {kind.partition(",")[0] for kind in kinds} <= {"periodic", "piecewise linear"}
    assert not has_scores(made.members_)
    assert sum(row.weight for row in rows) == pytest.approx(1)
    for row, member in zip(rows, made.members_, strict=True):
        history = member.result.history
        losses = [line.validation_loss for line in history]
        assert row.epochs == len(history)
        assert row.validation == min(losses) == losses[row.best_epoch - 1]
        waited = f"no better in {len(history) - row.best_epoch} epochs"
        assert row.ended == {"epochs": "all epochs", "patience": waited}[member.result.stopped]
    stored = json.loads(json.dumps([row._asdict() for row in rows]))
    assert read_rows(stored) == rows


def test_rows_have_the_metric_that_epochs_were_chosen_by():
    made = fitted(TabularClassifier, lambda x: x[:, 0] > 0, metric="brier_score", n_members=1)
    from backhand.tabular.metrics import Metric

    metric = Metric("neg_brier_score")
    (row,) = rows_of(made.members_, [], metric)
    assert has_scores(made.members_)
    result = made.members_[0].result
    assert row.validation == -result.history[result.best_epoch - 1].validation_score
    out, text = screen()
    networks([row], metric, out)
    head, line = text.getvalue().splitlines()
    assert "validation brier score" in head
    assert f"{row.validation:.4f}" in line


def test_why_training_ended():
    made = fitted(TabularClassifier, lambda x: x[:, 0] > 0, n_members=1)
    (member,) = made.members_
    for stopped, said in (("callback", "time limit"), ("interrupted", "Ctrl-C")):
        changed = dataclasses.replace(
            member, result=dataclasses.replace(member.result, stopped=stopped)
        )
        assert rows_of([changed], [], None)[0].ended == said


@pytest.mark.parametrize("wrong", [None, 3, [1], [{}], [{"kind": 1}]])
def test_rows_that_somebody_edited_are_none(wrong):
    assert read_rows(wrong) == []


def test_a_network_without_a_held_out_row():
    out, text = screen()
    networks([NetworkRow("plain", 3, 3, None, 1.0, "all epochs")], None, out)
    assert text.getvalue().splitlines()[1].split() == [
        "1",
        "plain",
        "3",
        "3",
        "1.000",
        "all",
        "epochs",
    ]

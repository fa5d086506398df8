from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error

from backhand.report.page.report import Origin, Report, headline, plain, report_of, scores_of


class Pair(NamedTuple):
    a: float
    b: object


@dataclasses.dataclass
class Thing:
    name: str
    values: np.ndarray
    pair: Pair


def test_numbers_become_plain_data():
    found = plain(Thing("x", np.array([1.5, np.nan]), Pair(np.float32(0.5), (np.int64(3), None))))
    assert found == {"name": "x", "values": [1.5, None], "pair": {"a": 0.5, "b": [3, None]}}
    assert plain({1: float("inf")}) == {"1": None}


@pytest.mark.parametrize("kind", ["binary", "several", "regression"])
def test_the_headline_says_how_good_it_is(subject, kind):
    of = subject(kind)
    text = headline(of, scores_of(of))
    if kind == "regression":
        assert f"{mean_absolute_error(of.y, of.predictions):.4g}" in text
    else:
        assert f"{100 * accuracy_score(of.y, of.chosen):.1f} %" in text
        most = of.labels[np.bincount(of.y).argmax()]
        assert f"Always answering {most} would" in text


def test_a_report_is_saved_and_shown(subject, tmp_path):
    found = report_of(Origin("Prices of <b>houses</b>"), subject("regression"))
    found.save(tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    assert text == found.html
    assert "<h1>Prices of &lt;b&gt;houses&lt;/b&gt;</h1>" in text
    assert len(text) < 1_000_000
    shown = found._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert "<script" not in shown
    assert repr(found) == "<Report: Prices of <b>houses</b>; save(path) writes it as HTML>"


def test_without_rows_there_is_what_is_known():
    text = Report(report_of(Origin("x", "Learned from 3 rows.", notes=("Give rows.",))).data).html
    assert "Learned from 3 rows." in text
    assert "Give rows." in text
    assert "Rows most wrong" not in text

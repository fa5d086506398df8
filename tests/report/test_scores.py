from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    mean_absolute_error,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
    root_mean_squared_error,
)

from backhand.report import scores
from backhand.report.scores import Scores, intervals, named, score_classes, score_numbers, wilson
from backhand.tabular.metrics import Metric


def classes(rows, count, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(count, rows, p=np.arange(1, count + 1) / (count * (count + 1) / 2))
    p = rng.dirichlet(np.ones(count), rows) + 0.3 * np.eye(count)[y]
    p = np.round(p, 1) + 0.01  # there are ties
    return y, p / p.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("count", [2, 4])
def test_scores_of_classes_are_scikit_learns(count):
    y, p = classes(200, count)
    labels = [f"c{k}" for k in range(count)]
    chosen = p.argmax(axis=1)
    found = score_classes(y, p, chosen, labels, Metric("f1_macro"))
    got = found.values()
    auc = roc_auc_score(y, p[:, 1]) if count == 2 else roc_auc_score(y, p, multi_class="ovr")
    assert got == {
        "accuracy": pytest.approx(accuracy_score(y, chosen)),
        "balanced accuracy": pytest.approx(balanced_accuracy_score(y, chosen)),
        "AUC": pytest.approx(auc),
        "log-loss": pytest.approx(log_loss(y, p)),
        "f1 macro": pytest.approx(f1_score(y, chosen, average="macro")),
    }
    assert (found.confusion == confusion_matrix(y, chosen)).all()
    assert [one.recall for one in found.classes] == pytest.approx(
        recall_score(y, chosen, average=None)
    )
    assert [one.precision for one in found.classes] == pytest.approx(
        precision_score(y, chosen, average=None)
    )
    assert [one.rows for one in found.classes] == np.bincount(y).tolist()
    most = np.bincount(y).argmax()
    assert found.baseline.startswith(f"always c{most}, ")
    baseline = {score.name: score.baseline for score in found.scores}
    assert baseline["accuracy"] == np.bincount(y).max() / 200
    assert baseline["balanced accuracy"] == pytest.approx(1 / count)
    assert baseline["AUC"] == 0.5
    shares = np.bincount(y) / 200
    assert baseline["log-loss"] == pytest.approx(-(shares * np.log(shares)).sum())


def test_scores_of_numbers_are_scikit_learns():
    rng = np.random.default_rng(0)
    y = rng.normal(50, 9, 120)
    p = y + rng.normal(0, 3, 120)
    found = score_numbers(y, p, Metric("neg_median_absolute_error"))
    assert found.values() == {
        "RMSE": pytest.approx(root_mean_squared_error(y, p)),
        "MAE": pytest.approx(mean_absolute_error(y, p)),
        "R2": pytest.approx(r2_score(y, p)),
        "median absolute error": pytest.approx(np.median(np.abs(y - p))),
    }
    baseline = {score.name: score.baseline for score in found.scores}
    assert baseline["R2"] == pytest.approx(0, abs=1e-12)
    assert baseline["RMSE"] == pytest.approx(y.std())
    assert f"always {y.mean():.6g}," in found.baseline
    for score in found.scores:
        assert score.low < score.value < score.high


def test_a_metric_that_is_there_anyway_is_there_once():
    y, p = classes(50, 2)
    for name in ("accuracy", "neg_log_loss", "roc_auc", "balanced_accuracy"):
        found = score_classes(y, p, p.argmax(axis=1), ["a", "b"], Metric(name))
        assert len(found.scores) == 4
    assert len(score_numbers(y * 1.0, p[:, 1], Metric("r2")).scores) == 3


def test_many_classes_have_no_auc():
    y, p = classes(300, scores.MOST_RANKED + 1)
    labels = list(range(p.shape[1]))
    assert list(score_classes(y, p, p.argmax(axis=1), labels).values()) == [
        *("accuracy", "balanced accuracy", "log-loss")
    ]
    chosen = Metric("roc_auc_ovr")
    assert "roc auc ovr" in score_classes(y, p, p.argmax(axis=1), labels, chosen).values()


def test_a_metric_of_one_class_says_of_which_and_follows_the_threshold():
    y, p = classes(200, 2)
    chosen = (p[:, 1] > 0.8).astype(int)
    found = score_classes(y, p, chosen, ["no", "yes"], Metric("f1"))
    assert found.values()["f1 of yes"] == pytest.approx(f1_score(y, chosen))
    assert named(Metric("f1"), ["a", "b", "c"]) == ("f1", 1.0)
    assert named(Metric("neg_mean_squared_error")) == ("mean squared error", -1.0)


@pytest.mark.parametrize(("right", "rows"), [(0, 7), (7, 7), (3, 11), (940, 1000)])
def test_wilson_is_scipys(right, rows):
    interval = binomtest(right, rows).proportion_ci(method="wilson")
    assert wilson(right, rows) == pytest.approx((interval.low, interval.high), abs=1e-7)


def test_an_interval_of_no_rows_is_none():
    assert all(map(math.isnan, wilson(0, 0)))


@pytest.mark.parametrize("rows", [400, 40_000])  # all at once, and so many that few are drawn
def test_the_bootstrap_has_the_width_of_the_normal_distribution(rows):
    values = np.random.default_rng(1).normal(5, 2, rows)
    (low, high) = intervals({"mean": lambda v: float(v.mean())}, [values])["mean"]
    # with 200 draws an end lies within about 25 % of a half width of where it should, at 3 sigma
    half = 1.96 * 2 / math.sqrt(rows)
    assert low == pytest.approx(values.mean() - half, abs=0.4 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.4 * half)


def test_an_interval_that_the_rows_do_not_tell_is_nan():
    found = intervals({"nan": lambda v: math.nan, "one": lambda v: float(v[0])}, [np.ones(1)])
    assert np.isnan(found["nan"]).all()
    assert np.isnan(found["one"]).all()


def test_a_perfect_score_has_no_interval_of_no_width():
    y = np.arange(40) % 2
    found = score_classes(y, np.eye(2)[y], y, ["a", "b"]).scores
    assert {one.name: one.value for one in found}["AUC"] == 1
    for one in found:
        assert math.isnan(one.low) if one.name != "accuracy" else one.low < 1


def test_a_class_without_rows_or_predictions():
    y, p = np.array([0, 0, 1]), np.array([[0.8, 0.2, 0.0], [0.7, 0.3, 0.0], [0.9, 0.1, 0.0]])
    found = score_classes(y, p, p.argmax(axis=1), ["a", "b", "c"])
    a, b, c = found.classes
    assert (a.recall, a.precision) == (1.0, pytest.approx(2 / 3))
    assert b.recall == 0.0
    assert math.isnan(b.precision)
    assert math.isnan(c.recall)
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["classes"][2]["recall"] is None


def test_a_sure_mistake_costs_what_it_costs_in_scikit_learn():
    y, p = np.array([0, 1, 1]), np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    assert score_classes(y, p, p.argmax(axis=1), ["a", "b"]).values()["log-loss"] == pytest.approx(
        log_loss(y, p)
    )


def test_a_summary_is_read_back():
    y, p = classes(60, 3)
    found = score_classes(y, p, p.argmax(axis=1), ["a", "b", "c"])
    read = Scores.read(json.loads(json.dumps(found.summary())))
    assert read is not None
    assert (read.rows, read.scores, read.baseline) == (60, found.scores, found.baseline)
    alone = score_classes(np.zeros(3, int), np.ones((3, 1)), np.zeros(3, int), ["a"])
    read = Scores.read(json.loads(json.dumps(alone.summary())))
    assert math.isnan(read.scores[2].value)  # there is no AUC of one class


@pytest.mark.parametrize("wrong", [None, 3, {}, {"scores": [1], "rows": 2, "baseline": ""}])
def test_another_summary_is_none(wrong):
    assert Scores.read(wrong) is None


def test_names_of_metrics_that_look_at_one_class_are_scikit_learns():
    from sklearn.metrics import get_scorer_names

    assert set(scores.OF_SECOND) <= set(get_scorer_names())

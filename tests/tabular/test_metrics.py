"""Metrics of predictions, with scikit-learn as the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from backhand import InputError
from backhand.tabular.metrics import metric_of

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, 80)
P = RNG.dirichlet([1.0, 1.0], 80)
W = RNG.uniform(0.5, 2.0, 80)
V, U = RNG.normal(size=80), RNG.normal(size=80)


@pytest.mark.parametrize("weight", [None, W], ids=["plain", "weighted"])
def test_scores_are_those_of_scikit_learn(weight):
    of_classes = {
        None: -metrics.log_loss(Y, P, sample_weight=weight),
        "auc": metrics.roc_auc_score(Y, P[:, 1], sample_weight=weight),
        "accuracy": metrics.accuracy_score(Y, P.argmax(1), sample_weight=weight),
        "f1": metrics.f1_score(Y, P.argmax(1), sample_weight=weight),
        "neg_brier_score": -metrics.brier_score_loss(Y, P[:, 1], sample_weight=weight),
        "balanced_accuracy": metrics.balanced_accuracy_score(Y, P.argmax(1), sample_weight=weight),
    }
    for name, wanted in of_classes.items():
        assert metric_of(name, False)(Y, P, weight) == pytest.approx(wanted), name
    of_numbers = {
        None: -metrics.root_mean_squared_error(V, U, sample_weight=weight),
        "mae": -metrics.mean_absolute_error(V, U, sample_weight=weight),
        "r2": metrics.r2_score(V, U, sample_weight=weight),
    }
    for name, wanted in of_numbers.items():
        assert metric_of(name, True)(V, U, weight) == pytest.approx(wanted), name


def test_a_class_may_be_missing_among_the_rows():
    p = RNG.dirichlet([1.0, 1.0, 1.0], 30)
    y = RNG.integers(0, 2, 30)
    wanted = -np.log(p[np.arange(30), y]).mean()
    assert metric_of(None, False)(y, p) == pytest.approx(-wanted)
    assert np.isnan(metric_of("auc", False)(np.zeros(30, int), p[:, :2]))


@pytest.mark.parametrize(
    ("name", "regression"),
    [("acuracy", False), ("rmse", False), ("accuracy", True), ("auc", True), (3, False)],
)
def test_what_is_no_metric_of_the_task_is_refused(name, regression):
    with pytest.raises(InputError, match="metric"):
        metric_of(name, regression)


def test_which_metrics_look_at_classes():
    assert metric_of("f1", False).is_of_classes
    assert not metric_of("auc", False).is_of_classes
    assert not metric_of(None, False).is_of_classes

"""Weights of kinds, temperatures and thresholds."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.tabular.metrics import metric_of
from backhand.tabular.weights import decided, kind_weights, temperature_of, tempered, threshold_of

RNG = np.random.default_rng(1)


def test_what_is_right_gets_the_weight():
    y = RNG.normal(size=400)
    noise = RNG.normal(size=400)
    assert kind_weights(metric_of(None, True), y, [y + noise, y], None) == [0.0, 1.0]
    assert kind_weights(metric_of(None, True), y, [y + noise], None) == [1.0]


def test_errors_that_differ_are_averaged():
    y, a, b = RNG.normal(size=(3, 4000))
    assert kind_weights(metric_of(None, True), y, [y + a, y + b], None) == [0.5, 0.5]


def test_rows_count_by_weight():
    y = np.zeros(10)
    first, second = np.where(np.arange(10) < 5, 1.0, 0.0), np.where(np.arange(10) < 5, 0.0, 1.0)
    weight = np.where(np.arange(10) < 5, 1e-6, 1.0)
    assert kind_weights(metric_of(None, True), y, [first, second], weight)[0] == 1.0


def test_a_temperature_undoes_one():
    z = RNG.normal(size=(20_000, 3)) * 2
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    y = np.array([RNG.choice(3, p=row) for row in p])
    for temperature in (0.5, 1.0, 2.0):
        found = temperature_of(y, tempered(p, 1 / temperature), None)
        assert found == pytest.approx(temperature, rel=0.05)


def test_few_rows_that_are_all_right_ask_for_little():
    p = np.tile([0.9, 0.1], (5, 1))
    assert temperature_of(np.zeros(5, int), p, None) > 0.8


def test_tempered_probabilities_add_up():
    p = np.array([[1.0, 0.0], [0.25, 0.75]])
    for temperature in (0.3, 1.0, 3.0):
        q = tempered(p, temperature)
        np.testing.assert_allclose(q.sum(1), 1.0)
        assert (q.argmax(1) == p.argmax(1)).all()


def test_a_threshold_is_what_scores_best():
    p = np.linspace(0.01, 0.4, 400)
    y = (p > 0.3).astype(int)
    both = np.stack([1 - p, p], axis=1)
    found = threshold_of(metric_of("f1", False), y, both, None)
    assert 0.295 < found < 0.305
    assert threshold_of(metric_of("auc", False), y, both, None) == 0.5
    assert threshold_of(metric_of("accuracy", False), y[:5] * 0, both[:5], None) == 0.5


def test_the_second_of_two_classes_is_decided_from_the_threshold_on():
    p = np.array([[0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    assert decided(p, 0.3).tolist() == [[1, 0], [0, 1], [0, 1]]

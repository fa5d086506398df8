"""From logits to answers, at the ends and against one another."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.formulas import answers
from backhand.run.namespaces import NUMPY


def test_units_and_logarithms():
    y = np.array([-2.0, 0.0, 1.0])
    np.testing.assert_array_equal(answers.in_units(NUMPY, y, 5.0, 3.0), [-1, 5, 8])
    got = answers.from_log(NUMPY, np.array([0.0, 1.0, 800.0]), 1.5)
    np.testing.assert_allclose(got, 1.5 * np.exp([0.0, 1.0, answers.LARGEST_LOG]), rtol=1e-15)
    assert np.isfinite(got).all()


def test_members_are_weighed():
    p = np.array([[0.25, 0.75]])
    np.testing.assert_array_equal(answers.share(NUMPY, p, 0.5), p / 2)
    np.testing.assert_array_equal(answers.mean_of(NUMPY, 3 * p, 4.0), 3 * p / 4)


def test_two_classes_of_one_output():
    p = np.array([[0.25], [1.0]])
    np.testing.assert_array_equal(answers.complement(NUMPY, p), [[0.75], [0.0]])
    np.testing.assert_array_equal(answers.opposite(NUMPY, p), -p)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tempered_probabilities(temperature):
    p = np.array([[0.0, 0.25, 0.75], [0.2, 0.3, 0.5]])
    q = answers.tempered(NUMPY, p, temperature)
    want = p ** (1 / temperature)
    np.testing.assert_allclose(q, want / want.sum(axis=1, keepdims=True), rtol=1e-14)

"""What answers stand for."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.preprocess.decision import Decision


@pytest.mark.parametrize(
    ("kind", "want"),
    [
        ("largest", [1, 0, 0]),
        ("threshold", [1, 0, 1]),
        ("largest_logit", [1, 1, 0]),
        ("positive_logit", [0, 1, 0]),
        ("labels", [[False, True], [True, True], [False, False]]),
    ],
)
def test_decisions(kind, want):
    y = np.array([[0.25, 0.75], [0.7, 0.3], [0.5, 0.5]])
    z = np.array([[-1.0, 2.0], [1e-30, 1e-20], [0.0, 0.0]])
    decision = Decision(kind, ("no", "yes"), threshold=0.5)
    np.testing.assert_array_equal(decision.of([z], y), want)
    assert decision.by_logits == (kind in ("largest_logit", "positive_logit", "labels"))

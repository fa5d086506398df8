"""Loss and score on other rows."""

from __future__ import annotations

import numpy as np

from backhand import Network, Rows
from backhand.testing import assert_near
from backhand.train.evaluate import evaluate
from backhand.train.rows import checked

NET = Network((3, 8, 1), activation="tanh", dtype="float64")


def test_rows_in_pieces_have_the_loss_and_score_of_all_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    params = NET.init("glorot_normal", 1)
    x, t = rng.standard_normal((50, 3)), rng.standard_normal((50, 1))
    rows = checked(NET, Rows(x, t, rng.random(50)), "validation")
    score = lambda z, t: float((z * t).sum())  # noqa: E731
    want = NET.batch_loss(params, *rows), score(NET.forward(params, rows.x), rows.t)
    for at_once in (1, 7, 50, 1000):
        monkeypatch.setattr("backhand.train.rows.EVALUATED_AT_ONCE", at_once)
        assert_near(evaluate(NET, params, rows, score), want, rtol=1e-12)

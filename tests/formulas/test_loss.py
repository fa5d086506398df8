"""Each row's part of a batch's loss."""

from __future__ import annotations

from backhand.formulas import loss
from backhand.testing import assert_near


def test_share_is_by_weight_alone(rng):
    weight = rng.random((9, 1))
    assert_near(loss.share(weight, 4).sum(), 1 / 4, rtol=1e-14)
    assert_near(loss.share(8 * weight, 4), loss.share(weight, 4), rtol=1e-14)

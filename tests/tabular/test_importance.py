from __future__ import annotations

import numpy as np

from backhand.tabular.importance import shuffled_losses


def test_a_column_that_decides_is_all_that_matters():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    before = x.copy()
    found = shuffled_losses(
        x,
        {"idle": [0], "both": [1, 3], "last": [2]},
        lambda x: float(x[:, 3] @ before[:, 3]),
        3,
        rng,
    )
    assert list(found) == ["both", "idle", "last"]
    assert found["both"].shape == (3,)
    assert (found["both"] > 0).all()
    assert not found["idle"].any()
    np.testing.assert_array_equal(x, before)

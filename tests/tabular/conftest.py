"""Small recipes and tables, so that a test trains for a moment."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from backhand.tabular.recipes import PIECES, WAVES, Recipe


@pytest.fixture(scope="session")
def recipe():
    kinds = tuple(
        dataclasses.replace(kind, hidden=(16, 16), epochs=1.0) for kind in (WAVES, PIECES)
    )
    return Recipe(kinds, 0.25, ((10**9, 12, 32),))


@pytest.fixture(scope="session")
def table():
    """300 rows of numbers, categories few and many, a date, and gaps."""
    rng = np.random.default_rng(0)
    n = 300
    a, b = rng.normal(size=(2, n))
    few = rng.choice(["red", "green", "blue"], n)
    many = rng.choice([f"town {i}" for i in range(14)], n)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 700, n), "D")
    tail = rng.lognormal(0, 2, n)
    frame = pd.DataFrame({"a": a, "b": b, "few": few, "many": many, "day": day, "tail": tail})
    frame.loc[rng.choice(n, 20, replace=False), "b"] = np.nan
    value = 2 * a + (few == "red") * 3 + (many == "town 3") * 2 + rng.normal(size=n) * 0.3
    return frame, value


def same(one, other):
    """Whether two fitted models have the same bits."""
    first, second = (m.model_.tensors() for m in (one, other))
    return first.keys() == second.keys() and all(
        np.array_equal(a, second[name]) for name, a in first.items()
    )

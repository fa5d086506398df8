"""A small estimator of each kind, fitted once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from backhand import TabularClassifier, TabularRegressor, Watcher
from backhand.report.page.subjects import held_out_weights, of_table
from backhand.tabular.recipes import PIECES, WAVES, Recipe

KINDS = tuple(dataclasses.replace(kind, hidden=(16, 16), epochs=1.0) for kind in (WAVES, PIECES))
RECIPE = Recipe(KINDS, 0.25, ((10**9, 12, 32),))


def table(rows=300):
    """Numbers, categories few and many, a date and gaps; and what follows from them."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, rows))
    frame = pd.DataFrame(
        {
            "a": a,
            "b": b,
            "few": rng.choice(["red", "green", "blue"], rows),
            "many": rng.choice([f"town {i}" for i in range(14)], rows),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), "D"),
            "noise": rng.normal(size=rows),
        }
    )
    frame.loc[rng.choice(rows, 20, replace=False), "b"] = np.nan
    return frame, 2 * a + (frame.few == "red") * 3 + (frame.many == "town 3") * 2


def target_of(kind, value):
    if kind == "regression":
        return pd.Series(value, name="price")
    edges = [0.5] if kind == "binary" else [-1.0, 2.0]
    return pd.Series(np.array(["low", "high", "top"])[np.digitize(value, edges)], name="level")


@pytest.fixture(scope="package")
def fitted():
    """From "binary", "several" or "regression" to an estimator and its rows."""
    made = {}

    def fit(kind):
        if kind not in made:
            frame, value = table()
            y = target_of(kind, value)
            maker = TabularRegressor if kind == "regression" else TabularClassifier
            model = maker(RECIPE, random_state=0, callbacks=[Watcher()]).fit(frame, y)
            made[kind] = model, frame, y
        return made[kind]

    return fit


@pytest.fixture(scope="package")
def subject(fitted):
    """From a kind to the subject of its held-out rows."""

    def of(kind):
        model, frame, _ = fitted(kind)
        weights = held_out_weights(model.model_, model.members_)
        held = model.held_out_
        return of_table(model.model_, frame, held.y, which=held.rows, weights=weights)

    return of

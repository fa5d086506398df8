"""Planted identifiers are found, and measurements stay."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from backhand.preprocess.identifiers import number_identifier, text_identifier

N = 200
TRAIN = np.random.default_rng(1).permutation(N)[:120]
SHUFFLED = np.random.default_rng(2).permutation(N)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Unnamed: 0", np.arange(N)),
        ("", 1 + np.arange(N)),
        ("id", 5000 + np.arange(N)),
        ("S.No", 1 + np.arange(N)),
        ("obs", 1 + np.arange(N)),
        ("index", np.arange(N)),
        ("rownames", 1 + SHUFFLED),
        ("PassengerId", 1 + SHUFFLED),
        ("customer_id", 10_000_000 + SHUFFLED * 977),
        ("userid", 1 + SHUFFLED),
        ("OrderID", np.cumsum(1 + SHUFFLED)),
        ("invoice no", np.cumsum(1 + SHUFFLED)),
    ],
)
def test_identifiers(name, values):
    values = values.astype(float)
    assert number_identifier(name, values[TRAIN], TRAIN)
    assert number_identifier(name, values, np.arange(N))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("size", np.random.default_rng(3).normal(size=N)),
        ("x", np.arange(N)),
        ("dose", 1 + np.arange(N)),
        ("names_given", 1 + np.arange(N)),
        ("year", 1800 + np.arange(N)),
        ("week", 1 + np.arange(N)),
        ("time", np.arange(N)),
        ("population", np.cumsum(1 + SHUFFLED)),
        ("rank", 1 + SHUFFLED),
        ("number", SHUFFLED * 31),
        ("humid", SHUFFLED * 31),
        ("fixed acid", SHUFFLED * 31),
        ("idle_seconds", SHUFFLED * 31),
        ("temperature", 10 + np.arange(N)),
        ("customer_id", SHUFFLED // 2),
        ("id", np.arange(N) + 0.5),
        ("code", SHUFFLED * 31),
        ("timestamp", 1_600_000_000 + np.cumsum(1 + SHUFFLED)),
    ],
)
def test_measurements(name, values):
    values = values.astype(float)
    assert number_identifier(name, values[TRAIN], TRAIN) is None
    assert number_identifier(name, values, np.arange(N)) is None


def test_few_rows_say_nothing():
    assert number_identifier("id", np.arange(19.0), np.arange(19)) is None
    assert text_identifier(pa.array([f"a{i}" for i in range(19)])) is None


def test_a_missing_number_is_none_of_a_row():
    values = np.arange(50.0)
    values[3] = np.nan
    assert number_identifier("id", values, np.arange(50)) is None


def test_texts():
    unique = [f"a{i}" for i in range(100)]
    assert text_identifier(pa.array(unique)).startswith("an identifier, different in every row")
    assert text_identifier(pa.array([*unique[:96], *["a"] * 4])).startswith("an identifier, hardly")
    assert text_identifier(pa.array([*unique[:90], *["a"] * 10])) is None
    assert text_identifier(pa.array([*unique, *[None] * 400]))

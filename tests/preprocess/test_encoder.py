from __future__ import annotations

import pickle

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.preprocess import encoder as encoder_module
from backhand.preprocess.checks import finite, text
from backhand.preprocess.encoder import Part, optional, rare_below, tuple_of
from backhand.preprocess.preparation import TablePreparation
from backhand.preprocess.scaling import levels


def test_an_indicator_needs_a_few_rows():
    assert [rare_below(n) for n in (1, 49, 50, 99, 100, 10**6)] == [1, 1, 2, 2, 3, 3]
    (encoder,) = TablePreparation.fit({"a": [*range(0, 200, 2), None, None]}).encoders
    assert (encoder.missing, encoder.has_gap) == (2, False)


def test_gaps_are_scaled_as_a_column_of_zeros_and_ones():
    (encoder,) = TablePreparation.fit({"a": [1.0, None, 3.0, 4.0, None]}).encoders
    x = np.zeros((3, 4), np.float32)
    encoder.write(np.array([np.nan, 3.0, np.nan]), Part(x[:, :1], x[:, 1:2], x[:, 4:]))
    off, on = levels(2, 5)
    np.testing.assert_allclose(x, [[0, on, 0, 0], [0, off, 0, 0], [0, on, 0, 0]], rtol=1e-6)


def test_slots_are_what_the_columns_of_x_are_made_of(rng):
    table = {
        "a": rng.standard_cauchy(300),
        "d": np.arange(300) * 7.3 + np.datetime64("2020-01-01T00:00", "s").astype(int),
        "c": rng.choice(list("uvwxy"), 300),
    }
    for encoder in TablePreparation.fit(table, keep=["d"]).encoders:
        named = encoder.numbers, encoder.indicators, [encoder.name] * bool(encoder.frequencies)
        assert [len(slots) for slots in encoder.slots] == [len(names) for names in named]


def test_encoders_that_have_encoded_are_pickled_as_they_were_fitted(rng):
    table = {"a": rng.normal(size=50), "c": rng.choice(list("uvw"), 50)}
    preparation = TablePreparation.fit(table)
    before = pickle.dumps(preparation)
    x = preparation.apply(table)
    assert pickle.dumps(preparation) == before
    np.testing.assert_array_equal(pickle.loads(before).apply(table), x)


def test_rows_are_written_some_at_a_time(monkeypatch, rng):
    values = np.where(rng.random(100) < 0.1, np.nan, rng.standard_cauchy(100))
    preparation = TablePreparation.fit({"a": values})
    x = preparation.apply({"a": values})
    monkeypatch.setattr(encoder_module, "AT_ONCE", 7)
    np.testing.assert_array_equal(preparation.apply({"a": values}), x)


def test_checks_of_entries():
    assert optional(text)(None, "here") is None
    assert optional(text)("a", "here") == "a"
    assert tuple_of(finite)([1, 2.5], "here") == (1.0, 2.5)
    with pytest.raises(InputError, match="here: must be text, not 1"):
        optional(text)(1, "here")
    with pytest.raises(InputError, match="here: must be a number"):
        tuple_of(finite)([1, "a"], "here")

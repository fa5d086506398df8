from __future__ import annotations

import numpy as np
import pytest
import sklearn.datasets

from backhand.datasets.digits import load_digits
from backhand.errors import InputError


def test_digits_are_split_standardised_and_complete():
    data = load_digits(seed=0)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1077, 360, 360]
    assert data.task == "classification"
    assert data.classes == list(range(10))
    assert len(data.feature_names) == 64
    for part in (data.train, data.validation, data.test):
        assert part.x.dtype == np.float32
        assert part.x.flags.c_contiguous
        assert part.t.dtype == np.int64
        assert set(part.t) == set(range(10))
    raw = sklearn.datasets.load_digits().data
    whole = np.concatenate([data.train.x, data.validation.x, data.test.x])
    back = np.rint((whole * data.preparation.std + data.preparation.mean) * 16)
    np.testing.assert_array_equal(sorted(map(tuple, back)), sorted(map(tuple, raw)))


def test_the_statistics_are_of_the_training_rows_alone():
    data = load_digits(seed=4)
    assert abs(data.train.x.mean(dtype=np.float64)) < 1e-6
    assert abs(data.train.x.std(dtype=np.float64) - 1) < 1e-6
    # Statistics of all rows would have made this one zero.
    whole = np.concatenate([data.train.x, data.validation.x, data.test.x])
    assert abs(whole.mean(dtype=np.float64)) > 1e-5


def test_the_seed_decides_the_split():
    first, again, other = (load_digits(seed).train for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)
    with pytest.raises(InputError, match="seed -1"):
        load_digits(-1)

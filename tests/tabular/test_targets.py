"""What a network learns of a target."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand.errors import InputError
from backhand.tabular.targets import TargetScale


@pytest.mark.parametrize("log", [False, True])
def test_decoding_undoes_encoding(log):
    y = np.random.default_rng(0).lognormal(3.0, 1.0, 200)
    scale = TargetScale.of(y, log)
    z = scale.encode(y)
    assert z.shape == (200, 1)
    assert z.dtype == np.float32
    assert abs(z.mean()) < 1e-5
    assert abs(z.std() - 1) < 1e-5
    # z is rounded to float32, of a size up to 4, and its error is multiplied by the spread
    np.testing.assert_allclose(scale.decode(z), y, rtol=4 * 2.0**-24 * 40, atol=4e-7 * scale.std)


def test_one_value_is_no_division_by_zero():
    scale = TargetScale.of(np.full(5, 7.0))
    np.testing.assert_array_equal(scale.decode(scale.encode(np.full(5, 7.0))), 7.0)


def test_smearing_makes_means_equal():
    y = np.random.default_rng(0).lognormal(3.0, 0.5, 2000)
    scale = TargetScale.of(y, log=True)
    z = np.zeros((2000, 1), np.float32)  # the best that can be said of the logarithm
    assert scale.decode(z).mean() < 0.95 * y.mean()
    assert scale.smeared(y, z).decode(z).mean() == pytest.approx(y.mean())


def test_only_a_long_tail_of_positive_numbers_is_worth_a_logarithm():
    rng = np.random.default_rng(0)
    assert TargetScale.may_be_log(rng.lognormal(0, 1, 500))
    assert not TargetScale.may_be_log(rng.lognormal(0, 1, 500) - 1)
    assert not TargetScale.may_be_log(rng.uniform(1, 2, 500))
    assert not TargetScale.may_be_log(np.ones(500))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"std": 0.0}, "scale: std: must be greater than 0"),
        ({"std": "x"}, "scale: std: must be a number"),
        ({"std": 10**400}, "scale: std: must be finite"),
        ({"mean": float("nan")}, "scale: mean: must be finite"),
        ({"log": 1}, "scale: log: must be true or false"),
        ({"more": 1}, "scale: 'more' is not known"),
    ],
)
def test_edited_entries_are_refused(entries, message):
    good = dataclasses.asdict(TargetScale(1.0, 2.0, True, 1.1))
    assert TargetScale.from_dict(good) == TargetScale(1.0, 2.0, True, 1.1)
    with pytest.raises(InputError, match=message):
        TargetScale.from_dict({**good, **entries})

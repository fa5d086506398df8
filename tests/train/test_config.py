"""How to train: values that are taken, and those that are refused in one line."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest

from backhand import TrainConfig
from backhand.errors import InputError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"epochs": -1}, "epochs must be at least 0, got -1"),
        ({"epochs": 1.5}, "epochs must be a whole number, got 1.5"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"learning_rate": -0.1}, "learning_rate must be a finite number, at least 0, got -0.1"),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number, at least 0, got nan"),
        ({"learning_rate": math.inf}, "learning_rate must be .* got inf"),
        ({"l2": -1e-9}, "l2 must be .* got -1e-09"),
        ({"optimiser": "adamm"}, "unknown optimiser 'adamm': did you mean 'adam"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin': did you mean 'cosine'"),
        ({"engine": "nunpy"}, "unknown engine 'nunpy': did you mean 'numpy'"),
        ({"engine": ["numpy"]}, "unknown engine"),
    ],
)
def test_settings_refuse(words, said):
    with pytest.raises(InputError, match=said):
        TrainConfig(**words)


NO_VALUES = (
    True,
    np.bool_(True),
    None,
    "1",
    b"1",
    1j,
    np.complex64(1),
    [1],
    np.array([1, 2]),
    {},
)


@pytest.mark.parametrize("value", NO_VALUES, ids=repr)
@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(TrainConfig)])
def test_every_setting_refuses_what_is_no_value_of_it(field, value):
    allowed = {
        "shuffle": isinstance(value, (bool, np.bool_)),
        "patience": value is None,
        "threads": value is None,
        "clip_norm": value is None,
        "engine": value is None,
        "schedules": isinstance(value, dict),
    }
    if allowed.get(field, False):
        assert getattr(TrainConfig(**{field: value}), field) in (value, "llvm", "numpy")
        return
    with pytest.raises(InputError, match=field) as caught:
        TrainConfig(**{field: value})
    assert "\n" not in str(caught.value)


def test_settings_take_numpy_numbers():
    settings = TrainConfig(epochs=np.int64(3), learning_rate=np.float32(0.5), patience=None)
    assert settings.epochs == 3
    assert settings.learning_rate == 0.5


@pytest.mark.parametrize("name", ["learning_rate", "l2", "min_delta", "clip_norm"])
def test_numbers_of_any_kind_are_settings_and_none_beyond_a_float(name):
    for value in (np.float16(1), np.float32(1), np.longdouble(1), np.int8(1), Fraction(1)):
        settings = TrainConfig(**{name: value})
        found = settings.optimiser.clip_norm if name == "clip_norm" else getattr(settings, name)
        assert found == 1.0
        assert type(found) is float
    for value in (10**400, np.longdouble("inf"), math.nan, "1", 1j, [1]):
        with pytest.raises(InputError, match=f"{name} must be a finite number"):
            TrainConfig(**{name: value})

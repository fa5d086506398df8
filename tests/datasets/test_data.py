from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand import Rows
from backhand.datasets.data import Data
from backhand.preprocess.pixels import Standardise


def test_data_is_frozen_and_has_no_target_scale_unless_told():
    part = Rows(np.zeros((2, 3), np.float32), np.zeros(2, np.int64))
    preparation = Standardise(0.0, 1.0, 1.0, 3)
    data = Data(
        "made up", "classification", part, part, part, [0, 1], preparation, None, ["a", "b", "c"]
    )
    assert (data.target_mean, data.target_std) == (0.0, 1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"  # type: ignore[misc]

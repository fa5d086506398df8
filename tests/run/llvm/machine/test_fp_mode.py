"""Subnormal numbers are zeros in native code, and are what they were outside of it."""

from __future__ import annotations

import numpy as np
import pytest

from backhand.formulas.optimisers import OPTIMISERS
from backhand.network import Network
from backhand.run.llvm.runtime.engine import CompiledTrainer

from ..problems import scalars_of


@pytest.mark.parametrize("threads", [1, 2])
def test_moments_decay_to_zero_and_the_mode_is_put_back(threads):
    network = Network((6, 5, 2), loss="softmax_cross_entropy")
    adam = OPTIMISERS["adam"]
    x, t = np.zeros((2000, 6), np.float32), np.zeros((2000, 1), np.int64)
    x[0] = 1  # the only row that gives the first weights a gradient
    scalars = scalars_of(network, adam, 2000, 1e-3)
    trainer = CompiledTrainer(network, network.init("kaiming_normal", 0), adam, threads=threads)
    tiny = np.float32(1e-40)
    order = np.arange(2000)
    trainer.epoch(x[:200], t[:200], None, order[:200], 1, scalars, 0)
    assert np.any(trainer.state["m_w1"] != 0)
    trainer.epoch(x[1:], t[1:], None, order[:1999], 1, scalars, 200)
    np.testing.assert_array_equal(trainer.state["m_w1"], 0)  # 0.9**1999 is far below any number
    assert tiny / np.float32(2) > 0


def test_one_row_counts_subnormal_inputs_as_zeros_as_many_rows_do():
    network = Network((3, 2))
    params = {"w1": np.full((3, 2), 1e30, np.float32), "b1": np.zeros(2, np.float32)}
    predict = network.predictor(params)
    x = np.full((4, 3), 1e-40, np.float32)
    np.testing.assert_array_equal(predict(x), 0)
    np.testing.assert_array_equal(predict(x[:1]), 0)
    assert x[0, 0] * np.float32(0.5) > 0

"""The order of an epoch: that of the array executor, every row once, and no place preferred."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from backhand.formulas.optimisers import OPTIMISERS
from backhand.network import Network
from backhand.run.array_executor import ArrayTrainer
from backhand.run.llvm.program.shuffle import shuffled
from backhand.run.llvm.runtime.engine import CompiledTrainer

NETWORK = Network((3, 2))
START = NETWORK.init("kaiming_normal", 0)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 100, 4097])
@pytest.mark.parametrize(("seed", "step"), [(0, 0), (2**32 - 1, 7), (5, 2**32 + 3)])
def test_the_executors_draw_the_same_order(rows, seed, step):
    trainers = (
        kind(NETWORK, START, OPTIMISERS["sgd"], seed) for kind in (CompiledTrainer, ArrayTrainer)
    )
    one, other = (trainer.shuffled(rows, step) for trainer in trainers)
    assert one.dtype == other.dtype == np.int64
    np.testing.assert_array_equal(one, other)
    assert sorted(one.tolist()) == list(range(rows))


def test_other_epochs_and_seeds_give_other_orders():
    orders = {shuffled(50, seed, step).tobytes() for seed in range(20) for step in range(20)}
    assert len(orders) == 400


def test_all_orders_are_equally_likely():
    """Of four rows, over 24,000 epochs; chi-squared with 23 degrees of freedom."""
    counts = Counter(tuple(shuffled(4, 1, step).tolist()) for step in range(24_000))
    assert len(counts) == math.factorial(4)
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 49.7  # once in 1,000


def test_no_row_prefers_a_place():
    """Mean places of 200 rows over 2,000 epochs, in standard deviations of such a mean."""
    rows, epochs = 200, 2000
    places = np.mean([np.argsort(shuffled(rows, 3, step)) for step in range(epochs)], axis=0)
    deviation = math.sqrt((rows**2 - 1) / 12 / epochs)
    assert abs(places - (rows - 1) / 2).max() < 4.5 * deviation

"""Memory: no second copy of the data, no more than the design allows, no growth.

Counted by `tracemalloc`, which knows of every array: what a process has resident is the machine's.
"""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from backhand.formulas.optimisers import OPTIMISERS
from backhand.network import Network
from backhand.run.llvm.runtime.engine import CompiledTrainer
from backhand.train.rows import Rows, checked

from .problems import scalars_of

WIDTHS, BATCH, BATCHES, ROWS = (1000, 100, 10), 256, 6, 16_000
NETWORK = Network(WIDTHS, activation="relu", loss="softmax_cross_entropy")
DATA = ROWS * WIDTHS[0]  # bytes of uint8


def trained(x, epochs):
    """Bytes in arrays after each epoch, and the most that there were, beyond those before."""
    adam = OPTIMISERS["adam"]
    scalars = scalars_of(NETWORK, adam, BATCHES)
    t, params = np.zeros((len(x), 1), np.int64), NETWORK.init("kaiming_normal")
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        trainer, after = CompiledTrainer(NETWORK, params, adam, threads=2), []
        for _ in range(epochs):
            given = checked(NETWORK, Rows(x, t), "training")
            order = np.random.default_rng(0).permutation(len(x))[: BATCHES * BATCH]
            trainer.epoch(*given, order, min(BATCH, len(x)), scalars, 0)
            del given, order
            after.append(tracemalloc.get_traced_memory()[0] - before)
        return after, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "x.npy"
    x = np.lib.format.open_memmap(path, "w+", np.uint8, (ROWS, WIDTHS[0]))
    x[:] = np.arange(WIDTHS[0], dtype=np.uint8)
    x.flush()
    trained(x[:8], 1)  # everything imported and compiled
    return trained(np.load(path, mmap_mode="r"), 8)


def needed():
    """Bytes of parameters, Adam's state, the buffers of one batch, and the order of the rows."""
    parameters = NETWORK.n_parameters
    kept = 1 + len(OPTIMISERS["adam"].state)
    batch = BATCH * (WIDTHS[0] + 4 * sum(WIDTHS[1:]))
    return 4 * (kept * parameters + batch) + 8 * ROWS


def test_the_data_is_not_copied_and_what_is_taken_is_what_is_needed(measured):
    _, most = measured
    assert most < DATA  # a copy as uint8 would be as much, as float32 four times
    assert most <= 1.2 * needed(), f"{most / 2**20:.1f} MiB, needed {needed() / 2**20:.1f}"


def test_memory_does_not_grow_with_epochs(measured):
    after, _ = measured
    assert after[-1] <= after[1] + 2**14

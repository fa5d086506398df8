"""Memory: no second copy of the data, no more than the design allows, no growth."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from backhand.formulas.optimisers import OPTIMISERS
from backhand.network import Network

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

WIDTHS, BATCH, ROWS = (2000, 500, 10), 512, 40_000
SCRIPT = """
import re, sys
import numpy as np
from backhand.network import Network
from backhand.run.llvm.engine import CompiledTrainer
from backhand.formulas.optimisers import OPTIMISERS
from backhand.formulas.schedules import SCHEDULES
from backhand.training import Rows, checked, step_scalars

def kibibytes(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

path, widths, batch = sys.argv[1], eval(sys.argv[2]), int(sys.argv[3])
network = Network(widths, activation="relu", loss="softmax_cross_entropy")
x = np.load(path, mmap_mode="r")
t = np.zeros((len(x), 1), np.int64)
params, adam = network.init("kaiming_normal"), OPTIMISERS["adam"]
scalars, _ = step_scalars(adam, SCHEDULES["constant"], 0.01, np.arange(6.0), 6)

def epoch(trainer, x, t):
    x, t, weight = checked(network, Rows(x, t), "training")
    order = np.random.default_rng(0).permutation(len(x))[: 6 * batch]
    trainer.epoch(x, t, weight, order, batch, scalars, np.zeros(6), 0)

# the floor: everything imported and compiled, on next to no data
small = CompiledTrainer(network, params, adam, threads=2)
epoch(small, np.zeros((8, widths[0]), np.uint8), t[:8])
del small
floor = kibibytes("RssAnon")
trainer = CompiledTrainer(network, params, adam, threads=2)
seen = []
for _ in range(8):
    epoch(trainer, x, t)
    seen.append(kibibytes("RssAnon"))
print(floor, max(seen), seen[1], seen[-1])
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "x.npy"
    x = np.lib.format.open_memmap(path, "w+", np.uint8, (ROWS, WIDTHS[0]))
    x[:] = np.arange(WIDTHS[0], dtype=np.uint8)
    x.flush()
    del x
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), repr(WIDTHS), str(BATCH)],
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "MALLOC_MMAP_THRESHOLD_": "65536",  # what is freed is given back, and counts no more
        },
    )
    path.unlink()
    assert done.returncode == 0, done.stderr
    names = ("floor", "most", "early", "late")
    return dict(zip(names, (1024 * int(n) for n in done.stdout.split()), strict=True))


def needed():
    """Bytes of parameters, Adam's state and the buffers of one batch."""
    network = Network(WIDTHS)
    parameters = sum(d * k + k for d, k in network.shapes)
    kept = 1 + len(OPTIMISERS["adam"].state)
    batch = BATCH * (WIDTHS[0] + 4 * sum(WIDTHS[1:]))
    return 4 * (kept * parameters + batch)


def test_the_data_is_not_copied_and_what_is_taken_is_what_is_needed(measured):
    data = ROWS * WIDTHS[0]
    taken = measured["most"] - measured["floor"]
    assert taken < data  # a copy as uint8 alone would be as much, as float32 four times
    assert taken <= 1.5 * needed(), f"{taken / 2**20:.0f} MiB, needed {needed() / 2**20:.0f}"


def test_memory_does_not_grow_with_epochs(measured):
    assert measured["late"] <= measured["early"] + 2**20

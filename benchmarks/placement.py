"""What it costs a small network where its buffers lie: the same training in many places.

    python benchmarks/placement.py [--widths 64 64 64 2] [--batch 1] [--trainers 12]

Every trainer gets its buffers where the memory allocator puts them by then, once side by side, as
the engine has them, and once each on its own. All train in turns; printed are the quartiles of
their median times for a step, and the slowest.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

from backhand.network import Network
from backhand.run.llvm.runtime import instance as instance_module
from backhand.train.config import TrainConfig
from backhand.train.loop import TrainLoop
from backhand.train.rows import Rows

SECONDS = 0.01
"""Of a measurement, about."""


def allocate_apart(wanted: dict[str, tuple[tuple[int, ...], Any]]) -> dict[str, Any]:
    """In place of `instance_module.allocate_arena`: every array on its own."""
    return {name: instance_module.aligned(shape, dtype) for name, (shape, dtype) in wanted.items()}


def main() -> None:
    """Print both distributions, which are measured in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 64, 64, 2])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--trainers", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    rng = np.random.default_rng()  # the places differ from run to run, and so may this
    count = 500 * given.batch
    x = rng.standard_normal((count, given.widths[0])).astype(np.float32)
    rows = Rows(x, rng.integers(0, given.widths[-1], (count, 1)))
    network = Network(tuple(given.widths), loss="softmax_cross_entropy")
    settings = TrainConfig(batch_size=given.batch, threads=1)
    engine, others, trainers = instance_module.allocate_arena, [], []
    for number in range(2 * given.trainers):
        instance_module.allocate_arena = allocate_apart if number % 2 else engine
        others.append(np.zeros(int(rng.integers(1, 50_000)), np.uint8))
        training = TrainLoop(network, network.init("kaiming_normal", 0), settings, count)
        training.epoch(rows)
        trainers.append(training)
    instance_module.allocate_arena = engine
    began = time.perf_counter()
    trainers[0].epoch(rows)
    epochs = max(1, int(SECONDS / (time.perf_counter() - began)))
    times: list[list[float]] = [[] for _ in trainers]
    for _ in range(given.rounds):
        for number in rng.permutation(len(trainers)):
            trainers[number].epoch(rows)
            began = time.perf_counter()
            for _ in range(epochs):
                trainers[number].epoch(rows)
            times[number].append((time.perf_counter() - began) / epochs / 500)
    for first, how in enumerate(("side by side", "each on its own")):
        medians = [1e6 * statistics.median(found) for found in times[first::2]]
        low, middle, high = statistics.quantiles(medians, n=4)
        text = f"{low:.2f}, {middle:.2f}, {high:.2f} us a step, at worst {max(medians):.2f}"
        print(f"{how:16} {text}")


if __name__ == "__main__":
    main()

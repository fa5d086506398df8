"""Whether training chooses its threads well: the automatic choice beside every fixed one.

    python benchmarks/threads.py [--widths 4 16 64 256 1024] [--batches 1 16 128 1024 4096]

For each width n a network n-n-n-2 trains for some batches with Adam. Printed is the time of the
automatic choice over that of the best fixed number of threads, and the numbers of both.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from typing import Any

import numpy as np

from backhand.formulas.optimisers import OPTIMISERS
from backhand.network import Network
from backhand.plan.scalars import step_scalars
from backhand.plan.step import training_plan
from backhand.run.llvm.host.team import available_threads
from backhand.run.llvm.runtime.engine import CompiledTrainer

ADAM = OPTIMISERS["adam"]
ENOUGH = 0.02
"""Seconds that a measured epoch takes at least."""
LARGEST = 1 << 25
"""Elements of the data at most."""


def epochs(width: int, batch: int, rounds: int) -> dict[int | None, float]:
    """Seconds a batch by number of threads, None for the automatic choice."""
    network = Network((width, width, width, 2), loss="softmax_cross_entropy")
    params = network.init("kaiming_normal", 0)
    rng = np.random.default_rng(0)
    work = (
        100_000 + 6 * (2 * width * width + 2 * width) * batch
    )  # even the smallest step takes 2 us
    batches = int(np.clip(ENOUGH * 5e10 / work, 2, max(2, LARGEST // (batch * width))))
    rows = batches * batch
    x = rng.standard_normal((rows, width)).astype(np.float32)
    t = rng.integers(0, 2, (rows, 1))
    steps = np.arange(float(batches))
    scalars = step_scalars(training_plan(network, ADAM), ADAM, steps, np.full(batches, 1e-3))
    order = rng.permutation(rows)
    counts: list[int | None] = [None, *range(1, available_threads() + 1)]
    trainers: dict[int | None, Any] = {
        n: CompiledTrainer(network, params, ADAM, threads=n) for n in counts
    }
    times: dict[int | None, list[float]] = {n: [] for n in counts}
    for number in range(rounds + 1):
        for n, trainer in trainers.items():
            start = time.perf_counter()
            trainer.epoch(x, t, None, order, batch, scalars, 0)
            if number:  # the first compiles
                times[n].append((time.perf_counter() - start) / batches)
    return {n: statistics.median(found) for n, found in times.items()}


def main() -> None:
    """Print a line for each shape, and the worst."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="*", default=[4, 16, 64, 256, 1024])
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 16, 128, 1024, 4096])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    worst = 0.0
    for width, batch in itertools.product(given.widths, given.batches):
        times = epochs(width, batch, given.rounds)
        chosen = times.pop(None)
        best = min(times, key=lambda n: times[n])
        ratio = chosen / times[best]
        worst = max(worst, ratio)
        each = ", ".join(f"{n} threads {1e6 * s:.2f} us" for n, s in times.items())
        print(
            f"width {width:4}, batch {batch:4}: automatic {ratio:.2f} of the best ({each})",
            flush=True,
        )
    print(f"at worst {worst:.2f} of the best")


if __name__ == "__main__":
    main()

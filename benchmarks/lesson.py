"""The two cells of the lesson: a 784-50-1 network forward, and forward and backward, and PyTorch.

    python benchmarks/lesson.py [--rounds 15]

Forward over 10,000 rows; then loss, gradients of all parameters and of the input over 50,000.
PyTorch runs with one thread and with all, and its better time counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from backhand.bench.peers import thread_counts
from backhand.network import Network

SECONDS = 1.0  # of a measurement
SETTLED = 0.3  # seconds after which another library's idle threads no longer spin


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of one call, the best of as many as take a second.

    The first ones after a pause may have to fetch the memory of their results from the host of a
    virtual machine, to which it has been given back.
    """
    time.sleep(SETTLED)
    times: list[float] = []
    while sum(times) < SECONDS:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return 1e3 * min(times)


def main() -> None:
    """Print medians over interleaved rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(0)
    network = Network((784, 50, 1), activation="relu", loss="mean_squared_error")
    params = network.init("kaiming_normal", 0)
    x = rng.standard_normal((50_000, 784)).astype(np.float32)
    t = rng.standard_normal((50_000, 1)).astype(np.float32)
    few = x[:10_000]
    tx, tt, tfew = torch.from_numpy(x), torch.from_numpy(t), torch.from_numpy(few)
    weights = [torch.from_numpy(a.copy()).requires_grad_() for a in params.values()]

    def torch_forward(inputs: torch.Tensor) -> torch.Tensor:
        w1, b1, w2, b2 = weights
        return torch.relu(inputs @ w1 + b1) @ w2 + b2

    def torch_both() -> None:
        tx.requires_grad_()
        tx.grad = None
        for a in weights:
            a.grad = None
        torch.nn.functional.mse_loss(torch_forward(tx), tt).backward()

    @torch.no_grad()
    def torch_few() -> None:
        torch_forward(tfew)

    calls = {
        "forward": (lambda: network.forward(params, few), torch_few),
        "both": (lambda: network.loss_and_grads(params, x, t, wrt_input=True), torch_both),
    }
    for name, (ours, theirs) in calls.items():
        times: dict[str, list[float]] = {}
        for _ in range(rounds + 1):
            times.setdefault("backhand", []).append(timed(ours))
            for threads in thread_counts():
                torch.set_num_threads(threads)
                times.setdefault(f"torch {threads}", []).append(timed(theirs))
        medians = {who: statistics.median(found[1:]) for who, found in times.items()}
        best = min(found for who, found in medians.items() if who != "backhand")
        text = ", ".join(f"{who} {found:.2f} ms" for who, found in medians.items())
        print(f"{name}: {text}: {best / medians['backhand']:.2f} times as fast")


if __name__ == "__main__":
    main()

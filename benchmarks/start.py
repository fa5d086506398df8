"""What it takes to begin: compilation, a small fit in a new process, and MNIST to 98 %.

    python benchmarks/start.py compile [--rounds 5]
    python benchmarks/start.py small [--rounds 7]
    python benchmarks/start.py mnist [--to 0.98] [--peers torch sklearn]

``compile``: the time to make a trainer ready, with an empty cache of its own and with a full one,
and for a second network in the same process. ``small``: a whole process that fits 150 rows, with a
full cache, beside scikit-learn's, and the quartiles of how much less it takes. ``mnist``: from the
start of a process to the test score that reaches 98 %, everyone with the same network, batches and
rate; all load MNIST with backhand, which finds it as `backhand train mnist` does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

WIDTHS = ("10,32,32,2", "784,50,10", "784,256,128,10", "20,64,64,64,64,3", "100,90,80,70,60,50,2")
SHARED = ("30,96,32,4",)

COMPILE = """
import sys, time
import numpy as np
from backhand.formulas.optimisers import OPTIMISERS
from backhand.network import Network
from backhand.plan.scalars import step_scalars
from backhand.plan.step import training_plan
from backhand.run.llvm import program  # imported by whoever compiles: not counted, as all imports
from backhand.run.llvm.runtime.engine import CompiledTrainer
from backhand.run.llvm.machine.target import Target
Target.host()
for text in sys.argv[1:]:
    widths = [int(n) for n in text.split(",")]
    hidden = (["relu", "tanh", "gelu", "logistic", "relu"] * 2)[: len(widths) - 2]
    network = Network(widths, activation=hidden, loss="softmax_cross_entropy")
    params = network.init("kaiming_normal", 0)
    x = np.zeros((64, widths[0]), np.float32)
    t = np.zeros((64, 1), np.int64)
    adam = OPTIMISERS["adam"]
    scalars = step_scalars(training_plan(network, adam), adam, np.zeros(1), np.zeros(1))
    start = time.perf_counter()
    trainer = CompiledTrainer(network, params, adam, threads=1)
    trainer.epoch(x, t, None, np.arange(64), 64, scalars, 0)
    print(time.perf_counter() - start)
"""

SMALL = """
import time, warnings
warnings.simplefilter("ignore")
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True)
loaded = time.perf_counter()
from {module} import MLPClassifier
MLPClassifier(random_state=0{more}).fit(X, y).score(X, y)
print(time.perf_counter() - loaded)
"""

LOAD = """
import numpy as np
from backhand import datasets
data = datasets.load("mnist")
x, t = data.train.x, np.asarray(data.train.t).reshape(-1)
xt, tt = data.test.x, np.asarray(data.test.t).reshape(-1)
x, xt = (np.ascontiguousarray(a, np.float32) for a in (x, xt))
GOAL, EPOCHS = {goal}, {epochs}
"""

SKLEARN_LIKE = """
import warnings
warnings.simplefilter("ignore")
from {module} import MLPClassifier
model = MLPClassifier((256, 128), batch_size=128, random_state=0)
for epoch in range(1, EPOCHS + 1):
    score = model.partial_fit(x, t, classes=np.arange(10)).score(xt, tt)
    print(epoch, score, flush=True)
    if score >= GOAL:
        break
"""

TORCH = """
import torch
torch.manual_seed(0)
layers = [torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 128), torch.nn.ReLU()]
model = torch.nn.Sequential(*layers, torch.nn.Linear(128, 10))
adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
x, t, xt, tt = (torch.from_numpy(a) for a in (x, t.astype(np.int64), xt, tt.astype(np.int64)))
for epoch in range(1, EPOCHS + 1):
    for rows in torch.randperm(len(x)).split(128):
        adam.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(x[rows]), t[rows]).backward()
        adam.step()
    with torch.no_grad():
        score = (model(xt).argmax(1) == tt).float().mean().item()
    print(epoch, score, flush=True)
    if score >= GOAL:
        break
"""


def process(program: str, *arguments: str, cache: str | None = None) -> tuple[float, list[str]]:
    """Run a program in a new process; its seconds, and the lines that it printed."""
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode
    if cache is not None:
        environment["BACKHAND_CACHE"] = cache
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr)
    return seconds, done.stdout.split("\n")[:-1]


def compilation(rounds: int) -> None:
    """Print medians of milliseconds for each network, cold and warm, and as a second one."""
    for widths in WIDTHS:
        cold, warm, second = [], [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as cache:
                cold.append(float(process(COMPILE, widths, cache=cache)[1][0]))
                warm.append(float(process(COMPILE, widths, cache=cache)[1][0]))
            with tempfile.TemporaryDirectory() as cache:
                second.append(float(process(COMPILE, *SHARED, widths, cache=cache)[1][1]))
        texts = [f"{1e3 * statistics.median(found):.0f} ms" for found in (cold, warm, second)]
        print(f"{widths}: cold {texts[0]}, warm {texts[1]}, after another network {texts[2]}")


def small(rounds: int) -> None:
    """Print medians of seconds for a process that fits iris, in turns, and by how much they differ.

    Seconds of processors do not count what other processes take. Those after the data are loaded,
    which is where the programs differ, vary least.
    """
    programs = {
        "backhand": SMALL.format(module="backhand", more=""),
        "backhand float32": SMALL.format(module="backhand", more=", dtype='float32'"),
        "scikit-learn": SMALL.format(module="sklearn.neural_network", more=""),
    }
    kinds: dict[str, dict[str, list[float]]] = {
        kind: {who: [] for who in programs} for kind in ("clock", "processors", "after the data")
    }
    for turn in range(rounds + 1):
        for who in sorted(programs, reverse=bool(turn % 2)):
            before = sum(os.times()[2:4])  # of processes that have ended
            seconds, lines = process(programs[who])
            measured = seconds, sum(os.times()[2:4]) - before, float(lines[-1])
            for kind, value in zip(kinds, measured, strict=True):
                kinds[kind][who].append(value)
    for kind, found in kinds.items():
        peer = found["scikit-learn"][1:]
        for who, times in found.items():
            less = [1e3 * (b - a) for a, b in zip(times[1:], peer, strict=True)]
            low, middle, high = statistics.quantiles(less, n=4)
            text = f"{low:.0f}, {middle:.0f}, {high:.0f} ms less" if who != "scikit-learn" else ""
            print(f"{kind}, {who}: {statistics.median(times[1:]):.3f} s; {text}")


def mnist(goal: float, peers: list[str]) -> None:
    """Print seconds from process start to the score, and how many epochs that took."""
    load = LOAD.format(goal=goal, epochs=20)
    programs = {
        "backhand": SKLEARN_LIKE.format(module="backhand"),
        "sklearn": SKLEARN_LIKE.format(module="sklearn.neural_network"),
        "torch": TORCH,
    }
    for who in ("backhand", *peers):
        seconds, lines = process(load + programs[who])
        epochs, score = lines[-1].split()
        print(f"{who}: {seconds:.2f} s to {float(score):.4f} after {epochs} epochs")


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("compile", "small", "mnist"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--to", type=float, default=0.98)
    parser.add_argument("--peers", nargs="*", default=["torch", "sklearn"])
    given = parser.parse_args()
    if given.what == "compile":
        compilation(given.rounds)
    elif given.what == "small":
        small(given.rounds)
    else:
        mnist(given.to, given.peers)


if __name__ == "__main__":
    main()

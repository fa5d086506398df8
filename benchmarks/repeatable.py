"""Whether training gives the same bits with more threads, other instructions, and inside joblib.

    python benchmarks/repeatable.py [--epochs 3] [--width 512] [--who NAME]

Each line is one training in a fresh process, from the same random_state and the same float32 rows,
by our MLPClassifier, scikit-learn's, or a plain loop of PyTorch's (left out if there is none). It
shows a digest of the weights' bits, whether they are those of the library's first line, and the
largest difference of a weight from it. Ours comes in float64, with engine="numpy" and with L-BFGS
as well, where more than the compiled executor is at work.

Instruction sets are chosen where libraries can be told: ours by its target, OpenBLAS, oneDNN,
MKL, NumPy and PyTorch's own kernels by their variables. "host" leaves the choice to each of them.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import itertools
import os
import platform
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

BATCH, RATE, SEED = 200, 1e-3, 1
INSTRUCTIONS = {
    "host": {},
    "avx512": {
        "OPENBLAS_CORETYPE": "SkylakeX",
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    },
    "avx2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
CASES = (  # threads (0: the library's own choice), instructions, trainings at once inside joblib
    (1, "host", 0),
    (2, "host", 0),
    (4, "host", 0),
    (1, "avx512", 0),
    (1, "avx2", 0),
    (0, "host", 0),
    (0, "host", 2),
)

Arrays = list[np.ndarray]


def by_estimator(
    kind: Any, x: np.ndarray, y: np.ndarray, given: argparse.Namespace, **more
) -> Arrays:
    """Train an estimator, ours or scikit-learn's."""
    settings = {"max_iter": given.epochs, "random_state": SEED, "batch_size": BATCH, **more}
    model = kind((given.width, given.width), **settings).fit(x, y)
    return [*model.coefs_, *model.intercepts_]


def by_ours(x: np.ndarray, y: np.ndarray, given: argparse.Namespace, **more: Any) -> Arrays:
    """Train ours."""
    from backhand import MLPClassifier
    from backhand.run.llvm.machine.target import Target

    if given.instructions != "host":
        chosen = Target.named(given.instructions)
        Target.host = classmethod(lambda cls: chosen)  # type: ignore[method-assign,assignment]
    return by_estimator(MLPClassifier, x, y, given, threads=given.threads or None, **more)


def by_sklearn(x: np.ndarray, y: np.ndarray, given: argparse.Namespace) -> Arrays:
    """Train scikit-learn's."""
    from sklearn.neural_network import MLPClassifier

    return by_estimator(MLPClassifier, x, y, given)


def by_torch(x: np.ndarray, y: np.ndarray, given: argparse.Namespace) -> Arrays:
    """Train a network of PyTorch's, by the loop that its tutorials show."""
    import torch
    from torch import nn

    if given.threads:
        torch.set_num_threads(given.threads)
    torch.manual_seed(SEED)
    rows, t = torch.from_numpy(x), torch.from_numpy(y)
    sizes = (x.shape[1], given.width, given.width, int(y.max()) + 1)
    layers = [nn.Linear(d, k) for d, k in itertools.pairwise(sizes)]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    optimiser, loss = torch.optim.Adam(model.parameters(), lr=RATE), nn.CrossEntropyLoss()
    for _ in range(given.epochs):
        for some in torch.randperm(len(rows)).split(BATCH):
            optimiser.zero_grad()
            loss(model(rows[some]), t[some]).backward()
            optimiser.step()
    return [p.detach().numpy() for p in model.parameters()]


TRAINERS: dict[str, Callable[..., Arrays]] = {
    "backhand": by_ours,
    "scikit-learn": by_sklearn,
    "PyTorch": by_torch,
    'backhand, dtype="float64"': lambda *args: by_ours(*args, dtype="float64"),
    'backhand, engine="numpy"': lambda *args: by_ours(*args, engine="numpy"),
    'backhand, solver="lbfgs"': lambda *args: by_ours(*args, solver="lbfgs"),
}


def train(given: argparse.Namespace) -> Arrays:
    """Train once, in this process."""
    from sklearn.datasets import load_digits

    warnings.simplefilter("ignore")  # so few epochs do not converge
    x, y = load_digits(return_X_y=True)
    return TRAINERS[given.who]((x / 16).astype(np.float32), y.astype(np.int64), given)


def child(given: argparse.Namespace) -> None:
    """Train as asked, and write the weights to a file."""
    if given.jobs:
        from joblib import Parallel, delayed

        import repeatable  # by its name, for joblib's workers

        arrays, other = Parallel(given.jobs)(delayed(repeatable.train)(given) for _ in range(2))
        if not all(map(np.array_equal, arrays, other)):
            print("two trainings at once differ from each other")
    else:
        arrays = train(given)
    np.savez(given.child, *arrays)


def trained(who: str, case: tuple[int, str, int], given: argparse.Namespace) -> Arrays:
    """Train in a fresh process."""
    threads, instructions, jobs = case
    limits = dict.fromkeys(THREADS, str(threads)) if threads else {}
    kept = {k: v for k, v in os.environ.items() if k not in THREADS}
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/weights.npz"
        command = [sys.executable, __file__, "--child", file, "--who", who]
        command += ["--threads", str(threads), "--instructions", instructions, "--jobs", str(jobs)]
        command += ["--epochs", str(given.epochs), "--width", str(given.width)]
        environment = {**kept, **limits, **INSTRUCTIONS[instructions], "PYTHONPATH": path}
        if instructions == "avx2":
            environment["NPY_DISABLE_CPU_FEATURES"] = " ".join(wider_in_numpy())
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        print(done.stdout, end="")
        with np.load(file) as arrays:
            return [arrays[name] for name in arrays.files]


def wider_in_numpy() -> list[str]:
    """What NumPy uses here that is wider than AVX2, by its own names."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return [name for name in found if "512" in name or name == "X86_V4"]


def can_run(instructions: str) -> bool:
    """Whether this processor has them."""
    from backhand.run.llvm.machine.target import Target

    return instructions == "host" or (
        Target.named(instructions).is_host_family
        and Target.named(instructions).vector_bytes <= Target.host().vector_bytes
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--who", choices=TRAINERS, help="this one alone")
    for name, kind in (("threads", int), ("jobs", int), ("instructions", str), ("child", str)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given)
        return
    here = f"Python {platform.python_version()}, {os.cpu_count()} processors"
    packages = ["numpy", "scikit-learn", "llvmlite"]
    packages += ["torch"] if importlib.util.find_spec("torch") else []
    print(", ".join([here, *(f"{name} {version(name)}" for name in packages)]), end="\n\n")
    print(
        "| trained by | threads | instructions | inside joblib | digest | same bits | difference |"
    )
    print("| --- | --- | --- | --- | --- | --- | ---: |")
    for who in [given.who] if given.who else TRAINERS:
        if who == "PyTorch" and "torch" not in packages:
            continue
        first: Arrays | None = None
        for case in CASES:
            if not can_run(case[1]):
                continue
            arrays = trained(who, case, given)
            first = arrays if first is None else first
            print(line(who, case, arrays, first), flush=True)


def line(who: str, case: tuple[int, str, int], arrays: Arrays, first: Arrays) -> str:
    """A row of the table."""
    threads, instructions, jobs = case
    digest = hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()[:12]
    same = all(a.tobytes() == b.tobytes() for a, b in zip(arrays, first, strict=True))
    apart = max(float(abs(a - b).max()) for a, b in zip(arrays, first, strict=True))
    cells = (who, threads or "its choice", instructions, f"n_jobs={jobs}" if jobs else "no")
    return f"| {' | '.join(map(str, cells))} | {digest} | {'yes' if same else 'NO'} | {apart:.1e} |"


if __name__ == "__main__":
    main()

"""Kills `backhand train` at random moments, resumes it, and compares with an undisturbed run.

    python tests/train/kills.py [--kills 500] [--seed 0] [--processes]

Most runs are children of one process that has loaded everything, so that most of their life is
training and writing; with ``--processes`` each is a new Python. A run is killed until it gets
through. It prints where the kills fell, and exits with 1 at the first model that differs.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence

INTERRUPTED = 130
MODEL, CHECKPOINT = "model.safetensors", "checkpoint.safetensors"
QUICK = ("train", "digits", "--hidden", "24,16", "--checkpoint-every", "1", "--epochs")
RUNS = {
    "dropout, one_cycle": (*QUICK, "25"),
    "early stopping": (*QUICK, "60", "--patience", "3", "--learning-rate", "0.02"),
    "clipped": (*QUICK, "25", "--optimiser", "momentum", "--clip-norm", "0.5"),
    "every 3 epochs": (*QUICK, "25", "--checkpoint-every", "3", "--optimiser", "adamw"),
    "by seconds": (*QUICK, "40", "--checkpoint-every", "0.02s", "--schedule", "cosine"),
    "float64, without order": (*QUICK, "20", "--dtype", "float64", "--seed", "5"),
    "lbfgs": (*QUICK, "30", "--optimiser", "lbfgs"),
}


def fork(words: Sequence[str]) -> int:
    """Run a command in a child that has everything loaded; its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        from backhand.cli.app import run

        code = run(words)
        sys.stderr.flush()
    except KeyboardInterrupt:  # before the command heeds it
        code = INTERRUPTED
    finally:
        os._exit(code)


def load() -> None:
    """Load all that a run needs, and compile it."""
    from backhand.cli.app import run

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        for words in RUNS.values():
            assert run([*words, "--out", "runs/loaded"]) == 0
            shutil.rmtree("runs/loaded")
    while threading.active_count() > 1:  # those of a fit end when they have been idle
        time.sleep(0.1)


def spawn(words: Sequence[str]) -> int:
    """Run a command in a new Python; its process id."""
    command = [sys.executable, "-m", "backhand", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL).pid


def ended(child: int) -> int:
    """Wait for a process; its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def digest(folder: pathlib.Path) -> str:
    return hashlib.sha256((folder / MODEL).read_bytes()).hexdigest()


def stage(folder: pathlib.Path) -> str:
    """What a kill has left."""
    beside = [path for path in folder.parent.iterdir() if path.name.startswith(".backhand-")]
    if not folder.exists():
        return "first checkpoint half-written" if beside else "before the first checkpoint"
    inside = [path for path in folder.iterdir() if path.name.startswith(".backhand-")]
    if (folder / MODEL).exists():
        return "model there, checkpoint not yet gone" if (folder / CHECKPOINT).exists() else "done"
    if any(path.is_dir() for path in inside):
        return "run half-written"
    return "checkpoint half-written" if inside else "between two checkpoints"


def cleared(folder: pathlib.Path) -> None:
    for path in folder.parent.iterdir():
        shutil.rmtree(path)


def campaign(kills: int, seed: int, start: Callable[[Sequence[str]], int]) -> int:
    dice, fell, resumed = random.Random(seed), collections.Counter(), 0
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        folder = pathlib.Path("runs/run")
        folder.parent.mkdir()
        if start is fork:
            load()
        wanted, lasts = {}, {}
        for name, words in RUNS.items():
            for _ in range(2):  # the second finds all code compiled
                began = time.monotonic()
                assert ended(start([*words, "--out", str(folder)])) == 0, name
                lasts[name] = time.monotonic() - began
                wanted[name] = digest(folder)
                cleared(folder)
        print({name: round(seconds, 2) for name, seconds in lasts.items()}, flush=True)
        while fell.total() < kills:
            name = dice.choice(list(RUNS))
            while not (folder / MODEL).exists() or (folder / CHECKPOINT).exists():
                again = (folder / CHECKPOINT).exists()
                resumed += again
                words = ("--resume", str(folder)) if again else (*RUNS[name][1:], "--out", folder)
                words = ["train", *map(str, words), *(["--checkpoint-every", "1"] * again)]
                child = start(words)
                # the end, where the run is written, is a small part of its life
                at = dice.choice((dice.uniform(0, 1.1), dice.uniform(0.8, 1.05)))
                time.sleep(at * lasts[name])
                os.kill(child, dice.choice((signal.SIGKILL,) * 4 + (signal.SIGINT,)))
                code = ended(child)
                if code == -signal.SIGKILL:
                    fell[stage(folder)] += 1
                elif code not in (0, INTERRUPTED, -signal.SIGINT):
                    print(f"{name}: {' '.join(words)} exits with {code}")
                    return 1
            files = sorted(path.name for path in folder.iterdir())
            if digest(folder) != wanted[name] or files != ["history.jsonl", MODEL, "run.json"]:
                print(f"{name}: another model than undisturbed, or leftovers: {files}")
                return 1
            cleared(folder)
    for where, count in fell.most_common():
        print(f"{count:4} {where}")
    print(f"{fell.total()} kills, {resumed} resumed: every model is that of the undisturbed run")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", action="store_true")
    given = parser.parse_args()
    return campaign(given.kills, given.seed, spawn if given.processes else fork)


if __name__ == "__main__":
    sys.exit(main())

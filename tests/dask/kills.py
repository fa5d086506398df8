"""Kills worker processes of Dask's in the midst of a phase, and compares with an undisturbed run.

    python -m tests.dask.kills [--kills 50] [--phases reading statistics training ...]

A worker is told to die in a task of the phase, by a file that exists once: so a kill falls into
that phase and no other. It prints how each run ended, and exits with 1 after a phase with a result
that has neither the bits of the undisturbed run nor one clear error, or with too few kills.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

PHASES = {
    "reading": ("backhand.dask.partitions", "joined"),
    "statistics": ("backhand.dask.passes", "statistics"),
    "preparing": ("backhand.dask.passes", "prepare"),
    "training": ("backhand.dask.training", "local_steps"),
    "exchange": ("backhand.train.shards", "average"),
    "prediction": ("backhand.dask.estimators", "_predicted"),
}
"""For each phase, a function that workers call in it: the module that calls it, and its name."""

DELAYS = 0.0, 0.002, 0.02
"""Seconds from a call to the death of its process."""


def arm(module, name, share, folder):
    """On a worker: make the first call that takes a token die, before, in the midst or after."""
    import importlib
    import threading

    home = importlib.import_module(module)
    original = getattr(home, name)
    original = getattr(original, "undisturbed", original)

    def die_or_not():
        for token in Path(folder).glob("kill*"):
            with contextlib.suppress(FileNotFoundError):
                token.unlink()  # one process has it
                return True
        return False

    def disturbed(*args, **more):
        if random.random() < share and die_or_not():
            delay = random.choice(DELAYS)
            if not delay:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return original(*args, **more)

    disturbed.undisturbed = original
    setattr(home, name, disturbed)


def fitted(client, folder, kills, phase, seed):
    """Fit and predict while workers die; the digest, or the error."""
    from dask.delayed import delayed  # noqa: F401  # loaded before anything is timed
    from distributed import WorkerPlugin
    from tests.dask.cluster import FEATURES, classifier, digest, frame, table

    from backhand.errors import BackhandError

    class Armed(WorkerPlugin):
        name = "armed"

        def setup(self, worker):
            if phase:
                arm(*PHASES[phase], 0.2, str(folder))

    client.register_plugin(Armed(), name="armed")
    for number in range(kills):
        (folder / f"kill{number}").touch()
    X = frame(6, table(1000, seed))
    try:
        model = classifier(client=client).fit(X[FEATURES], X.y)
        found = client.compute(model.predict_proba(X[FEATURES])).result(timeout=300)
    except BackhandError as error:
        return f"error: {error}"
    finally:
        left = len([*folder.glob("kill*")])
        for token in folder.glob("kill*"):
            token.unlink()
        fitted.killed = kills - left
        time.sleep(2 * max(DELAYS))  # whoever is to die is dead
        client.wait_for_workers(2)
    return digest(model) + found.tobytes().hex()[:64]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=50, help="of each phase")
    options.add_argument("--phases", nargs="+", default=[*PHASES], choices=[*PHASES])
    options.add_argument("--at-once", type=int, default=2, help="kills in one run")
    given = options.parse_args()
    from tests.dask.cluster import cluster, left_on

    with tempfile.TemporaryDirectory() as scratch:
        tokens, folder = Path(scratch, "tokens"), Path(scratch, "workers")
        tokens.mkdir()
        with cluster(2, folder) as client:
            wanted = fitted(client, tokens, 0, None, 0)
            for phase in given.phases:
                killed = same = runs = 0
                errors = []
                while killed < given.kills and runs < 4 * given.kills:
                    found = fitted(client, tokens, given.at_once, phase, 0)
                    killed, runs = killed + fitted.killed, runs + 1
                    same += found == wanted
                    if found != wanted:
                        print(f"{phase}: {found[:200]}", flush=True)
                        errors.append(found)
                told = f"{killed} kills, {runs} runs: {same} same bits, {len(errors)} errors"
                print(f"{phase}: {told}", flush=True)
                if killed < given.kills or not all(e.startswith("error: ") for e in errors):
                    return 1
            kept = len(left_on(client))
            print(f"{kept} results left on workers", flush=True)
        # Dask keeps two locks of its own
        left = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"]
        print(f"{len(left)} files left in the workers' folder", *left)
    return bool(left or kept)


if __name__ == "__main__":
    sys.exit(main())

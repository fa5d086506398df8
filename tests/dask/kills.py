"""Kills worker processes of Dask's in the midst of a phase, and compares with an undisturbed run.

    python -m tests.dask.kills [--kills 50] [--phases reading statistics training ...]

A worker is told to die in a task of the phase, by a file that exists once: so a kill falls into
that phase and no other. It prints how each run ended, and exits with 1 at the first result that
has neither the bits of the undisturbed run nor one clear error.
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


PAUSE = 3.0
"""Seconds between two kills: a nanny of Dask's gives up a worker that dies while it starts."""


def arm(module, name, share, folder):
    """On a worker: make the first call that takes a token die, before, in the midst or after."""
    import importlib
    import threading

    home = importlib.import_module(module)
    original = getattr(home, name)
    original = getattr(original, "undisturbed", original)

    def die_or_not():
        last = Path(folder, "last")
        if last.exists() and time.time() - last.stat().st_mtime < PAUSE:
            return False
        for token in Path(folder).glob("kill*"):
            with contextlib.suppress(FileNotFoundError):
                token.unlink()  # one process has it
                last.touch()
                return True
        return False

    def disturbed(*args, **more):
        if random.random() < share and die_or_not():
            delay = random.choice([0.0, 0.002, 0.02])
            if not delay:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return original(*args, **more)

    disturbed.undisturbed = original
    setattr(home, name, disturbed)


def fitted(client, folder, kills, phase, seed):
    """Fit and predict while workers die; the digest, or the error."""
    import dask.dataframe as dd
    from dask.delayed import delayed  # noqa: F401  # loaded before anything is timed
    from distributed import WorkerPlugin
    from tests.dask.cluster import FEATURES, digest, table
    from tests.dask.test_estimators import classifier

    from backhand.errors import BackhandError

    class Armed(WorkerPlugin):
        name = "armed"

        def setup(self, worker):
            if phase:
                arm(*PHASES[phase], 0.2, str(folder))

    client.register_plugin(Armed(), name="armed")
    for number in range(kills):
        (folder / f"kill{number}").touch()
    X = dd.from_pandas(table(1000, seed), npartitions=6)
    try:
        model = classifier(client=client, n_members=1).fit(X[FEATURES], X.y)
        found = client.compute(model.predict_proba(X[FEATURES])).result(timeout=300)
    except BackhandError as error:
        return f"error: {error}"
    finally:
        left = len([*folder.glob("kill*")])
        for token in folder.glob("kill*"):
            token.unlink()
        fitted.killed = kills - left
    return digest(model) + found.tobytes().hex()[:64]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=50, help="of each phase")
    options.add_argument("--phases", nargs="+", default=[*PHASES], choices=[*PHASES])
    options.add_argument("--at-once", type=int, default=2, help="kills in one run")
    given = options.parse_args()
    from tests.dask.cluster import cluster

    with tempfile.TemporaryDirectory() as scratch:
        tokens, folder = Path(scratch, "tokens"), Path(scratch, "workers")
        tokens.mkdir()
        with cluster(2, folder) as client:
            wanted = fitted(client, tokens, 0, None, 0)
        for phase in given.phases:
            killed = same = errors = runs = 0
            while killed < given.kills and runs < 4 * given.kills:
                with cluster(2, folder) as client:
                    found = wanted
                    while killed < given.kills and runs < 4 * given.kills and found == wanted:
                        found = fitted(client, tokens, given.at_once, phase, 0)
                        killed, runs = killed + fitted.killed, runs + 1
                        same += found == wanted
                if found != wanted:
                    print(f"{phase}: {found[:100]}", flush=True)
                    errors += 1
                    if not found.startswith("error: "):
                        return 1
            told = f"{killed} kills, {runs} runs: {same} same bits, {errors} errors"
            print(f"{phase}: {told}", flush=True)
        # Dask keeps two locks of its own
        left = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"]
        print(f"{len(left)} files left in the workers' folder", *left)
    return bool(left)


if __name__ == "__main__":
    sys.exit(main())

"""Kills fits to tables at random moments, goes on with them, and compares with undisturbed ones.

    python tests/tabular/kills.py [--kills 100] [--seed 0]

Fits are children of a process that has loaded everything, so most of their life is training and
writing. A fit is killed until it gets through. It prints how many files the kills have left, and
exits with 1 at the first model that differs.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

KINDS = {"in memory": None, "kept": "1G", "read again": 0}
"""What a stream's rows may take on the disk; None for a table in memory."""


def made(scratch):
    """A folder of Parquet files."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    for number in range(3):
        x = rng.normal(size=(400, 2))
        kind = rng.choice(["a", "b", "c"], 400)
        y = x[:, 0] + (kind == "a") > rng.normal(size=400)
        table = pa.table({"p": x[:, 0], "q": x[:, 1], "kind": kind, "y": y})
        pq.write_table(table, scratch / f"{number}.parquet", row_group_size=80)


def fit(kind, data, folder):
    """Fit; the digest of what was learned."""
    import pyarrow.parquet as pq

    from backhand import Checkpoint, Stream, TabularClassifier
    from backhand.tabular.recipes import PIECES, WAVES, Recipe, _with

    small = {"hidden": (24,), "learning_rate": 0.02}
    recipe = Recipe((_with(WAVES, 2, **small), _with(PIECES, 1, **small)), 0.25, ((10**9, 10, 32),))
    model = TabularClassifier(recipe, random_state=0, threads=2)
    checkpoint = None if folder is None else Checkpoint(folder, "0.02s")
    if KINDS[kind] is None:
        table = pq.read_table(data)
        y = table["y"].to_numpy(zero_copy_only=False)
        model.fit(table.drop_columns(["y"]), y, checkpoint=checkpoint)
    else:
        stream = Stream(str(data), window="12K", disk=KINDS[kind])
        model.fit(stream, target="y", checkpoint=checkpoint)
    digest = hashlib.sha256(repr(model.held_out_score_).encode())
    for name, a in sorted(model.model_.tensors().items()):
        digest.update(name.encode() + a.tobytes())
    return digest.hexdigest()


def started(kind, data, folder, out):
    """Fit in a child, which writes the digest to a file; its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        out.write_text(fit(kind, data, folder))
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(child):
    """Wait for a process; its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def campaign(kills, seed):
    dice, fell, resumed = random.Random(seed), collections.Counter(), 0
    with tempfile.TemporaryDirectory() as scratch:
        data, folder, out = (Path(scratch, name) for name in ("data", "checkpoint", "digest"))
        data.mkdir()
        made(data)
        wanted, lasts = {}, {}
        for kind in ("in memory", *KINDS):  # the first compiles
            began = time.monotonic()
            wanted[kind] = fit(kind, data, None)
            lasts[kind] = time.monotonic() - began
        while threading.active_count() > 1:  # those of a fit end when they have been idle
            time.sleep(0.1)
        print({kind: round(seconds, 2) for kind, seconds in lasts.items()}, flush=True)
        kinds = [*KINDS]
        while fell.total() < kills:
            kinds.append(kind := kinds.pop(0))  # in turn
            out.unlink(missing_ok=True)
            while not out.exists():
                resumed += folder.exists()
                child = started(kind, data, folder, out)
                time.sleep(dice.uniform(0.1, 1.2) * lasts[kind])
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                code = ended(child)
                if code == -signal.SIGKILL:
                    fell[len([*folder.glob("*")]) if folder.exists() else 0] += 1
                elif code:
                    print(f"{kind}: a fit exits with {code}")
                    return 1
            if out.read_text() != wanted[kind]:
                print(f"{kind}: another model than undisturbed")
                return 1
            for path in folder.glob("*"):  # a kill came while it was removed
                path.unlink()
    for files, count in sorted(fell.items()):
        print(f"{count:4} left {files} files")
    print(f"{fell.total()} kills, {resumed} resumed: every model is that of the undisturbed fit")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    return campaign(given.kills, given.seed)


if __name__ == "__main__":
    sys.exit(main())

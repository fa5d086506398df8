"""What many machines cost and gain: scores, exchanges, and time, with workers on this machine.

    python benchmarks/many_machines.py [--rows 60000] [--epochs 8]
        [--parts score steps speed memory]

- score: a fit on 2 and on 4 workers of Dask's beside one in memory, on rows that none has seen.
- steps: the same against the number of steps between exchanges, without Dask: `LocalShards`.
- speed: how long steps and exchanges take here, measured one at a time; from that a model of time
  on more workers behind a simulated network, beside tasks of Dask that sleep as long.
- memory: what two workers take, of which each may take less than its rows do, and whether the bits
  are those of workers that may take more.

Kills are counted by ``python -m tests.dask.kills --kills 50``.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np

# in the place of this folder, whose sparse.py is not the package that Dask looks for
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.dask.cluster import FEATURES, cluster, digest, table, written

from backhand import Network, Rows, TabularClassifier, TrainConfig, fit
from backhand.dask import DaskTabularClassifier
from backhand.dask.training import DaskShards, same
from backhand.errors import BackhandError
from backhand.tabular.recipes import PIECES, Recipe, _with
from backhand.train.local_steps import LocalShards, local_steps
from backhand.train.shards import GROUP, Stand, Turn, average, groups
from backhand.train.state import TrainState

LATENCY, BANDWIDTH = 0.5e-3, 125e6
"""Seconds for a message, and bytes a second, of the network that is simulated: 1 Gbit/s."""

WIDE = 256
"""Units of each hidden layer of the network whose time is taken."""

MOST_PROCESSES = 8
"""Of Dask's on this machine, each of which takes 100 MB and more."""


def score(rows: int, epochs: int) -> None:
    import dask.dataframe as dd

    recipe = Recipe((_with(PIECES, 2),), lengths=((10**9, epochs, 256),))
    train, test = table(rows), table(50_000, 1)
    X, y = test[FEATURES], test.y
    begun = time.monotonic()
    local = TabularClassifier(recipe, random_state=0).fit(train[FEATURES], train.y)
    wanted = local.score(X, y)
    print(f"one machine: accuracy {wanted:.4f}, {time.monotonic() - begun:.0f} s")
    frame = dd.from_pandas(train, npartitions=8)
    for workers in (2, 4):
        with tempfile.TemporaryDirectory() as folder, cluster(workers, folder) as client:
            begun = time.monotonic()
            model = DaskTabularClassifier(recipe, random_state=0, client=client, shards=workers)
            found = model.fit(frame[FEATURES], frame.y).to_local().score(X, y)
            print(
                f"{workers} workers, {workers} shards: accuracy {found:.4f}, "
                f"{100 * (found / wanted - 1):+.2f} %, {time.monotonic() - begun:.0f} s",
                flush=True,
            )


def problem(rows: int, units: int = 64) -> tuple[Network, Rows, Rows]:
    """A network, rows to learn from, and 50,000 others."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows + 50_000, 10)).astype(np.float32)
    z = np.tanh(x @ rng.normal(size=(10, 20)) / 1.5) @ rng.normal(size=20) * 1.2
    t = (z + rng.logistic(size=len(z)) > 0).astype(int)
    net = Network((10, units, units, 2), activation="silu", loss="softmax_cross_entropy")
    return net, Rows(x[:rows], t[:rows]), Rows(x[rows:], t[rows:])


def config(epochs: int, batch_size: int = 512) -> TrainConfig:
    return TrainConfig(
        epochs=epochs,
        batch_size=batch_size,
        optimiser="adam",
        learning_rate=4e-3,
        schedule="cosine",
    )


def split(rows: Rows, shards: int) -> list[Rows]:
    return [rows.take(some) for some in np.array_split(np.arange(len(rows)), shards)]


def steps(rows: int, epochs: int) -> None:
    net, learned, test = problem(rows)
    start = net.init("lecun_normal", 0)

    def loss(some: Rows | LocalShards) -> float:
        return fit(net, start, some, config(epochs), validation=test).history[-1].validation_loss

    wanted = loss(learned)
    print(f"one machine: loss {wanted:.4f}, {epochs} epochs of {rows:,} rows")
    print("shards | " + " | ".join(f"{h} steps" for h in (10, 50, 250, 10**6)))
    for shards in (2, 4, 8, 16):
        found = [loss(LocalShards(split(learned, shards), h)) for h in (10, 50, 250, 10**6)]
        cells = " | ".join(f"{x:.4f} ({100 * (x / wanted - 1):+.1f} %)" for x in found)
        print(f"{shards} | {cells}", flush=True)


def measured(rows: int, shards: int, number: int) -> tuple[float, float, Stand]:
    """Seconds of a turn of ``number`` steps on one thread, and of an average; where it stands."""
    net, learned, _ = problem(rows, WIDE)
    batch = max(16, 512 // shards)
    own = config(8, batch)
    some = learned.take(slice(0, batch * number))
    turn = Turn(net, own, TrainState.at_start(net.init("lecun_normal", 0), own), 0, 1)
    taken, averaged = [], []
    for _ in range(5):
        begun = time.perf_counter()
        stand = local_steps(turn, some, 0, 1)
        middle = time.perf_counter()
        average([stand] * shards)
        taken.append(middle - begun)
        averaged.append(time.perf_counter() - middle)
    return float(np.median(taken)), float(np.median(averaged)), stand


def sent(stand: Stand | TrainState) -> int:
    """Bytes of parameters and of the optimiser's moments."""
    return sum(a.nbytes for a in [*stand.params.values(), *stand.arrays.values()])


def network(size: int, workers: int) -> tuple[float, list[float]]:
    """Seconds until all workers have ``size`` bytes of one of them, and of each round of averages.

    Workers fetch the start from one another; then averages of groups are taken, and of these.
    """
    message, left, rounds = LATENCY + size / BANDWIDTH, workers, []
    while left > 1:
        rounds.append(LATENCY + min(left, GROUP) * size / BANDWIDTH)
        left = math.ceil(left / GROUP)
    return math.ceil(math.log2(workers)) * message, rounds


def speed(rows: int, number: int) -> None:
    """A turn on W workers, each with a shard: a turn of steps, sending, averaging, handling.

    Handling is what Dask takes for each worker's task and arrays, from a turn of two workers here,
    where two processors do all of it.

    An epoch on one worker takes ``rows`` / 512 steps of 512 rows; on W workers as many steps of
    512 / W rows, 16 at least.
    """
    whole, _, stand = measured(rows, 1, number)
    size = sent(stand)
    print(f"one turn: {number} steps of 512 rows in {1e3 * whole:.0f} ms; {size:,} bytes to send")
    on_dask(rows, number, whole)
    handling = 0.0
    for workers in (2, 4, 8, 16, 32, 64, 128, 256):
        turn, averaging, _ = measured(rows, workers, number)
        # beyond 32 workers a turn takes more rows than one of one machine: fewer turns an epoch
        more = workers * max(16, 512 // workers) / 512
        start, rounds = network(size, workers)
        exchange = start + sum(rounds) + averaging
        found = simulated(workers, turn) if workers <= MOST_PROCESSES else np.nan
        if workers == 2:
            handling = max(0.0, found - turn - exchange) / workers
            print(f"handling: {1e3 * handling:.0f} ms for each worker")
            print("workers | turn | exchange | speed-up by the model | with steps that sleep")
        exchange += handling * workers
        gain = whole * more / (turn + exchange)
        seen = f"{whole * more / found:.1f}" if workers <= MOST_PROCESSES else "-"
        times = f"{1e3 * turn:.0f} ms | {1e3 * exchange:.0f} ms"
        print(f"{workers} | {times} | {gain:.1f} | {seen}", flush=True)


def slept(start: Turn, rows: object, seconds: float) -> Stand:
    """A task in the place of a shard's steps, which takes no processor."""
    time.sleep(seconds)
    return Stand(start.state.params, start.state.arrays, 1.0, 0.0, 0.1)


def averaged(stands: list[Stand], seconds: float) -> Stand:
    time.sleep(seconds)
    return average(stands)


def simulated(workers: int, seconds: float) -> float:
    """What a turn takes on so many processes of Dask's here, behind the simulated network.

    Steps sleep as long as they were measured to take, so that two processors are enough; tasks,
    averages and what is sent are real, and the network's time is slept in addition.
    """
    net, learned, _ = problem(512, WIDE)
    own = config(8, 512)
    state = fit(net, net.init("lecun_normal", 0), learned, config(1)).state
    first, rounds = network(sent(state), workers)
    with tempfile.TemporaryDirectory() as folder, cluster(workers, folder) as client:
        addresses = [*client.scheduler_info(n_workers=-1)["workers"]]
        shards = [  # large, as shards are: tasks go where they lie
            client.scatter(np.zeros(1 << 22), workers=[address], hash=False)
            for address in addresses
        ]
        taken = []
        for place in range(5):
            begun = time.perf_counter()
            start = client.submit(same, Turn(net, own, state, place, 5), pure=False)
            stands = [
                client.submit(slept, start, rows, first + seconds, pure=False) for rows in shards
            ]
            for cost in rounds:
                stands = [client.submit(averaged, g, cost, pure=False) for g in groups(stands)]
            stands[0].result()
            taken.append(time.perf_counter() - begun)
    return float(np.median(taken))


def on_dask(rows: int, number: int, whole: float) -> None:
    """What turns take on two processes here, for comparison with the model without a network."""
    net, learned, _ = problem(rows, WIDE)
    own, start = config(8, 256), net.init("lecun_normal", 0)
    with tempfile.TemporaryDirectory() as folder, cluster(2, folder) as client:
        parts = [
            (some.x, np.asarray(some.t)[:, None], None)
            for some in split(learned.take(slice(0, 512 * number)), 2)
        ]
        futures = client.scatter(parts, hash=False)
        shards = DaskShards(client, futures, [len(p[0]) for p in parts], number)
        turn = Turn(net, own, TrainState.at_start(start, own), 0, 1)
        taken = []
        for _ in range(5):
            begun = time.perf_counter()
            shards.exchange(turn)
            taken.append(time.perf_counter() - begun)
    middle = float(np.median(taken))
    print(f"measured on 2 processes: {1e3 * middle:.0f} ms a turn, speed-up {whole / middle:.1f}")


def wide(number: int, rows: int, width: int = 50):  # a partition, made on a worker
    import pandas as pd

    rng = np.random.default_rng(number)
    made = pd.DataFrame(rng.normal(size=(rows, width)).astype(np.float32))
    made.columns = [f"number{place}" for place in made]
    made["y"] = np.where(made.number0 + rng.logistic(size=rows) > 0, "yes", "no")
    return made


def memory(rows: int, limits: list[str], partitions: int = 24) -> None:
    import dask.dataframe as dd
    import psutil

    own = {"hidden": (16,), "learning_rate": 0.02}
    recipe = Recipe((_with(PIECES, 1, **own),), lengths=((10**9, 2, 512),))
    print(
        "limit of a worker | its rows, MB | largest, MB | written to the disk, MB | seconds | ends"
    )
    bits = None
    for limit in limits:
        settings = {"distributed.worker.memory.terminate": 0.95}
        with (
            tempfile.TemporaryDirectory() as folder,
            cluster(2, folder, settings=settings, memory_limit=limit) as client,
        ):
            X = dd.from_map(wide, range(partitions), rows=rows // partitions, meta=wide(0, 2))
            most, ended = [0.0], threading.Event()

            def watch(most=most, ended=ended, client=client) -> None:
                while not ended.wait(0.2):
                    # a worker may be about to be started again
                    with contextlib.suppress(psutil.NoSuchProcess, OSError):
                        for process in client.run(os.getpid).values():
                            most.append(psutil.Process(process).memory_info().rss / 2**20)

            threading.Thread(target=watch, daemon=True).start()
            begun = time.monotonic()
            try:
                # few exchanges, each of which may read all rows from the disk
                model = DaskTabularClassifier(
                    recipe, client=client, random_state=0, shards=12, steps=5000
                )
                found = digest(model.fit(X.drop(columns="y"), X.y))
                bits = bits or found
                end = "same bits" if found == bits else "OTHER BITS"
            except BackhandError as error:
                end = f"error: {error}"
            taken = time.monotonic() - begun
            ended.set()
            held = 4 * (50 + 3) * rows / 2 / 2**20
            spilled = max(written(client)) / 2**20
            print(
                f"{limit} | {held:.0f} | {max(most):.0f} | {spilled:.0f} | {taken:.0f} | {end}",
                flush=True,
            )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=60_000)
    options.add_argument("--epochs", type=int, default=8)
    options.add_argument("--steps", type=int, default=250, help="between exchanges, of speed")
    parts = ["score", "steps", "speed", "memory"]
    options.add_argument("--parts", nargs="+", default=parts, choices=parts)
    options.add_argument("--memory-rows", type=int, default=6_000_000)
    options.add_argument("--limits", nargs="+", default=["4GB", "1500MB", "1GB"])
    given = options.parse_args()
    warnings.simplefilter("ignore", ResourceWarning)
    if "score" in given.parts:
        score(given.rows, given.epochs)
    if "steps" in given.parts:
        steps(given.rows, given.epochs)
    if "speed" in given.parts:
        speed(max(given.rows, 512 * given.steps), given.steps)
    if "memory" in given.parts:
        memory(given.memory_rows, given.limits)


if __name__ == "__main__":
    main()

"""What each optimisation of the compiled executor costs in lines, and gains in time.

    python benchmarks/ledger.py [--only NAME ...] [--networks ABCDEW] [--rounds 5] [--docs]

Each optimisation of `switches.OPTIMISATIONS` is turned off in a process of its own, which is
measured by turns with one that has it: on, off; off, on; and so on. The time of a process is that
of its fastest repetition, which disturbances leave alone most. Where an optimisation only changes
machine code, one process has both, and they take turns epoch by epoch. Every round has new
processes. A gain is the time without over the time with it, less one: the median over the rounds,
and half the distance of the quartiles. Where both have the same machine code, nothing is measured,
and "=" stands there.

On a machine with other things to do, ``--threads 1`` measures the time of the processor instead of
the clock's, with one thread. With ``--docs`` the tables of docs/performance.md are written anew;
``--records`` keeps what was measured, and what is there already is not measured again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import pages
import switches
from backhand.bench.peak import measure_peak
from backhand.bench.training import TASKS, machine_facts, operations
from backhand.network import Network
from backhand.run.llvm.host.team import available_threads
from backhand.train.config import TrainConfig
from backhand.train.loop import TrainLoop
from backhand.train.rows import Rows

PAGE = pages.ROOT / "docs" / "performance.md"
LEAST = 0.15
"""Seconds for which a measurement is repeated at least."""
FEWEST = 3
"""Repetitions of a measurement at least."""
WORTH = 0.03
"""The least gain for which an optimisation stays."""


TARGET = "LEDGER_TARGET"
"""The variable that names the instruction set for which workers compile, if not this machine's."""


class Net(NamedTuple):
    """A network that is trained, and the data that it gets."""

    widths: tuple[int, ...]
    batch: int
    rows: int
    activation: str = "relu"
    loss: str = "softmax_cross_entropy"
    dtype: str = "float32"
    density: float = 1.0
    what: str = ""


NETWORKS = {name: Net(task.widths, task.batch, task.rows) for name, task in TASKS.items()} | {
    "F": Net((30, 100, 2), 200, 20_000, dtype="float64", what="an estimator's default, float64"),
    "G": Net((100, 100, 100, 10), 128, 12_800, "gelu", what="widths that fill no vector"),
    "K": Net((64, 128, 50), 128, 12_800, what="many classes"),
    "R": Net((8, 100, 1), 200, 20_000, loss="mean_squared_error", what="one output"),
    "T": Net((3, 1), 32, 6_400, loss="mean_squared_error", what="a linear model"),
    "V": Net((100, 256, 256, 1), 4096, 40_960, loss="mean_squared_error", what="a large batch"),
    "S": Net((5_000, 64, 2), 128, 6_400, density=0.005, what="sparse rows"),
    "P": Net((100, 90, 80, 70, 60, 50, 2), 64, 640, what="six layers of different widths"),
}
"""Those of `backhand bench`, and shapes that these do not cover."""

MIXED = ("relu", "tanh", "gelu", "logistic", "relu")
FIRST = Net((30, 96, 32, 4), 64, 64)
"""What the process compiles before a network that is measured as its second."""

WARM = "from backhand import MLPClassifier; import numpy as np; x = np.eye(150, 4); " + (
    "MLPClassifier(random_state=0, max_iter=5).fit(x, np.arange(150) % 3)"
)


def data(net: Net) -> Rows:
    """Noise: how fast a network trains does not depend on what it learns."""
    rng = np.random.default_rng(0)
    if net.density < 1:
        import scipy.sparse

        shape = net.rows, net.widths[0]
        x = scipy.sparse.random(*shape, net.density, "csr", net.dtype, random_state=0)
        x = x.toarray() if switches.dense else x
    else:
        some = rng.standard_normal((min(net.rows, 4096), net.widths[0])).astype(net.dtype)
        x = np.resize(some, (net.rows, net.widths[0]))
    if net.loss == "mean_squared_error":
        return Rows(x, rng.standard_normal((net.rows, net.widths[-1])).astype(net.dtype))
    return Rows(x, rng.integers(0, net.widths[-1], (net.rows, 1)))


def network(net: Net) -> Network:
    activation = [net.activation] * (len(net.widths) - 2)
    if net.widths == NETWORKS["P"].widths:
        activation = list(MIXED)
    return Network(net.widths, activation=activation, loss=net.loss, dtype=net.dtype)


def training(net: Net, rows: int = 0) -> TrainLoop:
    made = network(net)
    settings = TrainConfig(epochs=10_000, batch_size=net.batch, optimiser="adam")
    return TrainLoop(made, made.init("kaiming_normal", 0), settings, rows or net.rows)


# what is measured, in a process of its own ------------------------------------------------------


def clock() -> float:
    """Seconds: of the clock, or of the processor, if there is one thread."""
    alone = os.environ.get("BACKHAND_THREADS") == "1"
    return time.process_time() if alone else time.perf_counter()


def fastest(call: Callable[[], object]) -> float:
    """Seconds of the fastest of several calls, after one that does not count."""
    call()
    found: list[float] = []
    while len(found) < FEWEST or sum(found) < LEAST:
        start = clock()
        call()
        found.append(clock() - start)
    return min(found)


def epoch(name: str) -> float:
    net = NETWORKS[name]
    rows, trained = data(net), training(net)
    return fastest(lambda: trained.epoch(rows))


def pairs(off: str, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Seconds of epochs with an optimisation that acts by other machine code, and without.

    Both are in one process and train by turns, epoch by epoch.
    """
    data_of = {name: data(NETWORKS[name]) for name in names}
    found = []
    for how in ("", off):
        if how:
            os.environ["BACKHAND_CACHE"] += how.replace(" ", "-")
            switches.OPTIMISATIONS[how].off()
            programs = switches.module("program.compiled")
            programs._known = type(programs._known)()  # or the program would be the one with it
        found.append({name: training(NETWORKS[name]) for name in names})
        for name, trained in found[-1].items():
            trained.epoch(data_of[name])
    times = {}
    for name, rows in data_of.items():
        each: list[tuple[float, float]] = []
        while len(each) < 2 * FEWEST or sum(map(sum, each)) < 2 * LEAST:
            order = (0, 1) if len(each) % 2 else (1, 0)
            taken = {}
            for which in order:
                start = clock()
                found[which][name].epoch(rows)
                taken[which] = clock() - start
            each.append((taken[0], taken[1]))
        on = statistics.median(one for one, _ in each)
        times[name] = on, on * statistics.median(b / a for a, b in each)
    return times


def compilation(name: str, before: bool) -> float:
    """Until a small epoch has ended, with an empty cache."""
    switches.module("program.emit")  # imported by whoever compiles: not counted, as all imports
    switches.module("machine.target").Target.host()
    nets = ([FIRST] if before else []) + [NETWORKS[name]._replace(rows=64, batch=64)]
    for net in nets:
        rows, start = data(net), clock()
        training(net).epoch(rows)
        taken = clock() - start
    return taken


def first_fit(name: str) -> float:
    """Until a small epoch has ended, with a full cache."""
    net = NETWORKS[name]._replace(rows=64, batch=64)
    rows, start = data(net), clock()
    training(net).epoch(rows)
    return clock() - start


def one_row(name: str) -> float:
    made = network(NETWORKS[name])
    predict = made.predictor(made.init("kaiming_normal", 0))
    x = np.ones((1, made.widths[0]), made.dtype)
    many = 1000

    def calls() -> None:
        for _ in range(many):
            predict(x)

    return fastest(calls) / many


def many_rows(name: str) -> float:
    made = network(NETWORKS[name])
    predict = made.predictor(made.init("kaiming_normal", 0))
    x = data(NETWORKS[name]).x
    return fastest(lambda: predict(x))


def calls(name: str) -> float:
    """A gradient of few rows, outside of training."""
    made = network(NETWORKS[name])
    params = made.init("kaiming_normal", 0)
    rows = data(NETWORKS[name]._replace(rows=32))

    def some() -> None:
        for _ in range(50):
            made.loss_and_grads(params, rows.x, rows.t)

    return fastest(some) / 50


def two_fits(name: str) -> float:
    """Two trainings at once, in two threads."""
    net = NETWORKS[name]
    rows = data(net)
    both = [training(net) for _ in range(2)]

    def fit(one: TrainLoop) -> None:
        for _ in range(3):
            one.epoch(rows)

    def together() -> None:
        threads = [threading.Thread(target=fit, args=(one,)) for one in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return fastest(together)


def dead_inputs(name: str) -> float:
    """An epoch while the second moments of weights without a gradient are subnormal."""
    net = NETWORKS[name]
    rows, trained = data(net), training(net)
    trained.epoch(rows)
    none = Rows(np.zeros_like(rows.x), rows.t)
    for _ in range(90_000 * net.batch // net.rows):
        trained.epoch(none)
    return fastest(lambda: trained.epoch(none))


MEASURES: dict[str, Callable[[str], float]] = {
    "": epoch,
    "cold ": lambda name: compilation(name, before=False),
    "second ": lambda name: compilation(name, before=True),
    "first ": first_fit,
    "one row ": one_row,
    "many rows ": many_rows,
    "calls ": calls,
    "two fits ": two_fits,
    "dead ": dead_inputs,
}
"""By what a row's name begins with; a network's name follows."""

ROWS = {
    "cold E": "compilation of E",
    "cold B": "compilation of B",
    "cold P": "compilation of P",
    "second E": "compilation of E after another network",
    "second B": "compilation of B after another network",
    "second P": "compilation of P after another network",
    "first E": "the first epoch of E in a process, with a full cache",
    "warm": "a process that fits 150 rows, with a full cache",
    "one row E": "one row through E",
    "one row B": "one row through B",
    "many rows A": "all rows through A",
    "many rows E": "all rows through E",
    "calls E": "a gradient of 32 rows of E",
    "two fits D": "two trainings of D at once",
    "dead E": "E with dead inputs",
}


def worker(off: str, rows: Sequence[str], what: str) -> None:
    """Print what the rows take, or for "codes" checksums of the machine code that they run.

    For "pairs" it is what they take with an optimisation, and without.
    """
    warnings.simplefilter("ignore")
    if os.environ.get(TARGET):
        machine = switches.module("machine.target")
        switches.answer("machine.target", "_host", machine.Target.named(os.environ[TARGET]))()
    if what == "pairs":
        print(json.dumps(pairs(off, rows)))
        return
    probes = what == "codes"
    if off:
        switches.OPTIMISATIONS[off].off()
    codes: list[str] = []
    if probes:
        switches.answer(
            "machine.compile_store", "available_threads", 1, here=True
        )()  # always in one order

        def cached(old: Any) -> Any:
            def seen(key: str, build: Any) -> bytes:
                code: bytes = old(key, build)
                codes.append(hashlib.sha256(code).hexdigest())
                return code

            return seen

        switches.replace("machine.object_cache", "cached", cached)
    found: dict[str, Any] = {}
    for row in rows:
        kind, name = next(
            (k, row.removeprefix(k)) for k in [*list(MEASURES)[1:], ""] if row.startswith(k)
        )
        if probes:
            codes.clear()
            net = NETWORKS[name]
            small = net._replace(rows=net.batch)
            training(small).epoch(data(small))
            found[row] = " ".join(codes)
        else:
            found[row] = MEASURES[kind](name)
    print(json.dumps(found))


# the rounds -------------------------------------------------------------------------------------


class Bench:
    """Runs workers, each switch with a cache of its own."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def environment(self, off: str, cold: bool = False) -> dict[str, str]:
        kept = self.folder / hashlib.sha256(off.encode()).hexdigest()[:8]
        where = tempfile.mkdtemp(dir=self.folder) if cold else str(kept)
        more = switches.OPTIMISATIONS[off].environment if off else {}
        return {**os.environ, "BACKHAND_CACHE": where, **more}

    def run(self, off: str, rows: Sequence[str], what: str = "") -> dict[str, Any]:
        """What a worker finds out; what a process does first has a process of its own."""
        found: dict[str, Any] = {}
        first = [row for row in rows if row.startswith(("cold", "second", "first"))]
        others = [row for row in rows if row not in first and row != "warm"]
        for some in ([others] if others else []) + [[row] for row in first]:
            command = [sys.executable, __file__, "--worker", json.dumps([off, some, what])]
            cold = some[0].startswith(("cold", "second"))
            environment = self.environment("" if what == "pairs" else off, cold)
            for _ in range(1 + some[0].startswith("first")):  # the one before fills the cache
                done = _completed(command, environment)
            found |= json.loads(done.split("\n")[-2])
        if "warm" in rows:
            found["warm"] = self.warm(off)
        return found

    def warm(self, off: str) -> float:
        """Seconds of a whole process."""
        switch = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import switches; "
        )
        program = switch + (f"switches.OPTIMISATIONS[{off!r}].off(); " if off else "") + WARM
        times = []
        for _ in range(3):
            start = time.perf_counter(), sum(os.times()[2:4])
            _completed([sys.executable, "-W", "ignore", "-c", program], self.environment(off))
            end = time.perf_counter(), sum(os.times()[2:4])
            alone = os.environ.get("BACKHAND_THREADS") == "1"
            times.append(end[alone] - start[alone])
        return min(times)


def _completed(command: Sequence[str], environment: dict[str, str]) -> str:
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}\n{done.stderr}")
    return done.stdout


Records = dict[str, dict[str, Any]]
"""By optimisation: with how many threads it was measured, and by row the (on, off) of each round,
or "=" where the code is the same."""


def measure(
    names: Sequence[str], wanted: Callable[[str], bool], rounds: int, records: Records
) -> Iterator[str]:
    """Measure what has no record; yields what is being done."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder)
        rows = {n: [r for r in switches.OPTIMISATIONS[n].rows if wanted(r)] for n in names}
        known = {name: found["rows"] for name, found in records.items()}
        rows = {n: [r for r in some if r not in known.get(n, {})] for n, some in rows.items()}
        probed = [r for r in switches.EPOCHS if any(r in some for some in rows.values())]
        codes = bench.run("", probed, "codes") if probed else {}
        for name, some in rows.items():
            found = records.setdefault(name, {"threads": available_threads(), "rows": {}})["rows"]
            nets = [row for row in some if row in codes]
            compiled = switches.OPTIMISATIONS[name].compiled
            if nets and compiled:
                yield f"{name}: machine code"
                mine = bench.run(name, probed, "codes")  # all, for the order of what is shared
                found |= {row: "=" for row in nets if mine[row] == codes[row]}
            some[:] = [row for row in some if row not in found]
        for number in range(rounds):
            for name, some in rows.items():
                if not some:
                    continue
                yield f"round {number + 1}: {name}: {', '.join(some)}"
                code = [r for r in some if r in codes and switches.OPTIMISATIONS[name].compiled]
                others = [row for row in some if row not in code]
                found = bench.run(name, code, "pairs") if code else {}
                order = ["", name] if number % 2 else [name, ""]
                times = {off: bench.run(off, others) for off in order}
                found |= {row: (times[""][row], times[name][row]) for row in others}
                for row, pair in found.items():
                    records[name]["rows"].setdefault(row, []).append(pair)


# the tables -------------------------------------------------------------------------------------


def gain(pairs: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The median of time off / time on - 1, and half the distance of its quartiles."""
    ratios = [off / on - 1 for on, off in pairs]
    if len(ratios) == 1:
        return ratios[0], 0.0
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, (high - low) / 2


def cell(found: Any) -> str:
    if found is None:
        return ""
    if found == "=":
        return "="
    middle, half = gain(found)
    return f"{100 * middle:.0f} ± {100 * half:.0f}"


def ledger_table(records: Records) -> str:
    """A line for each optimisation: its lines, and gains in per cent."""
    main = list(TASKS)
    lines = pages.head(["optimisation", "what it does"], ["lines", "threads", *main, "elsewhere"])
    for name, one in switches.OPTIMISATIONS.items():
        if name not in records:
            continue
        found = records[name]["rows"]
        others = {row: pairs for row, pairs in found.items() if row not in main and pairs != "="}
        told = sorted(others, key=lambda row: -gain(others[row])[0])
        elsewhere = ", ".join(f"{row} {cell(others[row])}" for row in told)
        cells = [name, one.what, f"{switches.cost(one)}", f"{records[name]['threads']}"]
        lines.append(pages.row([*cells, *(cell(found.get(row)) for row in main), elsewhere]))
    return "\n".join(lines)


def baseline_table(records: Records, peaks: dict[int, float]) -> str:
    """How long everything takes with all optimisations, and the share of the peak."""
    times: dict[tuple[str, int], list[float]] = {}
    for found in records.values():
        for row, pairs in found["rows"].items():
            on = [on for on, _ in pairs] if pairs != "=" else []
            times.setdefault((row, found["threads"]), []).extend(on)
    lines = pages.head(["", "network", "what"], ["batch", "threads", "ms", "share of the peak"])
    for row in [*NETWORKS, *ROWS]:
        for threads, peak in peaks.items():
            if not times.get((row, threads)):
                continue
            middle = statistics.median(times[row, threads])
            cells = [row, "", ROWS.get(row, ""), "", f"{threads}", f"{1e3 * middle:.3g}", ""]
            if row in NETWORKS:
                net = NETWORKS[row]
                cells[1:4] = "-".join(map(str, net.widths)), net.what or "an epoch", f"{net.batch}"
                share = operations(net.widths) * net.rows / middle / peak
                cells[-1] = f"{share:.0%}" if net.density == 1 else ""
            lines.append(pages.row(cells))
    peak = ", ".join(f"{rate / 1e9:.0f} GF/s of {n} core(s)" for n, rate in peaks.items())
    return "\n".join([*lines, "", f"{machine_facts()['processor']}; peak: {peak}."])


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="optimisations by name")
    parser.add_argument("--networks", help="letters; only epochs of these, and nothing else")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="1: seconds of the processor")
    parser.add_argument("--target", help="an instruction set that runs here, such as avx2")
    parser.add_argument("--records", type=Path, help="a JSON file to go on with")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(*given.worker)
        return
    if given.threads:
        os.environ["BACKHAND_THREADS"] = str(given.threads)
    if given.target:
        os.environ[TARGET] = given.target
    known = list(switches.OPTIMISATIONS)
    for name in given.only or ():
        if name not in known:
            parser.error(f"no optimisation {name!r}: there are {', '.join(known)}")
    records: Records = {}
    if given.records and given.records.exists():
        records = json.loads(given.records.read_text())
    wanted = set(given.networks) if given.networks else None
    peaks: dict[int, list[float]] = {n: [] for n in sorted({1, available_threads()})}
    several = available_threads() > 1
    names = given.only or [n for n in known if several or not switches.OPTIMISATIONS[n].several]
    steps = measure(names, lambda row: wanted is None or row in wanted, given.rounds, records)
    for step in steps:
        print(step, file=sys.stderr, flush=True)
        for n, rates in peaks.items():
            rates.append(measure_peak(n))
        if given.records:
            given.records.write_text(json.dumps(records))
    if given.records:
        given.records.write_text(json.dumps(records))
    table = ledger_table(records)
    for n in {found["threads"] for found in records.values()}:
        peaks.setdefault(n, [measure_peak(n)])
    top = {n: max(rates or [measure_peak(n)]) for n, rates in sorted(peaks.items())}
    base = baseline_table(records, top)
    print(table, base, sep="\n\n")
    if given.docs:
        pages.fill(PAGE, "ledger", table)
        pages.fill(PAGE, "baseline", base)


if __name__ == "__main__":
    main()

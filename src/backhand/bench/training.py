"""Benchmarks of training: whole epochs beside other libraries, and the share of the machine's peak.

Everything is measured in one run, in rounds that take every contender once, so that what slows the
machine for a while slows them all. Times are medians over the rounds, with their quartiles.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ..errors import unknown_name
from ..run.llvm.host.team import available_threads
from ..run.llvm.machine.target import Target
from .peak import measure_peak
from .peers import PEERS, Epoch, made_problem, ours, torch_threads_restored

OURS = "backhand"
SETTLED = 0.25
"""Seconds after which the idle threads of a library that ran before no longer spin."""


LEAST = 0.5
"""Seconds that a measurement takes at least: short epochs are repeated. A virtual machine that has
slept may run for some tenths of a second on a core that it shares with another."""


class Task(NamedTuple):
    """A network to train, and how much faster than others it is meant to be.

    Attributes
    ----------
    widths, batch, rows
        The shapes; ``rows`` is a whole number of batches.
    times_best, times_sklearn : float
        Wanted: the time of the fastest peer, and of scikit-learn, over ours.
    share : float
        Wanted share of the peak; 0 where none is.
    cores : int
        Of which ``share`` is meant; 0 for all.
    """

    widths: tuple[int, ...]
    batch: int
    rows: int
    times_best: float
    times_sklearn: float
    share: float = 0.0
    cores: int = 0


TASKS = {
    "A": Task((784, 50, 10), 64, 51_200, 3.0, 6.0),
    "B": Task((784, 256, 128, 10), 128, 51_200, 1.6, 3.5, 0.8),
    "C": Task((20, 128, 128, 2), 256, 25_600, 2.5, 5.0, 0.55),
    "D": Task((100, 256, 256, 256, 2), 256, 25_600, 1.5, 2.8, 0.8),
    "E": Task((10, 32, 32, 2), 32, 6_400, 9.0, 50.0, 0.5, 1),
    "W": Task((1024, 1024, 1024, 10), 512, 5_120, 1.1, 1.5, 0.8),
}
"""The networks that are measured, by name."""


@dataclasses.dataclass(frozen=True)
class Line:
    """One contender on one network.

    Attributes
    ----------
    network, who, how : str
        ``how`` tells contenders of one library apart: ``"2 threads"``.
    median, low, high : float
        Seconds an epoch: the median and the quartiles over the rounds.
    share : float
        Floating-point operations of the products a second, as a share of the peak of all cores.
    """

    network: str
    who: str
    how: str
    median: float
    low: float
    high: float
    share: float


@dataclasses.dataclass(frozen=True)
class Result:
    """One network: every contender, and how we compare.

    Attributes
    ----------
    times_best, times_sklearn : float or None
        The time of the fastest peer, and of scikit-learn at its best, over ours; None without.
    share : float
        Our share of the peak of as many cores as the task names.
    """

    network: str
    task: Task
    lines: tuple[Line, ...]
    times_best: float | None
    times_sklearn: float | None
    share: float

    @property
    def met(self) -> bool:
        """Whether everything that could be measured is as wanted."""
        task = self.task
        pairs = ((self.times_best, task.times_best), (self.times_sklearn, task.times_sklearn))
        fast = all(found is None or found >= wanted for found, wanted in pairs)
        return fast and self.share >= task.share


@dataclasses.dataclass(frozen=True)
class Record:
    """A whole run.

    Attributes
    ----------
    peaks : dict of int to float
        Measured floating-point operations a second, by the number of cores.
    missing : tuple of str
        Peers that are not installed.
    """

    results: tuple[Result, ...]
    peaks: dict[int, float]
    missing: tuple[str, ...]
    machine: dict[str, Any]
    versions: dict[str, str]
    rounds: int

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able data."""
        found = dataclasses.asdict(self)
        for result, data in zip(self.results, found["results"], strict=True):
            data["task"] = result.task._asdict()
            data["met"] = result.met
        found["peaks"] = {str(cores): rate for cores, rate in self.peaks.items()}
        return found


def run_benchmarks(
    names: Iterable[str] = tuple(TASKS),
    rounds: int = 5,
    peers: Iterable[str] = tuple(PEERS),
    progress: Callable[[str], object] = lambda text: None,
) -> Record:
    """Train networks with everyone, round by round.

    Parameters
    ----------
    names : iterable of str
        Of `TASKS`.
    rounds : int
        How often each contender trains an epoch that counts; one more comes before, for compilers
        and caches to settle.
    peers : iterable of str
        Of ``peers.PEERS``; those that are not installed are left out and named.
    progress : callable
        Told what is being measured.

    Returns
    -------
    Record

    Raises
    ------
    InputError
        If a name is unknown.
    """
    names, peers = tuple(names), tuple(peers)
    for kind, given, known in (("network", names, TASKS), ("peer", peers, PEERS)):
        for name in given:
            if name not in known:
                raise unknown_name(kind, name, known)
    present = [name for name in peers if PEERS[name].installed]
    cores = available_threads()
    peaks: dict[int, list[float]] = {count: [] for count in sorted({1, cores})}
    results = []
    with torch_threads_restored():
        for name in names:
            progress(f"{name} {'-'.join(map(str, TASKS[name].widths))}")
            results.append(_measure(name, present, rounds, peaks))
    return Record(
        tuple(results),
        {count: statistics.median(found) for count, found in peaks.items()},
        tuple(name for name in peers if name not in present),
        machine_facts(),
        {OURS: _our_version(), "python": platform.python_version()}
        | {name: PEERS[name].version for name in present},
        rounds,
    )


def _measure(
    name: str, present: Sequence[str], rounds: int, peaks: dict[int, list[float]]
) -> Result:
    task = TASKS[name]
    problem = made_problem(task.widths, task.batch, task.rows)
    contenders: dict[tuple[str, str], Epoch] = {(OURS, how): run for how, run in ours(problem)}
    for peer in present:
        contenders |= {(peer, how): run for how, run in PEERS[peer].contenders(problem)}
    times: dict[tuple[str, str], list[float]] = {key: [] for key in contenders}
    here: dict[int, list[float]] = {count: [] for count in peaks}
    for _ in range(rounds + 1):
        for count in here:
            here[count].append(measure_peak(count))
        for key, epoch in contenders.items():
            time.sleep(SETTLED)
            found = times[key]
            epochs = int(LEAST / found[0]) + 1 if found else 1
            start = time.perf_counter()
            for _ in range(epochs):
                epoch()
            found.append((time.perf_counter() - start) / epochs)
    for count, rates in here.items():
        peaks[count] += rates
    top = {count: statistics.median(rates) for count, rates in here.items()}
    work = operations(task.widths) * task.rows
    lines = []
    for (who, how), found in times.items():
        median, low, high = spread(found[1:])
        lines.append(Line(name, who, how, median, low, high, work / median / top[max(top)]))
    mine = lines[0].median
    share = work / mine / top[task.cores or max(top)]
    return Result(
        name, task, tuple(lines), _times(lines, mine, present), _times(lines, mine, _SKLEARN), share
    )


_SKLEARN = ("scikit-learn",)


def _times(lines: Sequence[Line], mine: float, whom: Sequence[str]) -> float | None:
    """The fastest of some contenders over our time."""
    return min((line.median / mine for line in lines if line.who in whom), default=None)


def operations(widths: Sequence[int]) -> int:
    """Floating-point operations of the products of a training step, for each row of its batch.

    Forward, and the gradients at weights and inputs, two for each weight; the network's inputs
    need no gradient. Activations, updates and what padding adds do not count.
    """
    shapes = list(itertools.pairwise(widths))
    return sum((6 if layer else 4) * d * k for layer, (d, k) in enumerate(shapes))


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The median and the quartiles."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return median, low, high


def machine_facts() -> dict[str, Any]:
    """What the machine is."""
    target = Target.host()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "processor": _processor(),
        "target": target.cpu,
        "vector_bytes": target.vector_bytes,
        "cores": os.cpu_count(),
        "threads": available_threads(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _our_version() -> str:
    from .. import __version__

    return str(__version__)

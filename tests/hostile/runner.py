"""Runs calls by seed, in processes of their own, so that a crash or a hang has a seed too."""

from __future__ import annotations

import collections
import faulthandler
import io
import json
import os
import pathlib
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

BATCH = 250  # seeds of a process
LONGEST = 60.0  # seconds of one seed; more is a hang
ROOT = pathlib.Path(__file__).resolve().parents[2]


class Finding(NamedTuple):
    """A seed, the call, and what is wrong with what came of it."""

    seed: int
    family: str
    call: str
    fault: str


def one_seed(seed: int, tell: Callable[[str, str], None], family: str = "") -> list[Finding]:
    """Make the calls of a seed, of one family if it is named; each is told before it is made."""
    from ..run.llvm.guard_pages import Guarded, install
    from .families import FAMILIES, SHARES
    from .ingredients import Dice
    from .judge import judge

    dice = Dice(seed)
    memory = Guarded(at_end=dice.chance(0.7))
    install(memory)  # what the engine makes of its own lies between guards too
    family = family or str(dice.rng.choice(list(FAMILIES), p=SHARES))
    found = []
    calls = FAMILIES[family](dice, memory)
    try:
        call = next(calls)
        while True:
            tell(family, str(call))
            outcome = judge(call)
            tell(outcome.kind, outcome.what)
            if outcome.kind == "fault":
                found.append(Finding(seed, family, str(call), outcome.what))
            call = calls.send(outcome)
    except StopIteration:
        return found


def worker(seeds: list[int], family: str) -> None:
    """Make the calls of these seeds; a line of JSON says what is about to be done, or was."""
    faulthandler.enable()
    told, sys.stdout = sys.stdout, io.StringIO()  # calls may print too
    warnings.simplefilter("ignore")  # what `judge` listens to is what a call itself says
    for seed in seeds:

        def tell(kind: str, what: str, seed: int = seed) -> None:
            print(json.dumps([seed, kind, what]), file=told, flush=True)

        one_seed(seed, tell, family)
        tell("done", "")


def run(
    seeds: Sequence[int], jobs: int = 1, family: str = "", longest: float = LONGEST
) -> tuple[list[Finding], collections.Counter[str]]:
    """Make the calls of these seeds in some processes at a time; what was found, and counts.

    Ctrl-C ends it early.
    """
    waiting = [list(seeds)[i : i + BATCH] for i in range(0, len(seeds), BATCH)]
    found: list[Finding] = []
    counts: collections.Counter[str] = collections.Counter()
    with selectors.DefaultSelector() as ready:
        try:
            while waiting or ready.get_map():
                while waiting and len(ready.get_map()) < jobs:
                    process = _Process(waiting.pop(0), family)
                    ready.register(process.out, selectors.EVENT_READ, process)
                for key, _ in ready.select(timeout=1):
                    process = key.data
                    if not process.read(found, counts):
                        ready.unregister(process.out)
                        if rest := process.ended(found, counts):
                            waiting.insert(0, rest)
                for key in list(ready.get_map().values()):
                    key.data.stop_if_stuck(longest)
        except KeyboardInterrupt:  # what was found until then is told all the same
            for key in list(ready.get_map().values()):
                key.data.kill()
    return sorted(found), counts


class _Process:
    def __init__(self, seeds: list[int], family: str) -> None:
        self.seeds = seeds
        command = [sys.executable, "-m", "tests.hostile", "--worker", json.dumps(seeds)]
        command += ["--family", family]
        paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # `ended` closes it
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self._said, env=environment
        )
        assert self._process.stdout is not None
        self.out = self._process.stdout
        os.set_blocking(self.out.fileno(), False)
        self._rest, self._family, self._call = b"", "", ""
        self._since, self._stuck, self._told = time.monotonic(), 0.0, False

    def read(self, found: list[Finding], counts: collections.Counter[str]) -> bool:
        """Read what the process has told; False if it has ended."""
        some = os.read(self.out.fileno(), 1 << 16)
        *lines, self._rest = (self._rest + some).split(b"\n")
        for line in lines:
            self._since = time.monotonic()
            seed, kind, what = json.loads(line)
            self._told = True
            if kind == "done":
                self.seeds = self.seeds[1:]
                self._call = ""
            elif kind in ("result", "refused", "fault"):
                counts[kind] += 1
                if kind == "fault":
                    found.append(Finding(seed, self._family, self._call, what))
            else:
                counts[kind] += 1
                self._family, self._call = kind, what
        return bool(some)

    def stop_if_stuck(self, longest: float) -> None:
        if not self._told:
            longest = max(longest, LONGEST)  # imports take a while on a busy machine
        if time.monotonic() - self._since > longest:
            self._stuck = longest
            self._process.send_signal(signal.SIGABRT)  # faulthandler shows where it was
            self._since = time.monotonic()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.out.close()
        self._said.close()

    def ended(self, found: list[Finding], counts: collections.Counter[str]) -> list[int]:
        """The seeds that are left after a process has died of one."""
        code = self._process.wait()
        self.out.close()
        self._said.seek(0)
        with self._said:
            said = self._said.read().decode(errors="replace")
        if not self.seeds:
            return []
        if not self._told:
            raise RuntimeError(f"the harness does not start: {said}")
        counts["fault"] += 1
        trace = re.findall(r'File ".*/backhand/(.*)", line (\d+)', said)[:2]
        how = f"hang of {self._stuck:.0f} s" if self._stuck else f"exit code {code}"
        last = (said.strip().splitlines() or [""])[-1][:300]
        place = " < ".join(map(":".join, trace)) if code < 0 else f"the harness: {last}"
        what = f"{how}: {place or last}"
        found.append(Finding(self.seeds[0], self._family, self._call, what))
        return self.seeds[1:]


def families_of(found: list[Finding]) -> list[tuple[str, list[Finding]]]:
    """The findings by what is alike in them: numbers, shapes and values left out."""
    groups: dict[str, list[Finding]] = collections.defaultdict(list)
    for finding in found:
        fault = finding.fault.partition("; gave")[0]
        fault = re.sub(r"\([^()]*\)", "", re.sub(r"'[^']*'|b?\"[^\"]*\"", "", fault))
        fault = re.sub(r"[-+]?\b\d[\d.e+-]*|\[.*?\]|nan\b|inf\b", "#", fault)[:90]
        groups[f"{finding.family}: {fault}"].append(finding)
    return sorted(groups.items(), key=lambda item: -len(item[1]))

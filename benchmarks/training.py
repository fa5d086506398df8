"""How fast networks train, beside PyTorch, JAX and scikit-learn, and as a share of the peak.

    python benchmarks/training.py [--networks ABCDEW] [--rounds 5] [--peers torch jax] [--docs]

What `backhand bench` runs; see `backhand.bench.training`. With ``--docs``, the table in README.md
is written anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pages
from backhand.bench.peers import PEERS
from backhand.bench.training import OURS, TASKS, Record, run_benchmarks
from backhand.errors import count

NAMES = {"torch": "PyTorch", "jax": "JAX"}


def readme_table(record: Record) -> str:
    """Milliseconds of an epoch: ours, and those of each other library."""
    others = list(dict.fromkeys(line.who for result in record.results for line in result.lines))
    others.remove(OURS)
    lines = pages.head(
        ["network", "batch", "rows"],
        [f"{OURS}, ms", *(f"{NAMES.get(who, who)}, ms" for who in others)],
    )
    for result in record.results:
        ours = result.lines[0].median
        task = result.task
        cells = ["-".join(map(str, task.widths)), f"{task.batch}", f"{task.rows:,}", _ms(ours)]
        for who in others:
            times = [line.median for line in result.lines if line.who == who]
            cells.append(_beside(min(times), ours) if times else "-")
        lines.append(pages.row(cells))
    versions = ", ".join(f"{name} {number}" for name, number in record.versions.items())
    machine = record.machine
    return "\n".join(
        [
            *lines,
            "",
            f"Medians over {count(record.rounds, 'round')}. {count(machine['threads'], 'thread')}, "
            f"{machine['processor']}; {versions}. Each library runs with the number of threads "
            "that is best for it; in brackets, how many times as long as backhand it takes.",
        ]
    )


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:,.{0 if seconds >= 0.01 else 1}f}"


def _beside(seconds: float, ours: float) -> str:
    return f"{_ms(seconds)} ({seconds / ours:.1f} ×)"


def main() -> None:
    """Print a line for each contender, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default="".join(TASKS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="*", default=list(PEERS))
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--docs", action="store_true", help="write the table in README.md")
    given = parser.parse_args()
    record = run_benchmarks(given.networks, given.rounds, given.peers, print)
    for name in record.missing:
        print(f"{name} is not installed: left out")
    for cores, rate in record.peaks.items():
        print(f"peak of {cores} core(s): {rate / 1e9:.0f} GF/s")
    for result in record.results:
        for line in result.lines:
            times = f"{1e3 * line.median:9.2f} ms ({1e3 * line.low:.2f} to {1e3 * line.high:.2f})"
            print(
                f"{line.network} {line.who:13} {line.how:10} {times:38} {line.share:5.0%} of peak"
            )
        task = result.task
        ratios = (
            ("best peer", result.times_best, task.times_best),
            ("scikit-learn", result.times_sklearn, task.times_sklearn),
        )
        text = [f"{n} {r:.2f} times (wanted {w:g})" for n, r, w in ratios if r is not None]
        cores = f"{task.cores} core" if task.cores else "all cores"
        text.append(f"{result.share:.0%} of {cores} (wanted {task.share:.0%})")
        print(f"{result.network} {'met' if result.met else 'NOT MET'}: {'; '.join(text)}")
    if given.output:
        given.output.write_text(json.dumps(record.to_dict(), indent=2) + "\n")
    if given.docs:
        pages.fill(pages.README, "training", readme_table(record))


if __name__ == "__main__":
    main()

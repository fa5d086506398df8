"""How fast networks train, beside PyTorch, JAX and scikit-learn, and as a share of the peak.

    python benchmarks/training.py [--networks ABCDEW] [--rounds 5] [--peers torch jax] [--docs]

What `backhand bench` runs; see `backhand.report.bench`. With ``--docs``, the table in README.md is
written anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pages
from backhand.report.bench import OURS, TASKS, Line, Record, run_benchmarks
from backhand.report.peers import PEERS


def readme_table(record: Record) -> str:
    """Milliseconds of an epoch: ours, those of the fastest other library, and scikit-learn's."""
    lines = pages.head(
        ["network", "batch", "rows"],
        [
            "ms an epoch: backhand",
            "fastest other",
            "scikit-learn",
            "ratio to fastest",
            "to scikit-learn",
        ],
    )
    for result in record.results:
        others = [line for line in result.lines if line.who != OURS]
        best, sklearn = _best(others), _best([ln for ln in others if ln.who == "scikit-learn"])
        ours = result.lines[0].median
        lines.append(
            pages.row(
                [
                    "-".join(map(str, result.task.widths)),
                    f"{result.task.batch}",
                    f"{result.task.rows:,}",
                    _ms(ours),
                    f"{_ms(best.median)} ({best.who})" if best else "-",
                    _ms(sklearn.median) if sklearn else "-",
                    f"{best.median / ours:.1f}" if best else "-",
                    f"{sklearn.median / ours:.1f}" if sklearn else "-",
                ]
            )
        )
    versions = ", ".join(f"{name} {number}" for name, number in record.versions.items())
    machine = record.machine
    return "\n".join(
        [
            *lines,
            "",
            f"Medians over {record.rounds} rounds. {machine['threads']} threads, "
            f"{machine['processor']}; {versions}. Each library runs with the number of threads "
            "that is best for it.",
        ]
    )


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:,.{0 if seconds >= 0.01 else 1}f}"


def _best(lines: list[Line]) -> Line | None:
    return min(lines, key=lambda line: line.median, default=None)


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

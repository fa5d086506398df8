"""`backhand bench`: how fast networks train here, beside other libraries and the machine's peak."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..bench.peers import PEERS
from ..bench.training import OURS, TASKS, Record, Result, run_benchmarks
from ..errors import InputError, count
from ..files import write_whole
from ..report import tables


def run(networks: str, rounds: int, peers: str | None, out: Path | None) -> None:
    """Measure, print a table for each network, and write the record."""
    if rounds < 1:
        raise InputError(f"--rounds must be at least 1, got {rounds}")
    chosen = tuple(PEERS) if peers is None else tuple(filter(None, peers.split(",")))
    screen = tables.console()
    names = tuple(networks.replace(",", ""))
    record = run_benchmarks(names, rounds, chosen, lambda text: screen.print(f"measuring {text}"))
    _print(record, screen)
    if out is not None:
        write_whole(out, json.dumps(record.to_dict(), indent=2).encode())
        screen.print(f"record: {out}", soft_wrap=True)


def _print(record: Record, screen: Console) -> None:
    machine = record.machine
    screen.print(
        f"{machine['processor']} ({machine['target']}), {count(machine['threads'], 'thread')}"
    )
    for cores, rate in record.peaks.items():
        screen.print(f"measured peak of {count(cores, 'core')}, float32: {rate / 1e9:.0f} GF/s")
    screen.print(", ".join(f"{name} {version}" for name, version in record.versions.items()))
    if record.missing:
        screen.print(f"not installed, left out: {', '.join(record.missing)}")
    for result in record.results:
        _network(result, screen)
    screen.print(f"medians and quartiles over {count(record.rounds, 'interleaved round')}")


def _network(result: Result, screen: Console) -> None:
    task = TASKS[result.network]
    widths = "-".join(map(str, task.widths))
    title = f"{result.network}  {widths}, batch {task.batch}, {task.rows:,} rows an epoch"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("library")
    table.add_column("how")
    for column in ("ms an epoch", "quartiles", f"times {OURS}'s", "share of peak"):
        table.add_column(column, justify="right")
    mine = min(line.median for line in result.lines if line.who == OURS)
    for line in result.lines:
        table.add_row(
            line.who,
            line.how,
            f"{1e3 * line.median:.2f}",
            f"{1e3 * line.low:.2f} to {1e3 * line.high:.2f}",
            f"{line.median / mine:.2f}",
            f"{line.share:.0%}",
        )
    screen.print(table)

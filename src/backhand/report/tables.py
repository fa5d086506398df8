"""Tables in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..check.compare import KINDS, Comparison, worst_of
from ..errors import printable
from ..passes import LayerStatistics
from ..preprocess.preparation import Treatment
from .page.health import Verdict


def console(stderr: bool = False) -> Console:
    """A console that keeps to the terminal's width, and to 120 columns where there is none.

    It prints texts as they are, since names of files and columns may look like markup.
    """
    width = None if Console(stderr=stderr).is_terminal else 120
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def comparisons(lines: Iterable[Comparison], out: Console, full: bool = False) -> tuple[int, int]:
    """Print what was compared and how near it came to failing; return their number and failures.

    A row for each kind of comparison, or with ``full`` for each comparison. Those that failed are
    always printed in full, with the worst element and what led to it.
    """
    kinds: dict[str, list[Comparison]] = {kind: [] for kind in KINDS}
    for line in lines:
        kinds[line.kind].append(line)
    found = {kind: block for kind, block in kinds.items() if block}
    if full:
        for kind, block in found.items():
            out.print(_every(kind, block))
    else:
        out.print(_summary(found))
    failed = [line for block in found.values() for line in block if not line.passed]
    for line in failed:
        out.print(f"\n{line}")
    return sum(map(len, found.values())), len(failed)


def _summary(found: dict[str, list[Comparison]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("number", justify="right")
    table.add_column("worst error", justify="right", no_wrap=True)
    for kind, block in found.items():
        worst = worst_of(block)
        table.add_row(KINDS[kind], f"{len(block):,}", worst.told)
    return table


def _every(kind: str, block: list[Comparison]) -> Table:
    """A row for each comparison: the worst error as a share of what is allowed, and where it is."""
    title = KINDS[kind][0].upper() + KINDS[kind][1:]
    table = Table(title=title, title_justify="left", title_style="bold", box=box.HORIZONTALS)
    table.add_column("what", ratio=3)
    table.add_column("against", ratio=2)
    table.add_column("of allowed", justify="right", no_wrap=True)
    table.add_column("allowed", ratio=2)
    table.add_column("")
    for line in block:
        passed = Text("pass", "green") if line.passed else Text("FAIL", "bold red")
        note = f" ({line.note})" if line.note else ""
        table.add_row(line.what + note, line.oracle, line.share, line.tolerance, passed)
    return table


def scores(rows: dict[str, dict[str, float]], out: Console) -> None:
    """A table of scores, a row for each split; what the first has and another has not is empty."""
    names = list(next(iter(rows.values())))
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for split, values in rows.items():
        table.add_row(split, *(_score(values[n]) if n in values else "" for n in names))
    out.print(table)


def grid(rows: Iterable[Sequence[str]], heading: Sequence[str], out: Console) -> None:
    """A plain table of texts, each made fit for a terminal."""
    table = Table(box=None, pad_edge=False)
    for name in heading:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    out.print(table)


def treatments(rows: Iterable[Treatment], out: Console) -> None:
    """How each column of a table is treated, and why."""
    shown = [
        (row.column, row.holds, row.becomes, f"{row.missing:,}" if row.missing else "", row.notes)
        for row in rows
    ]
    grid(shown, ("column", "holds", "becomes", "missing", "training rows have"), out)


def _score(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e7 else f"{value:.4g}"


def statistics(cases: dict[str, list[LayerStatistics]], out: Console) -> None:
    """Layer statistics of several networks: a table for each, one row a layer."""
    for name, rows in cases.items():
        table = Table(title=name, title_justify="left", title_style="bold")
        table.add_column("layer", justify="right")
        table.add_column("array")
        for column in ("mean", "std", "variance", "zeros", "dead units"):
            table.add_column(column, justify="right")
        for row in rows:
            table.add_row(
                str(row.layer),
                row.buffer,
                f"{row.mean:+.3g}",
                f"{row.std:.3g}",
                f"{row.std**2:.3g}",
                f"{row.zeros:.0%}",
                f"{row.dead:.0%}",
            )
        out.print(table)


def propagation(cases: dict[str, list[LayerStatistics]], out: Console) -> None:
    """Side by side: how the variance of pre-activations, and the mean of outputs, go with depth."""
    layers = sorted({row.layer for rows in cases.values() for row in rows if row.buffer == "z"})
    panels: tuple[tuple[str, str, Callable[[LayerStatistics], str]], ...] = (
        ("Variance of pre-activations z, layer by layer", "z", lambda row: f"{row.std**2:.3g}"),
        ("Mean of outputs y, layer by layer", "y", lambda row: f"{row.mean:.3f}"),
        ("Standard deviation of gradients dz, layer by layer", "dz", lambda row: f"{row.std:.3g}"),
    )
    for title, buffer, value in panels:
        found = {
            name: {row.layer: value(row) for row in rows if row.buffer == buffer}
            for name, rows in cases.items()
        }
        heading = title
        for block in _fitting(layers, found, out.width):
            table = Table(box=None)
            table.pad_edge, table.padding = False, (0, GAP, 0, 0)
            table.add_column("initialiser, activation", no_wrap=True)
            for layer in block:
                table.add_column(str(layer), justify="right", no_wrap=True)
            for name, values in found.items():
                table.add_row(name, *(values.get(layer, "") for layer in block))
            out.print(Text(heading, "bold"))
            out.print(table)
            out.print()
            heading = f"{title}, continued"


COLOURS = {"good": "green", "note": "yellow", "bad": "red"}


def verdicts(found: Mapping[str, Sequence[Verdict]], out: Console) -> None:
    """What is to be said of networks, each with a remedy; those of which the same is together."""
    together: dict[tuple[Verdict, ...], list[str]] = {}
    for name, of in found.items():
        together.setdefault(tuple(of), []).append(name)
    out.print(Text("Verdicts", "bold"))
    for of, names in together.items():
        out.print("; ".join(map(printable, names)), soft_wrap=True)
        for one in of:
            remedy = f" ({printable(one.remedy)})" if one.remedy else ""
            said = Text.assemble((f"  {one.level}: ", COLOURS[one.level]), one.says, remedy)
            out.print(said, soft_wrap=True)
    out.print()


def looks(name: str, look: Mapping[str, Any], out: Console) -> None:
    """The layers of a network at one moment, as a `Look` in JSON."""
    out.print(Text(f"{printable(name)}, epoch {look['epoch']}", "bold"))
    heading = ("layer", "units", "never fire", "mean of z", "spread of z", "flat", "gradient")
    rows = [
        (
            str(one["layer"]),
            str(one["units"]),
            str(one["dead"]),
            f"{one['z_mean']:+.3g}",
            f"{one['z_std']:.3g}",
            f"{100 * one['flat']:.0f} %",
            f"{one['dz_std']:.2g}",
        )
        for one in look["layers"]
    ]
    grid(rows, heading, out)
    out.print()


GAP = 2  # columns between columns


def _fitting(
    layers: list[int], found: dict[str, dict[int, str]], width: int
) -> Iterator[list[int]]:
    """The layers in blocks whose columns fit the terminal beside the names."""
    names = max(map(len, ("initialiser, activation", *found)))
    block: list[int] = []
    used = names
    for layer in layers:
        longest = max(len(str(layer)), *(len(values.get(layer, "")) for values in found.values()))
        if block and used + GAP + longest > width:
            yield block
            block, used = [], names
        block.append(layer)
        used += GAP + longest
    yield block

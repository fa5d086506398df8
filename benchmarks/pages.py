"""Figures of the documentation: tables that scripts write between the marks of a page; pictures.

A page says where a table goes, and which command writes it:

    <!-- table NAME: COMMAND -->
    <!-- end NAME -->
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BENCHMARKS = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images"


def fill(page: Path, name: str, text: str) -> None:
    """Write a text between the marks of a name, in place of what stands there."""
    before = page.read_text("utf-8")
    marks = rf"(<!-- table {re.escape(name)}: [^\n]* -->\n).*?(<!-- end {re.escape(name)} -->)"
    after, found = re.subn(
        marks, lambda m: f"{m[1]}\n{text.strip()}\n\n{m[2]}", before, flags=re.DOTALL
    )
    if found != 1:
        raise ValueError(f"{page} has {found} places for the table {name!r}, not one")
    page.write_text(after, "utf-8")


def row(cells: Iterable[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def head(text: Sequence[str], numbers: Sequence[str]) -> list[str]:
    """The first two lines of a Markdown table: columns of text, then columns of numbers."""
    return [row([*text, *numbers]), row(["---"] * len(text) + ["---:"] * len(numbers))]


def draw_fit_times(times: dict[str, dict[str, float]], path: Path) -> None:
    """Draw the seconds of a fit on each table: a dot for each library, by its name.

    Parameters
    ----------
    times : dict
        Seconds by library, by table. The first two libraries are joined by a line.
    path : path
        Of the picture, a ``.png``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axis = figure.subplots()
    names = sorted(times, key=lambda name: min(times[name].values()), reverse=True)
    libraries = list(times[names[0]])
    places = range(len(names))
    low, high = ([times[name][library] for name in names] for library in libraries[:2])
    axis.hlines(places, low, high, color="0.8", linewidth=3, zorder=0)
    for library, colour, marker in zip(libraries, ("C0", "C1", "0.4"), "osx", strict=False):
        seconds = [times[name][library] for name in names]
        axis.scatter(seconds, places, color=colour, marker=marker, label=library, s=40)
    for place, ours, theirs in zip(places, low, high, strict=True):
        axis.annotate(
            f"{theirs / ours:.1f} times",
            ((ours * theirs) ** 0.5, place),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7,
            color="0.35",
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g} s")
    axis.set_yticks(places, names)
    axis.set_title("Seconds of a fit with default parameters (logarithmic; left is faster)")
    axis.grid(axis="x", alpha=0.3)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=110, metadata={"Software": None})

"""Arguments and options that commands share, and how they are declared."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..formulas.losses import LOSSES
from .options import number, whole


def option(*names: str, metavar: str, help: str, **more: Any) -> Any:
    """An option, with what stands for its value."""
    return typer.Option(*names, metavar=metavar, help=help, **more)


def listed(names: Iterable[str]) -> str:
    """Names for a help text, those that are registered later included."""
    return ", ".join(names)


def losses(*targets: str) -> str:
    """Losses for these kinds of target, for a help text."""
    return listed(name for name, loss in LOSSES.items() if loss.target in targets)


def whole_option(help: str, *names: str) -> Any:
    """An option that takes a whole number."""
    return option(*names, metavar="N", help=help, parser=whole)


def number_option(help: str, *names: str) -> Any:
    """An option that takes a number."""
    return option(*names, metavar="X", help=help, parser=number)


NAME = typer.Argument(metavar="NAME|FILE", help="digits, mnist, or a CSV, TSV or Parquet table")
NAME_OR_FOLDER = typer.Argument(
    metavar="NAME|FILE", help="digits, mnist, a CSV, TSV or Parquet table, or a folder of such"
)
Name = Annotated[str, NAME]
Target = Annotated[
    str | None, option(metavar="COLUMN", help="the column to predict; a table needs it")
]
Task = Annotated[
    str | None,
    option(
        metavar="TASK", help="classification or regression; by default what the target suggests"
    ),
]
DataDir = Annotated[
    Path | None,
    option(
        metavar="FOLDER", help="where the MNIST files are; also BACKHAND_DATA in the environment"
    ),
]
Seed = Annotated[int, whole_option("seed of the split, the initialisation and the training")]
Picture = Annotated[Path | None, option(metavar="FILE", help="a picture: .png, .svg or .pdf")]
Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="a run folder that train wrote, or its file")
]
Rows = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="rows: a CSV, TSV or Parquet table, a folder of such, or .npy"
    ),
]
KnownRows = Annotated[
    Path | None,
    typer.Argument(metavar="ROWS", help="rows whose target is known: CSV, TSV or Parquet"),
]
KnownTarget = Annotated[
    str | None,
    option(metavar="COLUMN", help="what is predicted; by default as the model was trained"),
]
Separator = Annotated[
    str | None, option(metavar="TEXT", help="what separates columns, such as tab; else found out")
]
Decimal = Annotated[
    str | None, option(metavar="TEXT", help="the decimal mark, . or ,; else found out")
]
Encoding = Annotated[
    str | None, option(metavar="NAME", help="of a CSV or TSV file, such as latin-1; else UTF-8")
]
Drop = Annotated[
    list[str] | None,
    option(metavar="COLUMN,...", help="of a table: columns to leave out; may be repeated"),
]
Keep = Annotated[
    list[str] | None,
    option(
        metavar="COLUMN,...",
        help="of a table: columns to use even if they look like identifiers; may be repeated",
    ),
]


def page(name: str) -> Any:
    """The option that says where a page goes."""
    return option(
        "--out", "-o", metavar="FILE", help=f"the HTML file; by default {name} in the run"
    )


def columns(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Names of columns, from an option that may be there several times, each with commas."""
    found = [part.strip() for text in texts or () for part in next(csv.reader([text]), [])]
    return tuple(dict.fromkeys(filter(None, found)))


def given(context: typer.Context) -> list[str]:
    """The parameters that stand on the command line, in the order of the command's."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return [
        name for name, source in sources.items() if getattr(source, "name", "") == "COMMANDLINE"
    ]


def spelt(name: str) -> str:
    """A parameter as it is written on the command line."""
    return f"--{name.replace('_', '-')}"

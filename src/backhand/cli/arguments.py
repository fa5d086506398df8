"""Arguments and options that several commands take, and how any of them is declared."""

from __future__ import annotations

from collections.abc import Iterable
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
Separator = Annotated[
    str | None, option(metavar="TEXT", help="what separates columns, such as tab; else found out")
]
Decimal = Annotated[
    str | None, option(metavar="TEXT", help="the decimal mark, . or ,; else found out")
]
Encoding = Annotated[
    str | None, option(metavar="NAME", help="of a CSV or TSV file, such as latin-1; else UTF-8")
]

"""The options of `backhand explore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .arguments import Decimal, Encoding, Separator, option


def explore(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="a model's file, the folder of its run, or digits for an example"
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(metavar="ROWS", help="rows whose target is known: CSV, TSV or Parquet"),
    ] = None,
    target: Annotated[
        str | None,
        option(metavar="COLUMN", help="what is predicted; by default as the model was trained"),
    ] = None,
    out: Annotated[
        Path | None,
        option(
            "--out", "-o", metavar="FILE", help="the HTML file; by default explore.html in the run"
        ),
    ] = None,
    separator: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
) -> None:
    """Write a page in which you walk through a network, as one HTML file.

    A row's numbers go forward, through the loss, and back; every derivative stands beside a slope
    that the page measures. Change the row, the parameters or the activation, and train a few steps.
    Without rows, those that the run was trained on are read again. The file loads nothing from
    anywhere.
    """
    from .explore import run

    form = {"separator": separator, "decimal": decimal, "encoding": encoding}
    run(model, file, target, out, form)

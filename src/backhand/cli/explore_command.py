"""The options of `backhand explore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .arguments import Decimal, Encoding, KnownRows, KnownTarget, Separator, page


def explore(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="a model's file, the folder of its run, or digits for an example"
        ),
    ],
    file: KnownRows = None,
    target: KnownTarget = None,
    out: Annotated[Path | None, page("explore.html")] = None,
    separator: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
) -> None:
    """Write a page in which you walk through a network.

    A row's numbers go forward, through the loss, and back; every derivative stands beside a slope
    that the page measures. Change the row, the parameters or the activation, and train a few steps.
    Without rows, those that the run was trained on are read again. The file loads nothing from
    anywhere.
    """
    from .explore import run

    form = {"separator": separator, "decimal": decimal, "encoding": encoding}
    run(model, file, target, out, form)

"""The checkpoint of a table's run: its options, and the networks of its fit."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..tabular.checkpoints import RECORD, FitCheckpoint, recorded
from ..train.checkpoint import Checkpoint
from .options import TableOptions
from .resume import from_there
from .runs import FIT, RunFolder


class RunFit(FitCheckpoint):
    """The checkpoint of a table's networks, in a run's folder, which removes it in the end.

    Parameters
    ----------
    folder : RunFolder
    every : str
        See `Checkpoint`.
    options : TableOptions
    known : dict, optional
        What is known of the run that goes on.
    """

    def __init__(
        self,
        folder: RunFolder,
        every: str,
        options: TableOptions,
        known: dict[str, Any] | None = None,
    ) -> None:
        run = {"options": dataclasses.asdict(options), "folder": os.getcwd()}
        super().__init__(Checkpoint(folder.place / FIT, every), known, run)
        self._folder = folder

    def make(self, write: Callable[[str], None]) -> None:
        def filled(path: Path) -> None:
            path.mkdir()
            write(str(path))

        self._folder.write_checkpoint(filled)
        self.path = str(self._folder.place / FIT)

    def remove(self) -> None:
        """Leave it: a kill may still come before the run's files are written."""


def resumed_fit(place: Path) -> tuple[TableOptions, TableOptions, dict[str, Any]]:
    """The options of a table's run, the same with files as named from here, and its record.

    Raises
    ------
    InputError
        If there is nothing to go on with.
    """
    path = place / FIT / RECORD
    known = recorded(str(place / FIT))
    if not known:
        raise InputError(f"{path} is missing: there is nothing to resume")
    try:
        about = known["about"]
        tuples = {name: tuple(about["options"][name]) for name in ("drop", "keep")}
        options = TableOptions(**{**about["options"], **tuples})
        test = None if options.test is None else from_there(about, options.test)
        here = dataclasses.replace(options, name=from_there(about, options.name), test=test)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not the checkpoint of a run: {error!r}") from None
    return options, here, known

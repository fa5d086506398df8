"""`backhand describe`: how a table's columns would be treated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..datasets.reading import read_table
from ..datasets.tables import read_target
from ..errors import InputError, amount, count, printable
from ..preprocess.preparation import TablePreparation
from ..report import tables
from .answers import Form

MOST_CLASSES_SHOWN = 10


def run(
    file: Path,
    target: str | None,
    task: str | None,
    drop: Sequence[str],
    keep: Sequence[str],
    form: Form,
) -> None:
    """Print what each column is read as, what it becomes, and why."""
    if task is not None and target is None:
        raise InputError(f"--task {task} is of a target: name its column with --target")
    table = read_table(file, **form)
    rows, about = None, [count(table.num_rows, "row")]
    if target is not None:
        found, values, rows = read_target(table, target, task)
        about = [count(len(rows), "row"), f"{found} of {target!r}"]
        if found == "classification":
            classes = sorted(set(values.tolist()))
            named = ", ".join(map(str, classes[:MOST_CLASSES_SHOWN]))
            more = len(classes) - MOST_CLASSES_SHOWN
            about.append(f"classes {named}" + (f" and {more} more" if more > 0 else ""))
        else:
            about.append(f"{amount(values.min())} to {amount(values.max())}")
    preparation = TablePreparation.fit(
        table,
        rows,
        exclude=[] if target is None else [target],
        drop=drop,
        keep=keep,
        warn=False,
    )
    screen = tables.console()
    for line in ("; ".join(about), preparation.summary):
        screen.print(printable(line), soft_wrap=True)
    tables.treatments(preparation.describe(), screen)

"""The networks of an ensemble: while they are trained, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, TextColumn

from ..errors import count
from ..preprocess.preparation import TablePreparation
from ..tabular.member import Member, MemberProgress
from ..tabular.metrics import Metric
from ..train.state import Epoch
from . import tables
from .score_tables import number, share
from .scores import named

SECONDS_BETWEEN = 20.0
"""Between two lines where the output is no terminal."""

MOST_COLUMNS = 25
"""Columns of a table that are shown before its training: those that are left out first."""

LONGEST_NOTE = 40
"""Characters of what is noted about a column there."""

LEFT_OUT = "left out"
EMBEDDINGS = ("periodic", "piecewise_linear")

ENDED = {
    "epochs": "all epochs",
    "callback": "time limit",
    "interrupted": "Ctrl-C",
}


class NetworkRow(NamedTuple):
    """What became of one network.

    Attributes
    ----------
    kind : str
        How it takes numbers, and whether it learned the logarithm of the target.
    epochs, best_epoch : int
        How many there were, and which one was kept.
    validation : float or None
        The loss of its validation rows, or the metric that was asked for.
    weight : float
        Its part of the ensemble; the sum is 1.
    ended : str
        Why its training was over.
    """

    kind: str
    epochs: int
    best_epoch: int
    validation: float | None
    weight: float
    ended: str


class Live:
    """Shows columns as they are taken, and then how far each network is.

    In a terminal each network that is being trained has a line with a bar, which goes when it is
    done; elsewhere there is a line from time to time. It is a callback of the estimators of tables,
    and has to be entered.

    Parameters
    ----------
    out : Console
    columns : bool
        Whether to show how the columns are treated.
    title : str
        What each line begins with.
    """

    def __init__(self, out: Console, columns: bool = True, title: str = "") -> None:
        self._out, self._columns, self._title = out, columns, title
        self._progress = rich.progress.Progress(
            TextColumn("{task.fields[network]}", markup=False),
            BarColumn(20),
            TextColumn("{task.description}", markup=False),
            console=out,
            disable=not out.is_terminal,
            transient=True,
        )
        self._tasks: dict[int, rich.progress.TaskID] = {}
        self._start = self._said = time.monotonic()
        self._waiting = self._progress.add_task("preparing", total=None, network=title)

    def __enter__(self) -> Live:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def prepared(self, preparation: TablePreparation) -> None:
        """Show how the columns are treated."""
        self._progress.update(self._waiting, description="compiling")
        if self._columns:
            columns(preparation, self._out)

    def __call__(self, now: MemberProgress) -> None:
        """Show an epoch."""
        self._progress.update(self._waiting, visible=False)
        loss = now.loss if now.validation_loss is None else now.validation_loss
        what = "loss" if now.validation_loss is None else "validation loss"
        text = f"epoch {now.epoch}/{now.epochs}  {what} {number(loss)}"
        name = f"{self._title}network {now.member}/{now.members}"
        if now.member not in self._tasks:
            task = self._progress.add_task(text, total=now.epochs, network=name)
            self._tasks[now.member] = task
        task, done = self._tasks[now.member], now.epoch == now.epochs
        self._progress.update(task, completed=now.epoch, description=text, visible=not done)
        if not self._out.is_terminal and time.monotonic() - self._said > SECONDS_BETWEEN:
            self._said = time.monotonic()
            self._out.print(f"{self._said - self._start:.0f} s: {name}, {text}")


def columns(preparation: TablePreparation, out: Console) -> None:
    """How each column is treated, in short; of a wide table some columns, and a summary."""
    every = preparation.describe()
    left = [one for one in every if one.becomes == LEFT_OUT]
    used = [one for one in every if one.becomes != LEFT_OUT]
    used = used[: max(MOST_COLUMNS - len(left), MOST_COLUMNS // 2)]
    shown = [*used, *left[: MOST_COLUMNS - len(used)]]
    tables.treatments([one._replace(notes=_shortened(one.notes)) for one in shown], out)
    if len(shown) < len(every):
        more = count(len(every) - len(shown), "further column")
        out.print(f"and {more}, which `backhand info` lists; {preparation.summary}", soft_wrap=True)
    out.print()


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_NOTE else text[: LONGEST_NOTE - 1] + "…"


def rows_of(
    members: Sequence[Member], weights: Iterable[tuple[Any, float]], metric: Metric | None
) -> list[NetworkRow]:
    """What became of the networks of a fit.

    Parameters
    ----------
    members : sequence of Member
        All that were trained.
    weights : iterable of (Member, float)
        Those that count, and how much.
    metric : Metric or None
        What epochs were chosen by; None for the loss.
    """
    counted = {id(member): weight for member, weight in weights}
    found = []
    for member in members:
        result = member.result
        assert result is not None
        row = row_of(result.history, result.best_epoch, result.stopped, kind_of(member), metric)
        found.append(row._replace(weight=counted.get(id(member), 0.0)))
    return found


def row_of(
    history: Sequence[Epoch], best_epoch: int, stopped: str, kind: str, metric: Metric | None = None
) -> NetworkRow:
    """What became of a training; parameters as of `FitResult` and `rows_of`."""
    value = None
    if best_epoch:
        line = history[best_epoch - 1]
        value = line.validation_loss
        if metric is not None and line.validation_score is not None:
            value = named(metric)[1] * line.validation_score
    ended = ENDED.get(stopped, stopped)
    if stopped == "patience":
        ended = f"no better in {count(len(history) - best_epoch, 'epoch')}"
    return NetworkRow(kind, len(history), best_epoch, value, 1.0, ended)


def has_scores(members: Sequence[Member]) -> bool:
    """Whether epochs were chosen by a metric, and not by the loss."""
    histories = [member.result.history for member in members if member.result is not None]
    return any(line.validation_score is not None for lines in histories for line in lines)


def read_rows(found: Any) -> list[NetworkRow]:
    """Rows from what a file says; none for anything else, as somebody may have edited it."""
    try:
        return [
            NetworkRow(
                str(row["kind"]),
                int(row["epochs"]),
                int(row["best_epoch"]),
                None if row["validation"] is None else float(row["validation"]),
                float(row["weight"]),
                str(row["ended"]),
            )
            for row in found
        ]
    except (TypeError, ValueError, KeyError):
        return []


def kind_of(member: Member) -> str:
    """How a network takes numbers, and whether it learned the logarithm of the target."""
    words = str(member.network.to_dict()["layers"])
    kind = next((name for name in EMBEDDINGS if f"'{name}'" in words), "plain")
    log = member.scale is not None and member.scale.log
    return kind.replace("_", " ") + (", log of target" if log else "")


def networks(rows: Sequence[NetworkRow], metric: Metric | None, out: Console) -> None:
    """A row for each network."""
    validation = "validation loss" if metric is None else f"validation {named(metric)[0]}"
    heading = ("network", "kind", "epochs", "kept", validation, "weight", "ended")
    cells = [
        (
            str(place),
            row.kind,
            str(row.epochs),
            str(row.best_epoch),
            "" if row.validation is None else number(row.validation),
            share(row.weight),
            row.ended,
        )
        for place, row in enumerate(rows, start=1)
    ]
    tables.grid(cells, heading, out)

"""The options of `backhand train`, and which of its two ways a run goes.

A table goes to `train_table`, unless an option describes a plain network; that, digits and MNIST go
to `train_plain`.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..formulas.activations import ACTIVATIONS
from ..formulas.initialisers import INITIALISERS
from ..formulas.optimisers import OPTIMISERS
from ..formulas.schedules import SCHEDULES
from .arguments import (
    NAME_OR_FOLDER,
    DataDir,
    Decimal,
    Drop,
    Encoding,
    Keep,
    Picture,
    Seed,
    Separator,
    Target,
    Task,
    columns,
    given,
    listed,
    losses,
    number_option,
    option,
    spelt,
    whole_option,
)
from .options import Options, Repeatable, TableOptions


def _only_in(kind: type[Repeatable], other: type[Repeatable]) -> tuple[str, ...]:
    """The options of one way to train that the other has not got."""
    known = {field.name for field in dataclasses.fields(other)}
    return tuple(field.name for field in dataclasses.fields(kind) if field.name not in known)


ENSEMBLE = _only_in(TableOptions, Options)
"""Options of the ensembles that are trained on tables."""

PLAIN = tuple(name for name in _only_in(Options, TableOptions) if name != "data_dir")
"""Options that describe one plain network and its training."""

OF_PLAIN = ("plot",)
"""Options that only the training of a plain network has, and that do not ask for one."""

TEXT_FILE = ("separator", "decimal", "encoding")

RESUMED = ("resume", "threads", "plot", "checkpoint_every", "report")
"""Options that a resumed run may have anew."""


def train(
    context: typer.Context,
    name: Annotated[str | None, NAME_OR_FOLDER] = None,
    target: Target = None,
    task: Task = None,
    preset: Annotated[
        str, option(metavar="NAME", help="of a table: fast, default or best")
    ] = "default",
    members: Annotated[
        int | None, whole_option("of a table: how many networks; by default as the preset has")
    ] = None,
    time_limit: Annotated[
        float | None, number_option("of a table: seconds that a fit may take; by default any")
    ] = None,
    metric: Annotated[
        str | None,
        option(
            metavar="NAME",
            help="of a table: what to make as good as possible, such as accuracy, f1, "
            "balanced_accuracy, average_precision, auc, mae or another of scikit-learn's; by "
            "default log_loss or rmse",
        ),
    ] = None,
    class_weight: Annotated[
        str | None,
        option(
            metavar="WEIGHTS",
            help="of a table: what each class counts: balanced, or such as '{\"yes\": 5}'",
        ),
    ] = None,
    test: Annotated[
        Path | None, option(metavar="FILE", help="of a table: score these rows at the end")
    ] = None,
    cv: Annotated[
        int | None, whole_option("of a table: first a cross-validation with N parts")
    ] = None,
    drop: Drop = None,
    keep: Keep = None,
    separator: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    threads: Annotated[
        int | None,
        whole_option("at most N threads; changes the time, not one bit of the result"),
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        option(metavar="FOLDER", help="new folder for the run; by default runs/NAME-TIME"),
    ] = None,
    hidden: Annotated[
        str, option(metavar="N,N,...", help="units of each hidden layer; '' for none")
    ] = "256",
    activation: Annotated[
        str,
        option(
            metavar="NAME,...",
            help="of the hidden layers: one for all or one for each, such as elu:alpha=0.5; "
            f"{listed(ACTIVATIONS)}",
        ),
    ] = "relu",
    loss: Annotated[
        str | None,
        option(
            metavar="NAME",
            help=f"for classes: {losses('class')}, by default the first; "
            f"for numbers: {losses('real')}, by default the first",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        whole_option("passes over the data; by default 60, or 15 above 10,000 rows; of lbfgs, 200"),
    ] = None,
    batch_size: Annotated[
        int | None, whole_option("rows in a step; by default 32, or 128 above 10,000 rows")
    ] = None,
    learning_rate: Annotated[float, number_option("learning rate, at the schedule's peak")] = 5e-3,
    optimiser: Annotated[
        str, option(metavar="NAME", help=f"{listed(OPTIMISERS)}; or lbfgs, by all rows at once")
    ] = "adam",
    schedule: Annotated[str, option(metavar="NAME", help=listed(SCHEDULES))] = "one_cycle",
    l2: Annotated[float, number_option("factor of half the squared weights in the loss")] = 0.0,
    clip_norm: Annotated[
        float | None, number_option("longest that the gradient of a step may be; by default any")
    ] = None,
    dropout: Annotated[
        float | None,
        number_option("dropout probability of hidden units; by default 0.3 for classes, else 0"),
    ] = None,
    init: Annotated[
        str,
        option(metavar="NAME", help=f"initialiser, see `backhand inspect`: {listed(INITIALISERS)}"),
    ] = "kaiming_normal",
    patience: Annotated[
        int | None,
        whole_option("stop after N epochs without a lower validation loss; by default never"),
    ] = None,
    dtype: Annotated[
        str | None,
        option(metavar="NAME", help="float32 or float64; by default float32, of lbfgs float64"),
    ] = None,
    engine: Annotated[
        str | None, option(metavar="NAME", help="llvm (machine code, the default) or numpy")
    ] = None,
    plot: Picture = None,
    checkpoint_every: Annotated[
        str,
        option(
            metavar="N|SECONDS",
            help="keep what --resume needs every N epochs, or as in 30s; or never",
        ),
    ] = "60s",
    resume: Annotated[
        Path | None,
        option(metavar="RUN", help="go on with an interrupted or killed run, with its options"),
    ] = None,
    data_dir: DataDir = None,
    report: Annotated[
        bool,
        typer.Option("--report", help="write report.html as well: all that can be seen of the run"),
    ] = False,
) -> None:
    """Train on a table or a data set; keep the best model.

    A table gets an ensemble of networks that fits it, which learns from all rows: each network is
    scored by rows that it has not learned from. With any of the options from --hidden on, a table
    gets one plain network instead, as digits and mnist do.

    The run folder gets the model, the history, and the command that repeats the run bit by bit.
    Ctrl-C ends the training and keeps the best model so far. A run that was interrupted or killed
    is resumed with --resume, and ends with the bits that it would have had; but with --time-limit.
    """
    there = given(context)
    if resume is not None:
        _check_alone(there)
        raise typer.Exit(_go_on(resume, threads, plot, checkpoint_every, report))
    if name is None:
        raise InputError("NAME|FILE is missing: digits, mnist, a table, or a run to --resume")
    if is_ensemble(name, there):
        from .train_table import run as run_table

        if data_dir is not None:
            raise InputError(f"--data-dir is for mnist, and {name} is a table: leave it out")
        chosen = TableOptions(
            name=name,
            target=target,
            task=task,
            preset=preset,
            members=members,
            time_limit=time_limit,
            metric=metric,
            class_weight=class_weight,
            test=None if test is None else str(test),
            cv=cv,
            drop=columns(drop),
            keep=columns(keep),
            separator=separator,
            decimal=decimal,
            encoding=encoding,
            threads=threads,
            seed=seed,
        )
        if time_limit is not None and "checkpoint_every" in there:
            raise InputError(
                "--checkpoint-every with --time-limit: how much a run learns in a time depends on "
                "the clock, so none is resumed; leave one of them out"
            )
        raise typer.Exit(run_table(chosen, out, report, checkpoint_every))
    from .train_plain import run

    code = run(
        Options(
            name=name,
            target=target,
            task=task,
            separator=separator,
            decimal=decimal,
            encoding=encoding,
            hidden=hidden,
            activation=activation,
            loss=loss,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimiser=optimiser,
            schedule=schedule,
            l2=l2,
            clip_norm=clip_norm,
            dropout=dropout,
            init=init,
            patience=patience,
            dtype=dtype,
            engine=engine,
            threads=threads,
            seed=seed,
            data_dir=None if data_dir is None else str(data_dir),
        ),
        out,
        plot,
        checkpoint_every,
        report,
    )
    raise typer.Exit(code)


def _go_on(place: Path, threads: int | None, plot: Path | None, every: str, report: bool) -> int:
    """Resume a run; return the exit code."""
    from .runs import FIT

    if not (place / FIT).is_dir():
        from .train_plain import resume

        return resume(place, threads, plot, every, report)
    from .train_table import resume as resume_table

    if plot is not None:
        raise InputError(f"--plot is for one plain network, and {place} has several: leave it out")
    return resume_table(place, threads, every, report)


def is_ensemble(name: str, there: list[str]) -> bool:
    """Whether a run trains the ensemble of a table, by its data and the options that are given.

    Raises
    ------
    InputError
        If one of the options is for tables, and another or the data set for a plain network.
    """
    from ..datasets import is_table

    table = is_table(name)
    plain = [option for option in there if option in PLAIN]
    of_table = [option for option in there if option in (*ENSEMBLE, *(() if table else TEXT_FILE))]
    if of_table and not table:
        raise InputError(f"{spelt(of_table[0])} is for tables, and {name} is none: leave it out")
    if of_table and plain:
        raise InputError(
            f"{spelt(plain[0])} is for one plain network, {spelt(of_table[0])} for the ensemble "
            "that a table gets without it: leave one of them out"
        )
    if table and plain and os.path.isdir(name):
        raise InputError(
            f"{spelt(plain[0])} is for one plain network, and the folder {name} is for the "
            "ensemble, which is streamed: leave it out, name one file, or take "
            "backhand.Stream(folder).rows(target) in Python"
        )
    if table and not plain:
        for option in OF_PLAIN:
            if option in there:
                raise InputError(
                    f"{spelt(option)} is for one plain network, as with --hidden 256: leave it "
                    "out, or describe one"
                )
    return table and not plain


def _check_alone(there: list[str]) -> None:
    """Raise InputError if anything is given that a resumed run has of its own."""
    for name in there:
        if name not in RESUMED:
            what = "NAME" if name == "name" else spelt(name)
            raise InputError(f"--resume takes the options of its run: leave out {what}")

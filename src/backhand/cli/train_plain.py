"""`backhand train` for one plain network: from a name or a table to a run folder with a model."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Data
from ..errors import BackhandError, InputError, amount
from ..export import Model
from ..formulas.activations import choose_activation
from ..formulas.initialisers import choose_initialiser
from ..formulas.losses import choose_loss
from ..network import Network, Params
from ..report import pictures, tables
from ..report.page.report import Report
from ..report.page.reports import of_plain
from ..report.page.subjects import of_network
from ..report.progress import Live
from ..train.checkpoint import EVERY
from ..train.config import LBFGS, TrainConfig
from ..train.evaluate import evaluate
from ..train.fit import check_lbfgs, fit
from ..train.monitor import Look, Monitor
from ..train.result import DivergedError, FitResult
from ..train.rows import Rows
from ..train.state import TrainState
from . import INTERRUPTED, runs
from .interrupts import heed, undisturbed
from .options import Options, check_limits, check_size, hidden_widths, names
from .resume import (
    NEVER,
    RunCheckpoint,
    about,
    check_every,
    dropped_if_diverged,
    load,
    resumed,
)

MANY_ROWS = 10_000

TEST_ROWS = "test rows, which played no part in training"

Score = Callable[[Any, Any], float]


def run(
    options: Options,
    out: Path | None,
    plot: Path | None,
    every: str = EVERY,
    report: bool = False,
) -> int:
    """Train; return the exit code. With ``report`` the run has a page as well."""
    _check(options)  # what is wrong with an option is said before data is read
    _check_outputs(plot, every)
    place = runs.checked_place(out, Path(options.name).stem)
    data = load(options)
    lbfgs = options.optimiser == LBFGS
    config = config_of(options, len(data.train))
    options = dataclasses.replace(
        options,
        epochs=config.epochs,
        batch_size=config.batch_size,
        dropout=_dropout(options, data.task),
        dtype=options.dtype or ("float64" if lbfgs else "float32"),
    )
    return _run(options, config, data, runs.RunFolder(place), plot, every, report)


def resume(
    place: Path,
    threads: int | None,
    plot: Path | None,
    every: str = EVERY,
    report: bool = False,
) -> int:
    """Go on with a run from its checkpoint; return the exit code."""
    check_limits(threads=threads)
    _check_outputs(plot, every)
    found = resumed(place)
    data = found.load()
    config = config_of(found.options, len(data.train))
    threads = config.threads if threads is None else threads
    config = dataclasses.replace(config, engine=found.engine, threads=threads)
    folder = runs.RunFolder(place, ours=True)
    return _run(found.options, config, data, folder, plot, every, report, found.state)


def _run(
    options: Options,
    config: TrainConfig,
    data: Data,
    folder: runs.RunFolder,
    plot: Path | None,
    every: str,
    report: bool,
    state: TrainState | None = None,
) -> int:
    screen = tables.console()
    network = network_of(options, data)
    score = _score(data.task)  # the last of what is loaded; a Ctrl-C that this lost is heeded next
    heed()
    start = time.perf_counter()
    screen.print(_headline(network, data, options.task), soft_wrap=True)
    checkpoint = None
    if every != NEVER:
        checkpoint = RunCheckpoint(folder, every, lambda: about(options, config.engine, data))
    if state is not None:
        screen.print(_resumed_at(state, config), soft_wrap=True)
    monitors = [Monitor(network, data.train)] if report else []
    with dropped_if_diverged(folder):
        trained = fit(
            network,
            network.init(options.init, options.seed, data.train.x[:2048]),
            data.train,
            config,
            validation=data.validation,
            score=score,
            callbacks=[
                Live(screen, config.epochs, SCORES[data.task], state.history if state else ()),
                lambda now: heed(),
                *monitors,
            ],
            state=state,
            checkpoint=checkpoint,
        )
    with undisturbed():  # a second Ctrl-C must not lose what the first one kept
        seconds = time.perf_counter() - start
        with dropped_if_diverged(folder):
            scored = _scored(network, trained.params, data, config.engine)
        model = _model(network, trained, data, options, scored)
        looks = monitors[0].looks if monitors else []
        page = _page(model, trained, data, looks) if report else None

        def write(path: Path) -> None:
            _write(path, model, trained, options)
            if page is not None:
                page.save(path / runs.REPORT)
                runs.write_looks(path, {1: looks})

        kept, fault = folder.keep(write, done=trained.stopped != "interrupted")
        _report(kept, trained, config, scored, baseline_of(data), seconds, screen)
    if page is not None:
        screen.print(f"report: {kept / runs.REPORT}", soft_wrap=True)
    if folder.resumable:
        screen.print(folder.how_to_go_on, soft_wrap=True)
    if plot is not None and trained.history:
        pictures.plot_history(trained.history, plot, SCORES[data.task], trained.best_epoch)
        screen.print(f"picture: {plot}", soft_wrap=True)
    if fault:
        raise BackhandError(fault)
    return INTERRUPTED if trained.stopped == "interrupted" else 0


def _check_outputs(plot: Path | None, every: str) -> None:
    """Raise InputError for a picture that cannot be drawn, or a time that is none."""
    if plot is not None:
        pictures.check_picture(plot)
    check_every(every)


def _resumed_at(state: TrainState, config: TrainConfig) -> str:
    if state.optimiser is None:
        return "resumed: L-BFGS starts again from its first parameters"
    return f"resumed after epoch {state.epoch} of {config.epochs}"


def _check(options: Options) -> None:
    """Raise InputError for what is wrong whatever the data is."""
    given = ("epochs", "batch_size", "patience", "threads", "seed")
    check_limits(**{name: getattr(options, name) for name in given})
    config = config_of(options, rows=1)
    choose_initialiser(options.init)
    activations = names(options.activation)
    widths = hidden_widths(options.hidden)
    for activation in activations:
        choose_activation(activation)
    outputs = 2 if choose_loss(options.loss or "mean_squared_error").by_row else 1
    check_size(_network(options, 1, widths, outputs), options.hidden)
    # dropout is wrong or right even where no layer has any
    check_lbfgs(_network(options, 1, widths or (1,) * len(activations), outputs), config)


def _report(
    kept: Path,
    trained: FitResult,
    config: TrainConfig,
    scored: dict[str, dict[str, float]],
    baseline: Baseline,
    seconds: float,
    screen: Any,
) -> None:
    """Print the scores, which epoch was kept and why, and why the training ended."""
    tables.scores({**scored, "baseline": baseline.scores}, screen)
    screen.print(f"baseline: {baseline.text}; on the test rows", soft_wrap=True)
    done = len(trained.history)
    where = f"of epoch {trained.best_epoch} of {done}" if done else "of an unfinished first epoch"
    if done:
        lowest = trained.history[trained.best_epoch - 1].validation_loss
        screen.print(
            f"kept: epoch {trained.best_epoch} of {done}, with the lowest validation loss (*), "
            f"{lowest:.4f}"
        )
    ends = {
        "epochs": f"ended: after all {done} epochs",
        "patience": f"ended: no lower validation loss in {config.patience} epochs (--patience)",
        "converged": f"ended: converged after {done} iterations",
        "no progress": f"ended: no step makes the loss smaller, after {done} iterations",
        "interrupted": f"interrupted: kept the {'best model so far' if done else 'model'}, {where}",
    }
    why = ends.get(trained.stopped, f"ended: by a {trained.stopped}")
    if trained.stopped != "epochs":
        why += f"; {config.epochs} epochs were asked for"
    screen.print(f"{why}; {seconds:.1f} s", soft_wrap=True)
    screen.print(f"model: {kept / runs.MODEL}", soft_wrap=True)


@dataclasses.dataclass(frozen=True)
class Baseline:
    """What answers that look at no input score on the test rows, and which answers they are."""

    text: str
    scores: dict[str, float]


def baseline_of(data: Data) -> Baseline:
    """The most frequent class of the training rows for every row, or the mean of their targets."""
    t = data.test.t
    if data.classes is not None:
        most = int(np.bincount(data.train.t).argmax())
        text = f"always {data.classes[most]!r}, the most frequent class of the training rows"
        return Baseline(text, {"accuracy": float(np.mean(t == most))})
    # targets are standardised by the training rows, so their mean is 0
    error = np.square(t, dtype=np.float64).mean()
    spread = np.var(t, dtype=np.float64)
    return Baseline(
        f"always {amount(data.target_mean, 6)}, the mean of the training rows",
        {
            "R2": float(1 - error / spread) if spread else 0.0,
            "RMSE": float(np.sqrt(error)) * data.target_std,
        },
    )


SCORES = {"classification": "accuracy", "regression": "R2"}


def _dropout(options: Options, task: str) -> float:
    if options.dropout is not None:
        return options.dropout
    return 0.3 if task == "classification" and options.optimiser != LBFGS else 0.0


def config_of(options: Options, rows: int) -> TrainConfig:
    """How to train, with defaults by the number of training rows."""
    many = rows > MANY_ROWS
    usual = 200 if options.optimiser == LBFGS else 15 if many else 60
    epochs = usual if options.epochs is None else options.epochs
    batch_size = (128 if many else 32) if options.batch_size is None else options.batch_size
    return TrainConfig(
        epochs=epochs,
        batch_size=batch_size,
        optimiser=options.optimiser,
        learning_rate=options.learning_rate,
        schedule=options.schedule,
        l2=options.l2,
        clip_norm=options.clip_norm,
        seed=options.seed,
        patience=options.patience,
        monitor="loss",  # steadier than a score of a few hundred rows
        engine=options.engine,
        threads=options.threads,
    )


def network_of(options: Options, data: Data) -> Network:
    """The network for the data. Raises InputError if it makes no sense, or is absurdly large."""
    classes = data.task == "classification"
    outputs = len(data.classes) if data.classes is not None else 1
    loss = options.loss or ("softmax_cross_entropy" if classes else "mean_squared_error")
    options = dataclasses.replace(options, loss=loss)
    network = _network(options, data.train.x.shape[1], hidden_widths(options.hidden), outputs)
    if network.loss.by_row != classes:
        kinds = {"class": "classification", "probability": "targets from 0 to 1"}
        kind = kinds.get(network.loss.target, "regression")
        raise InputError(f"loss {network.loss.name!r} is for {kind}, the task is {data.task}")
    if network.loss.target in ("count", "positive", "probability"):
        raise InputError(
            f"loss {network.loss.name!r} needs targets as they are, and `backhand train` "
            "standardises them; use backhand.fit"
        )
    check_size(network, options.hidden)
    return network


def _network(options: Options, inputs: int, hidden: tuple[int, ...], outputs: int) -> Network:
    activations = names(options.activation)
    return Network(
        (inputs, *hidden, outputs),
        activation=activations if len(activations) > 1 else activations[0],
        loss=options.loss or "mean_squared_error",
        dropout=options.dropout or 0.0,
        dtype=options.dtype or "float32",
    )


def _headline(network: Network, data: Data, task: str | None) -> str:
    counts = ", ".join(
        f"{len(getattr(data, split)):,} {split}" for split in ("train", "validation", "test")
    )
    inferred = " (inferred; --task decides)" if task is None and data.target is not None else ""
    return (
        f"{data.name}: {data.task}{inferred}, {counts} rows\n{data.preparation.summary}; "
        f"network {network.summary}, {network.n_parameters:,} parameters"
    )


def _score(task: str) -> Score:
    from sklearn.metrics import accuracy_score, r2_score

    if task == "classification":
        return lambda z, t: float(accuracy_score(t[:, 0], z.argmax(axis=1)))

    def score(z: Any, t: Any) -> float:
        return float(r2_score(t, z)) if np.isfinite(z).all() else -math.inf

    return score


def _scored(
    network: Network, params: Params, data: Data, engine: str | None
) -> dict[str, dict[str, float]]:
    """The scores of every split. Raises DivergedError if one is not finite."""
    found = {}
    for split in ("train", "validation", "test"):
        found[split] = scores(network, params, data, getattr(data, split), engine)
        for name, value in found[split].items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"training diverged: the {split} rows have {name} {value:g}; "
                    "try a smaller learning rate"
                )
    return found


def scores(
    network: Network, params: Params, data: Data, split: Rows, engine: str | None = None
) -> dict[str, float]:
    """Scores of a split: accuracy and loss, or R2 and the root mean squared error.

    As for the epochs, they come from the executor that trains, a part of the rows at a time.
    """
    more: dict[str, float] = {}

    def score(z: Any, t: Any) -> float:
        if data.task == "regression":
            error = np.subtract(z, t, dtype=np.float64)
            more["RMSE"] = float(np.sqrt(np.mean(error**2))) * data.target_std
        return _score(data.task)(z, t)

    t = split.t if split.t.ndim == 2 else split.t[:, None]
    # what is not finite is told by the caller
    loss, value = evaluate(network, params, Rows(split.x, t), score, engine)
    assert value is not None
    return {SCORES[data.task]: value, "loss": loss, **more}


def _model(
    network: Network,
    trained: FitResult,
    data: Data,
    options: Options,
    scored: dict[str, dict[str, float]],
) -> Model:
    return Model(
        network,
        trained.params,
        task=data.task,
        preparation=data.preparation,
        classes=data.classes,
        target=data.target,
        target_mean=data.target_mean,
        target_std=data.target_std,
        provenance={
            **runs.origin(options),
            "best_epoch": trained.best_epoch,
            "stopped": trained.stopped,
            "scores": scored,
        },
    )


def _page(model: Model, trained: FitResult, data: Data, looks: Sequence[Look]) -> Report:
    """The report of the test rows."""
    t = data.test.t
    y = t if data.classes is not None else t[:, 0] * data.target_std + data.target_mean
    subject = of_network(
        model.network,
        model.params,
        data.test.x,
        y,
        classes=data.classes,
        target=data.target,
        target_mean=data.target_mean,
        target_std=data.target_std,
        preparation=data.preparation,
        names=data.feature_names,
        rows_are=TEST_ROWS,
    )
    return of_plain(
        model.network,
        model.params,
        title=data.name,
        task=data.task,
        subject=subject,
        target=data.target or "",
        preparation=data.preparation,
        history=trained.history,
        best_epoch=trained.best_epoch,
        stopped=trained.stopped,
        score=SCORES[data.task],
        looks=looks,
        command=str(model.provenance.get("command", "")),
    )


def _write(folder: Path, model: Model, trained: FitResult, options: Options) -> None:
    model.save(folder / runs.MODEL)
    history = [dataclasses.asdict(line) for line in trained.history]
    runs.write_records(folder, history, {**model.provenance, **runs.circumstances(options)})

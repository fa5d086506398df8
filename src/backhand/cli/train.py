"""`backhand train`: from a name or a table to a run folder with a model."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import datasets
from ..datasets import Data, Split
from ..errors import BackhandError, InputError
from ..export import Model, save_model
from ..export.model import write_whole
from ..formulas.initialisers import choose_initialiser
from ..network import Network, Params
from ..report import pictures, tables
from ..training import DivergedError, Rows, Settings, Trained, fit

LARGEST_NETWORK = 250_000_000  # parameters: with Adam's two moments, 3 GB in float32
MANY_ROWS = 10_000
INTERRUPTED = 130


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line says; the options that repeat a run."""

    name: str
    target: str | None
    task: str | None
    hidden: str
    activation: str
    loss: str | None
    epochs: int | None
    batch: int | None
    rate: float
    optimiser: str
    schedule: str
    l2: float
    dropout: float | None
    init: str
    patience: int | None
    dtype: str
    engine: str | None
    threads: int | None
    seed: int
    data_dir: str | None

    @property
    def command(self) -> str:
        """The command with every option that matters, to be run again."""
        words = ["backhand", "train", self.name]
        for field in dataclasses.fields(self)[1:]:
            value = getattr(self, field.name)
            if value is not None:
                words += [f"--{field.name.replace('_', '-')}", str(value)]
        return shlex.join(words)


def run(options: Options, out: Path | None, plot: Path | None) -> int:
    """Train; return the exit code."""
    screen = tables.console()
    settings_of(options, rows=1)  # what is wrong with an option is said before data is read
    hidden_widths(options.hidden)
    choose_initialiser(options.init)
    if plot is not None:
        pictures.check_picture(plot)
    data = datasets.load(
        options.name,
        data_dir=options.data_dir,
        target=options.target,
        task=options.task,
        seed=options.seed,
    )
    settings = settings_of(options, len(data.train))
    options = dataclasses.replace(
        options,
        epochs=settings.epochs,
        batch=settings.batch,
        dropout=DROPOUT[data.task] if options.dropout is None else options.dropout,
    )
    network = network_of(options, data)
    with run_folder(out, Path(options.name).stem) as folder:
        screen.print(_headline(network, data))
        params = network.init(options.init, options.seed, data.train.x[:2048])
        trained = _fit(network, params, data, settings, screen)
        scored = {
            split: scores(network, trained.params, data, getattr(data, split))
            for split in ("train", "validation", "test")
        }
        model = _model(network, trained, data, options, scored)
        _write(folder.path, model, trained, options, scored)
        place = folder.keep()
    tables.scores(scored, screen)
    if plot is not None:
        pictures.plot_history(trained.history, plot, SCORES[data.task])
    best = f"of epoch {trained.best_epoch} of {len(trained.history)}"
    screen.print(f"model: {place / 'model.safetensors'} ({best})", soft_wrap=True)
    if trained.stopped != "interrupted":
        return 0
    screen.print(f"interrupted: kept the best model so far, {best}")
    return INTERRUPTED


DROPOUT = {"classification": 0.3, "regression": 0.0}
SCORES = {"classification": "accuracy", "regression": "R2"}


def hidden_widths(text: str) -> tuple[int, ...]:
    """``"256,128"`` as numbers; nothing for no hidden layer."""
    widths = []
    for part in filter(None, text.replace(" ", "").split(",")):
        if not part.isdigit() or int(part) < 1:
            raise InputError(
                f"--hidden takes whole numbers above 0 such as 256,128, got {part!r} in {text!r}"
            )
        widths.append(int(part))
    return tuple(widths)


def settings_of(options: Options, rows: int) -> Settings:
    """How to train, with defaults by the number of training rows."""
    many = rows > MANY_ROWS
    epochs = (15 if many else 60) if options.epochs is None else options.epochs
    batch = (128 if many else 32) if options.batch is None else options.batch
    return Settings(
        epochs=epochs,
        batch=batch,
        optimiser=options.optimiser,
        rate=options.rate,
        schedule=options.schedule,
        l2=options.l2,
        seed=options.seed,
        patience=options.patience,
        monitor="loss",  # steadier than a score of a few hundred rows
        engine=options.engine,
        threads=options.threads,
    )


def network_of(options: Options, data: Data) -> Network:
    """The network for the data. Raises InputError if it makes no sense, or is absurdly large."""
    classes = data.task == "classification"
    loss = options.loss or ("softmax_cross_entropy" if classes else "mean_squared_error")
    outputs = len(data.classes) if data.classes is not None else 1
    activation: Any = options.activation
    if "," in activation and ":" not in activation:
        activation = activation.split(",")
    network = Network(
        (data.train.x.shape[1], *hidden_widths(options.hidden), outputs),
        activation=activation,
        loss=loss,
        dropout=options.dropout or 0.0,
        dtype=options.dtype,
    )
    if network.loss.by_row != classes:
        raise InputError(
            f"loss {network.loss.name!r} is for "
            f"{'classification' if network.loss.by_row else 'regression'}, the task is {data.task}"
        )
    if network.loss.target in ("count", "probability"):
        raise InputError(
            f"loss {network.loss.name!r} needs targets as they are, and `backhand train` "
            "standardises them; use backhand.fit"
        )
    if network.parameters > LARGEST_NETWORK:
        raise InputError(
            f"--hidden {options.hidden} makes {network.parameters:,} parameters; "
            f"the most is {LARGEST_NETWORK:,}"
        )
    return network


def _headline(network: Network, data: Data) -> str:
    widths = "-".join(map(str, network.widths))
    counts = ", ".join(
        f"{len(getattr(data, split)):,} {split}" for split in ("train", "validation", "test")
    )
    return f"{data.name}: {data.task}, {counts} rows; {widths}, {network.parameters:,} parameters"


def _fit(network: Network, params: Params, data: Data, settings: Settings, screen: Any) -> Trained:
    name = SCORES[data.task]
    try:
        with tables.Live(screen, settings.epochs, name) as live:
            return fit(
                network,
                params,
                Rows(data.train.x, data.train.t),
                settings,
                validation=Rows(data.validation.x, data.validation.t),
                score=_score(data.task),
                callbacks=[live],
            )
    except DivergedError as error:
        raise BackhandError(f"{error} (nothing was written)") from None


def _score(task: str) -> Callable[[Any, Any], float]:
    from sklearn.metrics import accuracy_score, r2_score

    if task == "classification":
        return lambda z, t: float(accuracy_score(t[:, 0], z.argmax(axis=1)))
    return lambda z, t: float(r2_score(t, z))


def scores(network: Network, params: Params, data: Data, split: Split) -> dict[str, float]:
    """Scores of a split: accuracy and loss, or R2 and the root mean squared error."""
    z = network.forward(params, split.x)
    t = split.t if split.t.ndim == 2 else split.t[:, None]
    found = {SCORES[data.task]: _score(data.task)(z, t), "loss": network.loss_at(z, split.t)}
    if data.task == "regression":
        from sklearn.metrics import root_mean_squared_error

        found["RMSE"] = float(root_mean_squared_error(t, z)) * data.target_std
    return found


def _model(
    network: Network,
    trained: Trained,
    data: Data,
    options: Options,
    scored: dict[str, dict[str, float]],
) -> Model:
    from .. import __version__

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
            "command": options.command,
            "seed": options.seed,
            "backhand": __version__,
            "best_epoch": trained.best_epoch,
            "stopped": trained.stopped,
            "scores": scored,
        },
    )


def _write(
    folder: Path,
    model: Model,
    trained: Trained,
    options: Options,
    scored: dict[str, dict[str, float]],
) -> None:
    save_model(model, folder / "model.safetensors")
    lines = "".join(json.dumps(line._asdict()) + "\n" for line in trained.history)
    write_whole(folder / "history.jsonl", lines.encode())
    record = {
        **model.provenance,
        "options": dataclasses.asdict(options),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "scores": scored,
    }
    write_whole(folder / "run.json", json.dumps(record, indent=2).encode())


class Folder:
    """A folder that is being filled, and gets its name when it is whole."""

    def __init__(self, path: Path, place: Path) -> None:
        self.path, self._place = path, place

    def keep(self) -> Path:
        """Give it its name; return it."""
        try:
            os.chmod(self.path, 0o755)
            os.rename(self.path, self._place)
        except OSError as error:
            raise InputError(f"cannot write {self._place}: {error.strerror or error}") from None
        return self._place


@contextlib.contextmanager
def run_folder(out: Path | None, name: str) -> Iterator[Folder]:
    """A folder beside the one that is wanted; what is not kept is removed.

    Raises
    ------
    InputError
        If the folder cannot be made, or has something in it already.
    """
    place = out
    if place is None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        place = Path("runs") / f"{name}-{stamp}"
        number = 1
        while place.exists():
            number += 1
            place = Path("runs") / f"{name}-{stamp}-{number}"
    try:
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise InputError(f"{place} is already there: name another folder with --out")
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as error:
        raise InputError(f"cannot write to {place}: {error.strerror or error}") from None
    try:
        yield Folder(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)

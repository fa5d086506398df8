"""`backhand explore`: a model, or an example, as a page in which one walks through a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from .. import datasets
from ..datasets import Data
from ..errors import InputError
from ..export import Model, load
from ..network import Network
from ..preprocess.pixels import Standardise
from ..report import tables
from ..report.walk.subjects import Subject, of_model, of_table
from ..report.walk.walk import walk_of
from ..train.config import TrainConfig
from ..train.fit import fit
from . import runs
from .answers import Form, is_tabular, target_of
from .report import classes_of, labelled

Array = Any

EXAMPLES = ("digits", "mnist")
"""Data sets of pictures, for which a small network is trained at once."""

HIDDEN = 32
EPOCHS = {"digits": 20, "mnist": 3}

PAGE = "explore.html"


def run(path: Path, file: Path | None, target: str | None, out: Path | None, form: Form) -> None:
    """Write the page, and say where."""
    if str(path) in EXAMPLES and not path.exists():
        if file is not None or target is not None:
            raise InputError(f"{path} is an example with rows of its own: leave the others out")
        data = datasets.load(str(path))
        subject = of_model(_example(data), _raw(data), _labels(data), f"{path}: a small network")
        out = Path(f"{path}-{PAGE}") if out is None else out
    else:
        model_file = runs.model_file(path)
        model = load(model_file)
        subject = _subject(model, path, file, target, form)
        if out is None:
            out = path / PAGE if path.is_dir() else Path(f"{model_file.stem}-{PAGE}")
    walk_of(subject).save(out)
    tables.console().print(f"explore: {out}", soft_wrap=True)


def _example(data: Data) -> Model:
    """A network of one small hidden layer."""
    assert data.classes is not None
    widths = (data.train.x.shape[1], HIDDEN, len(data.classes))
    network = Network(widths, loss="softmax_cross_entropy")
    config = TrainConfig(epochs=EPOCHS[data.name], batch_size=32, learning_rate=2e-3, seed=0)
    trained = fit(network, network.init("kaiming_normal", 0), data.train, config)
    return Model(network, trained.params, data.task, data.preparation, data.classes)


def _raw(data: Data) -> Array:
    """The test rows as pixels."""
    prepared = data.preparation
    assert isinstance(prepared, Standardise)
    x = data.test.x.astype(np.float64)
    return np.rint((x * prepared.std + prepared.mean) / prepared.scale)


def _labels(data: Data) -> Array:
    return np.asarray(data.classes, object)[data.test.t]


def _subject(model: Any, path: Path, file: Path | None, target: str | None, form: Form) -> Subject:
    trained_on = _trained_on(path) if file is None else None
    if trained_on in EXAMPLES:
        data = datasets.load(trained_on)
        return of_model(model, _raw(data), _labels(data), f"{path.resolve().name}: {trained_on}")
    if trained_on is not None and Path(trained_on).is_file():
        file = Path(trained_on)
    if file is None:
        raise InputError(
            "a walk needs rows whose targets are known: name their file, as in "
            "`backhand explore MODEL ROWS.csv`"
        )
    target = target_of(model) if target is None else target
    if target is None:
        raise InputError("the model does not know the column that it predicts: name it by --target")
    rows, y = labelled(model, file, target, form)
    if is_tabular(model):
        return of_table(model.model_, rows, y)
    classes = classes_of(model)
    y = y if classes is None else np.asarray(classes, object)[y]
    return of_model(model, rows, y) if isinstance(model, Model) else model.explored(rows, y)


def _trained_on(path: Path) -> str | None:
    """The name of the data, or the file, that a run was trained on; None if it is not known."""
    try:
        found = json.loads((path / runs.RECORD).read_text("utf-8"))["options"]["name"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if isinstance(found, str) else None

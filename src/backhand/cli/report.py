"""`backhand report`: a model and rows as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.tables import read_known_target
from ..errors import InputError
from ..export import Model, load
from ..report import tables
from ..report.page.health import Watcher
from ..report.page.report import Report
from ..report.page.reports import of_tabular
from . import runs
from .answers import Form, is_tabular, rows_of, target_of
from .options import TableOptions

Array = Any

NO_ROWS = (
    "Rows whose target is known, as in `backhand report MODEL ROWS.csv`, show here how good the "
    "model is on them, which columns matter, and which rows are most wrong."
)


def run(path: Path, file: Path | None, target: str | None, out: Path | None, form: Form) -> None:
    """Write the report, and say where."""
    model_file = runs.model_file(path)
    model = load(model_file)
    folder = model_file.parent
    target = target_of(model) if target is None else target
    rows = y = None
    if file is not None:
        if target is None:
            raise InputError(
                "the model does not know the column that it predicts: name it by --target"
            )
        rows, y = labelled(model, file, target, form)
    elif target is not None and target != target_of(model):
        raise InputError("--target is of rows to score: name their file as well")
    title: str | None = path.resolve().name if path.is_dir() else model_file.name
    if is_tabular(model):
        title = None if model.model_.target is not None else title
        found = of_tabular(
            model,
            rows,
            y,
            title=title,
            looks=runs.read_looks(folder),
            history=runs.read_history(folder),
            notes=() if file is not None else (NO_ROWS,),
        )
    elif isinstance(model, Model):
        found = _of_model(model, rows, y, folder, title or "", file)
    else:
        found = model.report(None, rows, None if y is None else _labels(model, y))
    if out is None:
        name = runs.REPORT if file is None else f"report-{file.stem}.html"
        out = folder / name if path.is_dir() else Path(f"{model_file.stem}-report.html")
    found.save(out)
    tables.console().print(f"report: {out}", soft_wrap=True)


def labelled(model: Any, file: Path, target: str, form: Form) -> tuple[Any, Array]:
    """The rows of a file that have a target, as a model takes them, and their targets."""
    rows, table = rows_of(model, file, form)
    if table is None:
        raise InputError(f"{file}: an array has no column {target!r}; give a table")
    try:
        y, kept = read_known_target(table, target, classes_of(model))
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    return (rows.take(kept) if rows is table else rows[kept]), y


def classes_of(model: Any) -> list[Any] | None:
    if is_tabular(model):
        found = model.model_.classes
        return None if found is None else list(found.tolist())
    if isinstance(model, Model):
        return model.classes
    return list(model.classes_.tolist()) if hasattr(model, "classes_") else None


def _labels(model: Any, y: Array) -> Array:
    return np.asarray(model.classes_)[y] if hasattr(model, "classes_") else y


def _of_model(
    model: Model, rows: Any, y: Array | None, folder: Path, title: str, file: Path | None
) -> Report:
    return model.report(
        None,
        rows,
        y if y is None or model.classes is None else np.asarray(model.classes, object)[y],
        title=title,
        history=runs.read_history(folder).get(1, ()),
        looks=runs.read_looks(folder).get(1, ()),
        notes=() if file is not None else (NO_ROWS,),
    )


# at the end of a training -------------------------------------------------------------------------


def report_of_run(
    estimator: Any, options: TableOptions, table: Any, test: Any, watcher: Watcher
) -> Report:
    """The report of an ensemble that has just been trained: of its test rows, or of held-out ones.

    Parameters
    ----------
    estimator : TabularClassifier or TabularRegressor
    options : TableOptions
    table : pyarrow.Table
        That it was fitted to.
    test : pyarrow.Table or None
    watcher : Watcher
    """
    seen: Mapping[int, Any] = {n: monitor.looks for n, monitor in watcher.monitors.items()}
    if test is not None and options.target is not None:
        y, kept = read_known_target(test, options.target, classes_of(estimator))
        return of_tabular(estimator, test.take(kept), y, looks=seen)
    if estimator.held_out_ is not None:
        return of_tabular(estimator, table, (), held_out=True, looks=seen)
    note = "There are too few rows to hold any out, so nothing can be said of new ones."
    return of_tabular(estimator, looks=seen, notes=(note,))

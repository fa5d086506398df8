"""How a table with a target column becomes a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.datasets.data import TASKS, Data, Task
from backhand.datasets.reading import read_table
from backhand.datasets.splitting import checked_seed, split_rows
from backhand.errors import InputError, count, unknown_name
from backhand.preprocess import arrow, cells
from backhand.preprocess.preparation import TablePreparation
from backhand.preprocess.scaling import mean_and_std
from backhand.preprocess.tables import as_table, nearest
from backhand.train.rows import Rows

FEWEST_ROWS = 10
# An integer target with no more values than this, and with this many rows for each of them on
# average, is taken for classes.
MOST_INFERRED_CLASSES = 20
ROWS_FOR_EACH_CLASS = 10


def load_table(
    path: str | Path, target: str | None, task: str | None = None, seed: int = 0
) -> Data:
    """Read a table and prepare it for learning one of its columns from the others.

    The rows are divided 60/20/20 before any statistic is taken, stratified for classification where
    every class has enough rows; every statistic is of the training rows.

    Parameters
    ----------
    path : str or Path
    target : str
        The column to predict.
    task : {"classification", "regression"} or None
        None infers: classification for text, for booleans, for two distinct values, and for
        integers with at most 20 distinct values and 10 rows for each on average; else regression.
    seed : int
        Decides the split.

    Returns
    -------
    Data

    Raises
    ------
    InputError
        As `read_table`, and for no such column, fewer than 10 rows, a missing or infinite target,
        one class or value only, text for regression, nearly as many classes as rows, an infinite
        feature, no usable feature column.
    Warns
    -----
    UserWarning
        Names the columns that are left out.
    """
    if task is not None and task not in TASKS:
        raise unknown_name("task", task, TASKS)
    checked_seed(seed)
    table = as_table(read_table(path))
    names = table.column_names
    if target is None:
        raise InputError(f"{path}: name the column to predict, one of {_some(names)}")
    if target not in names:
        near = nearest(target, names)
        hint = f"did you mean {near!r}? " if near else ""
        raise InputError(f"{path}: no column {target!r}: {hint}columns: {_some(names)}")
    if table.num_rows < FEWEST_ROWS:
        raise InputError(f"{path}: has {table.num_rows} rows; training needs {FEWEST_ROWS}")
    chosen, values = _target(table, target, task)
    if chosen == "classification":
        return _classification(str(path), table, target, values, seed)
    return _regression(str(path), table, target, values, seed)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:20])
    return f"{shown}, … ({len(names)} in all)" if len(names) > 20 else shown


def _target(table: Any, target: str, task: str | None) -> tuple[Task, NDArray[Any]]:
    """Return the task, and the target's values as str, bool, int or float."""
    reading = cells.look(table, target)
    kind = reading.kind
    where = f"target column {target!r}"
    if kind == "empty":
        raise InputError(f"{where} has no values")
    if kind in ("date", "unusable"):
        what = "dates" if kind == "date" else arrow.type_of(table, target)
        raise InputError(f"{where} holds {what}; it must hold numbers, text or booleans")
    values: NDArray[Any]
    if kind in ("text", "boolean"):
        if task == "regression":
            raise InputError(f"{_no_number(table, target)}; regression needs numbers")
        found = cells.categories(table, target, reading)
        absent = np.asarray(found.is_null())
        values = np.array(found.to_pylist(), dtype=object)
        if kind == "boolean" and not absent.any():
            values = values == "true"
        task = "classification"
    else:
        values = cells.numbers(table, target, reading)
        absent = np.isnan(values)
        # Beyond 2**53 float64 would confuse neighbouring integers, so those stay floats.
        if cells.are_integers(table, target) and not absent.any() and np.abs(values).max() < 2**53:
            values = values.astype(np.int64)
    if absent.any():
        row = arrow.row_number(table, int(np.flatnonzero(absent)[0]))
        others = int(absent.sum()) - 1
        also = f", and in {count(others, 'row')} after it" if others else ""
        raise InputError(
            f"{where}, row {row}: the value is missing{also}; fill it in or remove the row"
        )
    distinct = len(np.unique(values))
    if distinct == 1:
        shown = values[0].item() if isinstance(values[0], np.generic) else values[0]
        what = "regression" if task == "regression" else "classification"
        raise InputError(f"{where} is {shown!r} in every row: {what} needs two values or more")
    if task is None:
        whole = bool((values == np.floor(values)).all())
        few = distinct <= MOST_INFERRED_CLASSES and distinct * ROWS_FOR_EACH_CLASS <= len(values)
        classes = distinct == 2 or (whole and few)
        task = "classification" if classes else "regression"
    if task == "classification" and 2 * distinct > len(values):
        many = f"{distinct} distinct values in {len(values)} rows, too many for classes"
        if kind == "text":
            raise InputError(f"{_no_number(table, target)}, and the column has {many}")
        raise InputError(f"{where} has {many}")
    return ("classification" if task == "classification" else "regression"), values


def _no_number(table: Any, target: str) -> str:
    """Say which of the target's values keeps it from being a number."""
    try:
        cells.numbers(table, target, strays="raise")
    except InputError as error:
        return f"target {error}"
    return f"target column {target!r} holds {arrow.type_of(table, target)}"


def _classification(name: str, table: Any, target: str, values: NDArray[Any], seed: int) -> Data:
    classes, labels = np.unique(values, return_inverse=True)
    labels = labels.reshape(-1).astype(np.int64)
    parts = split_rows(len(labels), labels, seed)
    preparation = TablePreparation.fit(table, parts[0], exclude=[target], embed=False)
    x = preparation.apply(table, tell=False)
    train, validation, test = (Rows(x[rows], labels[rows]) for rows in parts)
    return Data(
        name=name,
        task="classification",
        train=train,
        validation=validation,
        test=test,
        classes=classes.tolist(),
        preparation=preparation,
        target=target,
        feature_names=preparation.feature_names,
    )


def _regression(name: str, table: Any, target: str, values: NDArray[Any], seed: int) -> Data:
    parts = split_rows(len(values), None, seed)
    preparation = TablePreparation.fit(table, parts[0], exclude=[target], embed=False)
    x = preparation.apply(table, tell=False)
    t = values.astype(np.float64)
    mean, std = mean_and_std(t[parts[0]], f"target column {target!r}")
    std = std or 1.0  # all training targets alike, while others differ
    with np.errstate(over="ignore"):
        t32 = ((t - mean) / std).astype(np.float32)[:, None]
    wild = np.flatnonzero(~np.isfinite(t32[:, 0]))
    if wild.size:
        row = arrow.row_number(table, int(wild[0]))
        raise InputError(
            f"target column {target!r}, row {row}: {t[wild[0]]:g} is too far from the others"
        )
    train, validation, test = (Rows(x[rows], t32[rows]) for rows in parts)
    return Data(
        name=name,
        task="regression",
        train=train,
        validation=validation,
        test=test,
        classes=None,
        preparation=preparation,
        target=target,
        feature_names=preparation.feature_names,
        target_mean=mean,
        target_std=std,
    )

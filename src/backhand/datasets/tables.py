"""How a table with a target column becomes a data set."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.datasets.data import TASKS, Data, Task
from backhand.datasets.reading import read_table
from backhand.datasets.splitting import checked_seed, split_rows
from backhand.errors import InputError, count, printable, unknown_name
from backhand.preprocess import arrow, cells
from backhand.preprocess.distribution import mean_and_std
from backhand.preprocess.missing import spells
from backhand.preprocess.preparation import TablePreparation
from backhand.preprocess.readings import Reading, shown
from backhand.preprocess.tables import nearest
from backhand.train.rows import Rows

FEWEST_ROWS = 10
# An integer target with no more values than this, and with this many rows for each of them on
# average, is taken for classes.
MOST_INFERRED_CLASSES = 20
ROWS_FOR_EACH_CLASS = 10


# Words that are no class in a column of text, but what programs write where there is no value.
NO_CLASS = ("", "na", "n/a", "#n/a", "<na>", "nan", "null")


def load_table(
    path: str | Path,
    target: str | None,
    task: str | None = None,
    seed: int = 0,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
) -> Data:
    """Read a table and prepare it for learning one of its columns from the others.

    The rows are divided 60/20/20 before any statistic is taken, stratified for classification;
    every statistic is of the training rows. Rows without a target are in none of the parts.

    Parameters
    ----------
    path : str or Path
    target : str
        The column to predict.
    task : {"classification", "regression"} or None
        As in `read_target`.
    seed : int
        Decides the split.
    separator, decimal, encoding : str, optional
        As in `read_table`.

    Returns
    -------
    Data

    Raises
    ------
    InputError
        As `read_table` and `read_target`, and for fewer than 10 rows, an infinite feature, no
        usable feature column.

    Warns
    -----
    UserWarning
        Names the columns, and the rows without a target, that are left out.
    """
    checked_seed(seed)
    table, chosen, values, kept = read_labelled(
        path, target, task, separator=separator, decimal=decimal, encoding=encoding
    )
    assert target is not None
    t: NDArray[Any]
    classes, mean, std = None, 0.0, 1.0
    if chosen == "classification":
        labels, t = np.unique(values, return_inverse=True)
        classes, t = labels.tolist(), t.reshape(-1).astype(np.int64)
    parts = split_rows(len(values), None if classes is None else t, seed)
    preparation = TablePreparation.fit(table, kept[parts[0]], exclude=[target], embed=False)
    if classes is None:
        t, mean, std = _standardised(table, target, values, kept, parts[0])
    # all parts at once, since the cells of a text file are read each time
    x = preparation.apply(table, kept[np.concatenate(parts)], warn=False)
    inputs = np.split(x, np.cumsum([len(part) for part in parts])[:-1])
    train, validation, test = (Rows(x, t[part]) for x, part in zip(inputs, parts, strict=True))
    return Data(
        name=str(path),
        task=chosen,
        train=train,
        validation=validation,
        test=test,
        classes=classes,
        preparation=preparation,
        target=target,
        feature_names=preparation.feature_names,
        target_mean=mean,
        target_std=std,
    )


def _standardised(
    table: Any,
    target: str,
    values: NDArray[np.float64],
    kept: NDArray[np.int64],
    training: NDArray[np.int64],
) -> tuple[NDArray[np.float32], float, float]:
    """Return targets t (M, 1) of all rows, and the mean and deviation of the training rows."""
    mean, std = mean_and_std(values[training], f"target column {target!r}")
    std = std or 1.0  # all training targets alike, while others differ
    with np.errstate(over="ignore"):
        t = ((values - mean) / std).astype(np.float32)[:, None]
    wild = np.flatnonzero(~np.isfinite(t[:, 0]))
    if wild.size:
        row = arrow.row_number(table, int(kept[wild[0]]))
        raise InputError(
            f"target column {target!r}, row {row}: {values[wild[0]]:g} is too far from the others"
        )
    return t, mean, std


def read_labelled(
    path: str | Path, target: str | None, task: str | None = None, **form: str | None
) -> tuple[Any, Task, NDArray[Any], NDArray[np.int64]]:
    """Read a table to learn one of its columns from the others.

    Parameters
    ----------
    path : str or Path
    target, task
        As in `read_target`.
    **form
        As in `read_table`.

    Returns
    -------
    table : pyarrow.Table
    task, values, kept
        As of `read_target`.

    Raises
    ------
    InputError
        As `read_table` and `read_target`, and if fewer than 10 rows have a target.
    """
    table = read_table(path, **form)
    try:
        chosen, values, kept = read_target(table, target, task)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if len(kept) < FEWEST_ROWS:
        held = "rows" if len(kept) == table.num_rows else "rows with a target"
        raise InputError(f"{path}: has {len(kept)} {held}; training needs {FEWEST_ROWS}")
    return table, chosen, values, kept


def _some(names: list[str]) -> str:
    some = printable(", ".join(names[:20]))
    return f"{some}, … ({len(names)} in all)" if len(names) > 20 else some


def read_target(
    table: Any, target: str | None, task: str | None = None
) -> tuple[Task, NDArray[Any], NDArray[np.int64]]:
    """Read the column to predict.

    Parameters
    ----------
    table : pyarrow.Table
    target : str
        The column's name.
    task : {"classification", "regression"} or None
        None infers: classification for text, for booleans, for two distinct values, and for
        integers with at most 20 distinct values and 10 rows for each on average; else regression.

    Returns
    -------
    task : {"classification", "regression"}
    values : ndarray, shape (M,)
        Of the rows that have one: float64 for regression; bool, int64, float64 or str (as objects)
        for classes. Classes are as they were written: those with leading zeros, and integers that
        no int64 holds, are str.
    kept : ndarray of int64, shape (M,)
        The numbers of these rows, ascending.

    Raises
    ------
    InputError
        For no such column, an infinite value, one class or value only, text for regression, nearly
        as many classes as rows, a type that is no target.

    Warns
    -----
    UserWarning
        Says how many rows have no target, and what stands in the first.
    """
    if task is not None and task not in TASKS:
        raise unknown_name("task", task, TASKS)
    if target is None:
        raise InputError(f"name the column to predict, one of {_some(table.column_names)}")
    _check_there(table, target)
    where = f"target column {target!r}"
    reading = cells.look(table, target)
    if reading.kind == "empty":
        raise InputError(f"{where} has no values")
    if reading.kind in ("date", "unusable"):
        what = "dates" if reading.kind == "date" else arrow.type_of(table, target)
        raise InputError(f"{where} holds {what}; it must hold numbers, text or booleans")
    if reading.kind == "text" and task == "regression":
        # Codes are numbers for who asks for numbers; all other text is none, and the error says so.
        reading = cells.NUMBER
        try:
            cells.numbers(table, target, strays="raise")
        except InputError as error:
            raise InputError(f"target {error}; regression needs numbers") from None
    if reading.kind == "boolean" and task == "regression":
        raise InputError(f"{where} holds true and false; regression needs numbers")
    if reading.kind == "number":
        values, kept = _numbers(table, target, reading)
        if task is None:
            task = "classification" if _are_classes(values) else "regression"
        if task == "classification":
            values, kept = _number_classes(table, target, reading, values, kept)
    else:
        task = "classification"
        values, kept = _text_classes(table, target, reading)
    _tell_left_out(table, target, "number" if values.dtype.kind in "if" else "value", kept)
    distinct = len(np.unique(values))
    if distinct < 2:
        if not distinct:
            raise InputError(f"{where} has no values")
        value = values[0].item() if isinstance(values[0], np.generic) else values[0]
        raise InputError(f"{where} is {value!r} in every row: {task} needs two values or more")
    if task == "classification" and 2 * distinct > len(values):
        many = f"{distinct} distinct values in {len(values)} rows, too many for classes"
        if reading.kind == "text":
            raise InputError(f"{_no_number(table, target)}, and the column has {many}")
        raise InputError(f"{where} has {many}")
    return ("classification" if task == "classification" else "regression"), values, kept


def read_known_target(
    table: Any, target: str, classes: Sequence[Any] | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Read the column that a model predicts, of rows to score.

    Parameters
    ----------
    table : pyarrow.Table
    target : str
        The column's name.
    classes : sequence or None
        The classes that the model knows, as `read_target` gave them; None for regression.

    Returns
    -------
    values : ndarray, shape (M,)
        Numbers of classes, or float64 for regression.
    kept : ndarray of int64, shape (M,)
        The numbers of the rows that have one, ascending.

    Raises
    ------
    InputError
        For no such column, an infinite value, and if no row has a class that the model knows, or a
        number.

    Warns
    -----
    UserWarning
        Says how many rows are left out, and what stands in the first.
    """
    _check_there(table, target)
    reading = cells.look(table, target)
    values: NDArray[Any]
    if classes is None or not isinstance(classes[0], (str, bool, np.bool_)):
        values, kept = _numbers(
            table, target, reading if reading.kind == "number" else cells.NUMBER
        )
    else:
        reading = cells.TEXT if isinstance(classes[0], str) else Reading("boolean")
        values, kept = _text_classes(table, target, reading)
    what = "number"
    if classes is not None:
        what = "class that the model knows"
        places = {label: number for number, label in enumerate(classes)}
        found = np.array([places.get(value, -1) for value in values.tolist()], dtype=np.int64)
        values, kept = found[found >= 0], kept[found >= 0]
    if not len(kept):
        raise InputError(f"target column {target!r}: no row has a {what}")
    _tell_left_out(table, target, what, kept)
    return values, kept


def _check_there(table: Any, target: str) -> None:
    """Raise InputError if there is no such column, with the nearest."""
    names = table.column_names
    if target not in names:
        near = nearest(target, names)
        hint = f"did you mean {near!r}? " if near else ""
        alone = "; if it is several, name what divides them with --separator"
        more = alone if len(names) == 1 else ""
        raise InputError(f"no column {target!r}: {hint}columns: {_some(names)}{more}")


def _numbers(
    table: Any, target: str, reading: Reading
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    values = cells.numbers(table, target, reading, strays="ignore")
    kept = np.flatnonzero(~np.isnan(values))
    return values[kept], kept


def _are_classes(values: NDArray[np.float64]) -> bool:
    """Say whether numbers are taken for classes if nobody says what they are."""
    distinct = len(np.unique(values))
    few = distinct <= MOST_INFERRED_CLASSES and distinct * ROWS_FOR_EACH_CLASS <= len(values)
    return distinct == 2 or (few and bool((values == np.floor(values)).all()))


def _number_classes(
    table: Any,
    target: str,
    reading: Reading,
    values: NDArray[np.float64],
    kept: NDArray[np.int64],
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return numbers as classes: as integers if they were written so, else as they are.

    A word that is in more rows than a stray cell is a class beside the numbers.
    """
    words, said = _text_classes(table, target, reading)
    if len(said) - len(kept) > cells.STRAY_SHARE * len(said) or cells.have_zeros(table, target):
        return words, said
    if not cells.are_integers(table, target, reading):
        return values, kept
    if np.abs(values).max() < cells.LARGEST_EXACT:
        return values.astype(np.int64), kept
    return _text_classes(table, target, cells.TEXT)


def _text_classes(
    table: Any, target: str, reading: Reading
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return text, or booleans, as classes."""
    found = cells.categories(table, target, reading)
    known = ~spells(found, *NO_CLASS)
    kept = np.flatnonzero(known)
    values = np.array(found.filter(known).to_pylist(), dtype=object)
    return (values == "true" if reading.kind == "boolean" else values), kept


def _tell_left_out(table: Any, target: str, what: str, kept: NDArray[np.int64]) -> None:
    left = table.num_rows - len(kept)
    if not left:
        return
    first = int(np.setdiff1d(np.arange(table.num_rows), kept, assume_unique=True)[0])
    cell = arrow.plain(table, target)[first].as_py()
    which = f"row {arrow.row_number(table, first)}" if left == 1 else ""
    which = which or f"the first is row {arrow.row_number(table, first)}"
    if isinstance(cell, str) and cell.strip():
        which += f", {shown(cell)!r}"
    are = "has no {} and is" if left == 1 else "have no {} and are"
    warnings.warn(
        f"target column {target!r}: {count(left, 'row')} {are.format(what)} left out ({which})",
        stacklevel=3,
    )


def _no_number(table: Any, target: str) -> str:
    """Say which of the target's values keeps it from being a number."""
    try:
        cells.numbers(table, target, strays="raise")
    except InputError as error:
        return f"target {error}"
    return f"target column {target!r} holds codes (task 'regression' would read them as numbers)"

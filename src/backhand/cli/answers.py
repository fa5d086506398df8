"""What a model of any kind answers for the rows of a file."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..errors import InputError, count
from ..export import Model
from ..files import check_file, reading
from ..preprocess.preparation import TablePreparation
from ..preprocess.tables import matrix

Array = Any
T = TypeVar("T")

Form = Mapping[str, str | None]
"""How a text file is written: separator, decimal and encoding; None for what fits."""


STREAMED = 1 << 26
"""Bytes of a table's file from which on its rows are read a few at a time, as those of a folder."""


class Answers(NamedTuple):
    """Predictions of rows.

    Attributes
    ----------
    predictions : array (N, K) or (N,)
        Probabilities of classes, or values.
    classes : list or None
        Labels; None for a regression.
    chosen : array of int (N,) or None
        Numbers of the classes that are predicted.
    """

    predictions: Array
    classes: list[Any] | None = None
    chosen: Array | None = None


def is_tabular(model: Any) -> bool:
    """Whether it is one of the estimators of tables."""
    return hasattr(model, "model_")


def of_table(model: Any) -> bool:
    """Whether a model takes a table by the names of its columns."""
    if is_tabular(model):
        return bool(model.model_.preparation.has_names)
    return isinstance(model, Model) and isinstance(model.preparation, TablePreparation)


def target_of(model: Any) -> str | None:
    """The column that a model predicts, if it knows it."""
    found: str | None = model.model_.target if is_tabular(model) else getattr(model, "target", None)
    return found


def rows_of(model: Any, file: Path, form: Form) -> tuple[Any, Any]:
    """Read the rows of a file as a model takes them.

    Returns
    -------
    rows : array or pyarrow.Table
    table : pyarrow.Table or None
        All that is in the file, if it is a table.
    """
    check_file(file)
    if file.suffix.lower() == ".npy":
        if of_table(model):
            raise InputError(f"{file}: this model takes a table with its columns, not an array")
        for name, value in form.items():
            if value is not None:
                raise InputError(f"{file}: an array has no {name}; leave out --{name}")
        with reading(file, "is not a .npy array of numbers"):
            # mapped, so that a header that promises more than the file holds costs no memory
            rows = np.load(file, mmap_mode="r", allow_pickle=False)
        if not isinstance(rows, np.ndarray):
            raise InputError(f"{file}: is not a .npy array of numbers, but an archive of arrays")
        return rows, None
    if isinstance(model, Model) and not of_table(model):
        raise InputError(f"{file}: this model takes a .npy array of rows, not a table")
    from ..datasets.reading import read_table

    table = read_table(file, **form)
    return (table if of_table(model) else _matrix(model, table, file)), table


def answered(
    model: Any, file: Path, form: Form, answer: Callable[[Any, Any], T]
) -> Iterator[tuple[T, Any]]:
    """What ``answer`` makes of a model and rows, and their table: a few rows of a folder at a time.

    So too of a large file. Errors name the file of a folder, and of warnings the first of a column.
    """
    if not (file.is_dir() or (file.suffix.lower() != ".npy" and _is_large(file))):
        rows, table = rows_of(model, file, form)
        yield answer(model, rows), table
        return
    if isinstance(model, Model) and not of_table(model):
        raise InputError(f"{file}: this model takes a .npy array of rows, not a table")
    from ..datasets.source import named
    from ..datasets.sources import source_of

    told: set[str] = set()
    for table, _, where in source_of(file, **form).batches():
        with named(where), _warned_once(told, where):
            found = answer(model, table if of_table(model) else _matrix(model, table, file))
        yield found, table


def _is_large(file: Path) -> bool:
    check_file(file)
    return file.stat().st_size > STREAMED


@contextlib.contextmanager
def _warned_once(told: set[str], where: str) -> Iterator[None]:
    """Let only the first warning of each column through, with the file."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", UserWarning)
        yield
    for one in found:
        column = str(one.message).partition(":")[0]
        if column not in told:
            told.add(column)
            warnings.warn(f"{where}: {one.message}", stacklevel=2)


def _matrix(estimator: Any, table: Any, file: Path) -> Any:
    """The columns that an estimator was fitted with, by name, or all of them if it had no names."""
    names = getattr(estimator, "feature_names_in_", None)
    wanted, found = estimator.n_features_in_, table.num_columns
    if names is None and found != wanted:
        raise InputError(
            f"{file}: has {count(found, 'column')}; the model was fitted with {wanted} and no "
            "names of columns, so the table may have no others"
        )
    return matrix(table, table.column_names if names is None else list(names))


def answers_of(model: Any, rows: Any) -> Answers:
    """What a model predicts for rows.

    Raises
    ------
    InputError
        If a column is missing or a row does not fit; and for an estimator of several outputs.
    """
    if is_tabular(model):
        found = model.model_.predictions(rows)
        classes = model.model_.classes
        if classes is None:
            return Answers(found)
        return Answers(found, classes.tolist(), model.model_.chosen(found))
    if isinstance(model, Model):
        if model.task == "regression":
            return Answers(model.predict(rows))
        p = model.predict_proba(rows)
        return Answers(p, model.classes, p.argmax(axis=1))
    y, p = estimator_answers(model, rows)
    if y.ndim == 2:
        raise InputError(f"the model predicts {y.shape[1]} outputs; one can be scored")
    if p is None:
        return Answers(y)
    return Answers(p, model.classes_.tolist(), p.argmax(axis=1))


def joined_answers(parts: Sequence[Answers]) -> Answers:
    """Answers for parts of the rows as one."""
    if len(parts) < 2:
        return parts[0] if parts else Answers(np.zeros(0))
    chosen = [part.chosen for part in parts if part.chosen is not None]
    return Answers(
        np.concatenate([part.predictions for part in parts]),
        parts[0].classes,
        np.concatenate(chosen) if chosen else None,
    )


def estimator_answers(estimator: Any, rows: Any) -> tuple[Array, Array | None]:
    """Predictions of one of scikit-learn's kind, and probabilities if it has any."""
    with warnings.catch_warnings():  # the columns were found by their names
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        y = estimator.predict(rows)
        return y, estimator.predict_proba(rows) if hasattr(estimator, "classes_") else None

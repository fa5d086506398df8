"""`backhand predict`: new rows through a model."""

from __future__ import annotations

import csv
import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, count
from ..export import Model, load
from ..files import check_file, reading, write_whole
from ..preprocess.preparation import TablePreparation
from ..preprocess.tables import as_table, matrix
from . import runs

OUTPUTS = (".csv", ".tsv", ".parquet")


def run(
    model_file: Path,
    file: Path,
    out: Path | None,
    separator: str | None,
    decimal: str | None,
    encoding: str | None,
) -> None:
    """Predict the rows of a file, and write them to another or to the terminal.

    The last three say how a table of text is written, as in `read_table`.
    """
    if out is not None and out.suffix.lower() not in OUTPUTS:
        raise InputError(f"{out}: its name must end in {', '.join(OUTPUTS)}")
    for given in (model_file, file):
        if out is not None and out.exists() and given.exists() and out.samefile(given):
            raise InputError(f"--out {out} would overwrite what is read: name another file")
    model = load(runs.model_file(model_file))
    written = {"separator": separator, "decimal": decimal, "encoding": encoding}
    answers = columns(model, _rows(model, file, written))
    rows = len(next(iter(answers.values())))
    if not rows:
        raise InputError(f"{file}: has no rows")
    if out is None:
        if not sys.stdout.isatty() and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as every CSV file that we write
        sys.stdout.write(_text(answers, ","))
    elif out.suffix.lower() == ".parquet":
        write_whole(out, _parquet(answers))
    else:
        separator = "\t" if out.suffix.lower() == ".tsv" else ","
        write_whole(out, _text(answers, separator).encode())
    if out is not None:
        print(f"{count(rows, 'prediction')}: {out}", file=sys.stderr)


def _rows(model: Any, file: Path, written: dict[str, str | None]) -> Any:
    """The rows of a file as the model takes them: a Model, or one of the estimators."""
    check_file(file)
    ours = isinstance(model, Model)
    table = ours and isinstance(model.preparation, TablePreparation)
    if file.suffix.lower() == ".npy":
        if table:
            raise InputError(f"{file}: this model takes a table with its columns, not an array")
        for option, value in written.items():
            if value is not None:
                raise InputError(f"{file}: an array is no text; leave out --{option}")
        with reading(file, "is not a .npy array of numbers"):
            # mapped, so that a header that promises more than the file holds costs no memory
            rows = np.load(file, mmap_mode="r", allow_pickle=False)
        if not isinstance(rows, np.ndarray):
            raise InputError(f"{file}: is not a .npy array of numbers, but an archive of arrays")
        return rows
    if ours and not table:
        raise InputError(f"{file}: this model takes a .npy array of rows, not a table")
    from ..datasets.reading import read_table

    read = read_table(file, **written)
    return read if ours else _matrix(model, as_table(read), file)


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


def columns(model: Any, rows: Any) -> dict[str, list[Any]]:
    """The prediction of each row and, for classes, the probability of each."""
    if not isinstance(model, Model):
        return _answers(model, rows)
    if model.task == "regression":
        return {"prediction": model.predict(rows).tolist()}
    p = model.predict_proba(rows)
    assert model.classes is not None
    answers = {"prediction": [model.classes[i] for i in p.argmax(axis=1)]}
    names = [f"probability {label}" for label in model.classes]
    return {**answers, **{name: p[:, i].tolist() for i, name in enumerate(names)}}


def _answers(estimator: Any, rows: Any) -> dict[str, list[Any]]:
    """As `columns`; one column for each of several outputs or labels."""
    with warnings.catch_warnings():  # the columns were found by their names
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        y = estimator.predict(rows)
        p = estimator.predict_proba(rows) if hasattr(estimator, "classes_") else None
    labels = getattr(estimator, "classes_", range(1, estimator.n_outputs_ + 1))
    answers = {"prediction": y.tolist()}
    if y.ndim == 2:
        answers = {f"prediction {label}": y[:, i].tolist() for i, label in enumerate(labels)}
    if p is None:
        return answers
    return {**answers, **{f"probability {v}": p[:, i].tolist() for i, v in enumerate(labels)}}


def _text(answers: dict[str, list[Any]], separator: str) -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, lineterminator="\n")
    writer.writerow(answers)
    for row in zip(*answers.values(), strict=True):
        writer.writerow([f"{v:.7g}" if isinstance(v, float) else v for v in row])
    return file.getvalue()


def _parquet(answers: dict[str, list[Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(answers), file)
    return file.getvalue()

"""`backhand predict`: new rows through a model."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, count
from ..export import Model, load
from ..files import write_whole
from ..preprocess.tables import nearest
from . import runs
from .answers import Form, answers_of, estimator_answers, is_tabular, rows_of

OUTPUTS = (".csv", ".tsv", ".parquet")


def run(
    model_file: Path,
    file: Path,
    out: Path | None,
    key: Sequence[str],
    interval: float | None,
    form: Form,
) -> None:
    """Predict the rows of a file, and write them to another or to the terminal."""
    if out is not None and out.suffix.lower() not in OUTPUTS:
        raise InputError(f"{out}: its name must end in {', '.join(OUTPUTS)}")
    for given in (model_file, file):
        if out is not None and out.exists() and given.exists() and out.samefile(given):
            raise InputError(f"--out {out} would overwrite what is read: name another file")
    model = load(runs.model_file(model_file))
    half = None if interval is None else _half_width(model, interval)
    rows, table = rows_of(model, file, form)
    keys = _keys(file, table, key)
    answers = columns(model, rows)
    if half is not None:
        answers["low"] = [value - half for value in answers["prediction"]]
        answers["high"] = [value + half for value in answers["prediction"]]
    for name in keys:
        if name in answers:
            raise InputError(f"--key {name}: the predictions have a column of this name; rename it")
    number = len(next(iter(answers.values())))
    if not number:
        raise InputError(f"{file}: has no rows")
    if out is None:
        if not sys.stdout.isatty() and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as every CSV file that we write
        sys.stdout.write(_text(keys, answers, ","))
    elif out.suffix.lower() == ".parquet":
        write_whole(out, _parquet({**keys, **answers}))
    else:
        separator = "\t" if out.suffix.lower() == ".tsv" else ","
        write_whole(out, _text(keys, answers, separator).encode())
    if out is not None:
        print(f"{count(number, 'prediction')}: {out}", file=sys.stderr)


def _half_width(model: Any, interval: float) -> float:
    """Half of the interval that is asked for."""
    if not is_tabular(model):
        raise InputError(
            "--interval needs a model that `backhand train` made of a table, without --hidden"
        )
    try:
        return float(model.model_.half_width(interval))
    except InputError as error:
        raise InputError(f"--interval {interval:g}: {error}") from None


def _keys(file: Path, table: Any, names: Sequence[str]) -> dict[str, Any]:
    """Columns of the file as they are, by name."""
    if names and table is None:
        raise InputError(f"--key {names[0]}: {file} is an array and has no columns with names")
    for name in names:
        if name not in table.column_names:
            near = nearest(name, table.column_names)
            hint = f"; did you mean {near!r}?" if near else ""
            raise InputError(f"--key {name}: {file} has no such column{hint}")
    return {name: table.column(name) for name in names}


def columns(model: Any, rows: Any) -> dict[str, list[Any]]:
    """The prediction of each row and, for classes, the probability of each."""
    if not isinstance(model, Model) and not is_tabular(model):
        return _of_estimator(model, rows)
    found = answers_of(model, rows)
    if found.classes is None:
        return {"prediction": found.predictions.tolist()}
    assert found.chosen is not None
    answers = {"prediction": [found.classes[i] for i in found.chosen]}
    names = [f"probability {label}" for label in found.classes]
    return {**answers, **{name: found.predictions[:, i].tolist() for i, name in enumerate(names)}}


def _of_estimator(estimator: Any, rows: Any) -> dict[str, list[Any]]:
    """As `columns`; one column for each of several outputs or labels."""
    y, p = estimator_answers(estimator, rows)
    labels = getattr(estimator, "classes_", range(1, estimator.n_outputs_ + 1))
    answers = {"prediction": y.tolist()}
    if y.ndim == 2:
        answers = {f"prediction {label}": y[:, i].tolist() for i, label in enumerate(labels)}
    if p is None:
        return answers
    return {**answers, **{f"probability {v}": p[:, i].tolist() for i, v in enumerate(labels)}}


def _text(keys: dict[str, Any], answers: dict[str, list[Any]], separator: str) -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, lineterminator="\n")
    writer.writerow([*keys, *answers])
    shown = {
        name: [f"{v:.7g}" if isinstance(v, float) else v for v in values]
        for name, values in answers.items()
    }
    writer.writerows(
        zip(*(column.to_pylist() for column in keys.values()), *shown.values(), strict=True)
    )
    return file.getvalue()


def _parquet(answers: dict[str, list[Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(answers), file)
    return file.getvalue()

"""`backhand predict`: new rows through a model."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..datasets.source import decoded
from ..errors import InputError, count, first_line
from ..export import Model, load
from ..files import replacing, unwritable
from ..preprocess.tables import nearest
from . import runs
from .answers import Form, answered, answers_of, estimator_answers, is_tabular

OUTPUTS = (".csv", ".tsv", ".parquet")


def run(
    model_file: Path,
    file: Path,
    out: Path | None,
    key: Sequence[str],
    interval: float | None,
    form: Form,
) -> None:
    """Predict the rows of a file or a folder, and write them to another or to the terminal."""
    if out is not None and out.suffix.lower() not in OUTPUTS:
        raise InputError(f"{out}: its name must end in {', '.join(OUTPUTS)}")
    for given in (model_file, file):
        if out is not None and out.exists() and given.exists() and out.samefile(given):
            raise InputError(f"--out {out} would overwrite what is read: name another file")
    if out is not None and file.is_dir() and out.resolve().is_relative_to(file.resolve()):
        raise InputError(f"--out {out} is in the folder that is read: name a file elsewhere")
    model = load(runs.model_file(model_file))
    half = None if interval is None else _half_width(model, interval)
    number, parts = 0, _parts(model, file, key, half, form)
    with _writer(out) as write:
        for part in parts:
            if rows := len(next(iter(part.values()))):
                write(part)
            number += rows
        if not number:
            raise InputError(f"{file}: has no rows")
    if out is not None:
        print(f"{count(number, 'prediction')}: {out}", file=sys.stderr)


def _parts(
    model: Any, file: Path, key: Sequence[str], half: float | None, form: Form
) -> Iterator[dict[str, Any]]:
    """The columns of the output, some rows at a time."""
    for answers, table in answered(model, file, form, columns):
        keys = _keys(file, table, key)
        if half is not None:
            answers["low"] = [value - half for value in answers["prediction"]]
            answers["high"] = [value + half for value in answers["prediction"]]
        for name in keys:
            if name in answers:
                raise InputError(
                    f"--key {name}: the predictions have a column of this name; rename it"
                )
        yield {**keys, **answers}


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


@contextlib.contextmanager
def _writer(out: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """What writes some rows behind the others; a file is there whole or not at all."""
    if out is None:
        if not sys.stdout.isatty() and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as every CSV file that we write
        yield _text(sys.stdout, ",")
        return
    try:
        with replacing(out) as file, contextlib.ExitStack() as stack:
            if out.suffix.lower() == ".parquet":
                yield _parquet(file, stack)
            else:
                text = io.TextIOWrapper(file, "utf-8", newline="")
                yield _text(text, "\t" if out.suffix.lower() == ".tsv" else ",")
                text.detach()  # which flushes
    except OSError as error:
        raise unwritable(out, error) from None


def _text(file: Any, separator: str) -> Callable[[dict[str, Any]], None]:
    writer = csv.writer(file, delimiter=separator, lineterminator="\n")
    header: list[str] = []

    def write(part: dict[str, Any]) -> None:
        if not header:
            header.extend(part)
            writer.writerow(header)
        writer.writerows(zip(*map(_shown, part.values()), strict=True))

    return write


def _shown(values: Any) -> list[Any]:
    """Cells as text has them: copied ones as they are, and seven digits of others."""
    if hasattr(values, "to_pylist"):
        return list(values.to_pylist())
    return [f"{v:.7g}" if isinstance(v, float) else v for v in values]


def _parquet(file: Any, stack: contextlib.ExitStack) -> Callable[[dict[str, Any]], None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened: list[Any] = []

    def write(part: dict[str, Any]) -> None:
        table = decoded(pa.table(part))
        if not opened:
            opened.append(stack.enter_context(pq.ParquetWriter(file, table.schema)))
        try:
            opened[0].write_table(table.cast(opened[0].schema))
        except pa.ArrowInvalid as error:
            raise InputError(
                f"--key: a column has another type than in rows before ({first_line(error)})"
            ) from None

    return write

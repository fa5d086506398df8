"""`backhand export`: a model as files of other languages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, count
from ..export import load
from ..export.int8 import as_int8
from ..export.program import Program
from ..export.programs import program_of, values_of
from . import runs
from .answers import Form, rows_of, target_of

Array = Any


def run(
    model_file: Path,
    onnx: Path | None,
    c: Path | None,
    js: Path | None,
    int8: bool,
    rows: Path | None,
    form: Form,
) -> None:
    """Write a model in each language that was asked for."""
    if onnx is None and c is None and js is None:
        raise InputError("say what to write: --c NAME, --js FILE or --onnx FILE")
    for file, option, suffixes in ((onnx, "--onnx", (".onnx",)), (js, "--js", (".js", ".mjs"))):
        if file is not None and file.suffix.lower() not in suffixes:
            raise InputError(f"{option} {file}: its name must end in {' or '.join(suffixes)}")
    if int8 and c is None:
        raise InputError("--int8 is for C: give --c NAME, too")
    if rows is not None and c is None and onnx is None:
        raise InputError("--rows is for C and ONNX: give --c NAME or --onnx FILE, too")
    model = load(runs.model_file(model_file))
    found, table = (None, None) if rows is None else rows_of(model, rows, form)
    written: list[str] = []
    try:
        for file in _files(model, onnx, c, js, int8, found):
            written.append(str(file))
            print(f"{file}: {os.path.getsize(file):,} bytes")
    except KeyboardInterrupt:
        said = (f"written: {', '.join(written)}",) if written else ()
        raise KeyboardInterrupt(*said) from None
    if int8 and found is not None:
        print(int8_text(model, values_of(model, found), table))


def _files(
    model: Any, onnx: Path | None, c: Path | None, js: Path | None, int8: bool, rows: Any
) -> Iterator[Path]:
    """Write the files, and name each that is there."""
    if onnx is not None:
        model.to_onnx(onnx, rows)
        yield onnx
    if js is not None:
        model.to_js(js)
        yield js
    if c is not None:
        yield from model.to_c(c, rows, int8=int8)


def int8_text(model: Any, values: Array, table: Any) -> str:
    """How weights of eight bits do on rows, beside real ones.

    Parameters
    ----------
    model : object
        A trained model.
    values : array (N, columns)
        Of the rows, from `values_of`.
    table : pyarrow.Table or None
        The rows as they were read; with the target, what is told is how good answers are.
    """
    program = program_of(model)
    real, whole = (_answers(one, values) for one in (program, as_int8(program)))
    classes = list(program.decision.classes) or None
    target, scored = target_of(model), ""
    if table is not None and target is not None and target in table.column_names:
        from ..datasets.tables import read_known_target

        y, kept = read_known_target(table, target, classes)
        if classes is None:
            errors = [float(np.sqrt(np.mean((a[kept, 0] - y) ** 2))) for a in (real, whole)]
            scored = "; RMSE {1:.4g} and not {0:.4g}".format(*errors)
        else:
            right = [100 * float(np.mean(a[kept] == y)) for a in (real, whole)]
            scored = "; accuracy {1:.2f} % and not {0:.2f} %".format(*right)
    rows = count(len(values), "row")
    if classes is None:
        furthest = float(np.abs(real - whole).max(initial=0.0))
        return f"int8: on {rows} predictions differ by {furthest:.4g} at most{scored}"
    others = int(np.sum(np.any(np.reshape(real != whole, (len(values), -1)), axis=1)))
    return f"int8: of {rows} {others} are given another class{scored}"


def _answers(program: Program, values: Array) -> Array:
    """Predicted numbers, or places of classes, for rows as the program takes them."""
    x = values.astype(program.dtype) if program.prepare is None else program.prepared(values)
    return program.decided(x)

"""The rows that `backhand train` learns from: those of a file, or of a folder that is streamed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..datasets.stream import Stream, TargetColumn
from ..datasets.tables import read_labelled, read_target
from ..errors import InputError
from .options import TableOptions

Array = Any


class TableRows(NamedTuple):
    """The rows of a file that have a target.

    Attributes
    ----------
    table : pyarrow.Table
        Without the target.
    y : array (N,)
        Labels or values, of all rows; where there is none, another row's.
    kept : array of int (M,)
        The rows that have one.
    classes : array or None
        Labels; None for a regression.
    stream : Stream or None
        Of a folder: where all rows come from; the others are a sample.
    """

    table: Any
    y: Array
    kept: Array
    classes: Array | None
    stream: Stream | None = None


def rows_of(options: TableOptions) -> TableRows:
    """The rows that the options name."""
    return _sample(options) if Path(options.name).is_dir() else _in_memory(options)


def _in_memory(options: TableOptions) -> TableRows:
    """Read the file."""
    table, task, values, kept = read_labelled(
        options.name, options.target, options.task, **options.form
    )
    y = np.full(table.num_rows, values[0], dtype=values.dtype)
    y[kept] = values
    classes = np.unique(values) if task == "classification" else None
    return TableRows(table.drop_columns([options.target]), y, kept, classes)


def _sample(options: TableOptions) -> TableRows:
    """Some rows of a folder of files, which is streamed while it is learned from."""
    if options.cv is not None:
        raise InputError(
            f"--cv {options.cv}: {options.name} is a folder, and is streamed; --test FILE scores "
            "other rows"
        )
    form = options.form
    stream = Stream(
        options.name,
        separator=form["separator"],
        decimal=form["decimal"],
        encoding=form["encoding"],
    )
    table = stream.source.sample()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the fit tells of all rows without a target
        task, _, _ = read_target(table, options.target, options.task)
    assert options.target is not None
    column = TargetColumn(stream.source, table, options.target, task == "regression")
    y, known = column.read(table)
    classes = None if task == "regression" else np.unique(y)
    features = table.drop_columns([options.target])
    return TableRows(features, y, np.flatnonzero(known), classes, stream)

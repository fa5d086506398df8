"""Tables: CSV, TSV and Parquet files, and how one with a target column becomes a data set."""

from __future__ import annotations

import csv
import itertools
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backhand.datasets import cells
from backhand.datasets.columns import as_table, mean_and_std, nearest
from backhand.datasets.data import TASKS, Data, Split, Task
from backhand.datasets.files import UNREADABLE, cannot_read, open_unpacked
from backhand.datasets.preparation import TablePreparation
from backhand.datasets.splitting import checked_seed, split_rows
from backhand.errors import InputError, missing_extra, unknown_name

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")
PACKED = (".gz", ".bz2", ".xz")
FORMATS = ".csv, .tsv (also with .gz, .bz2 or .xz after it) and .parquet"

FEWEST_ROWS = 10
# An integer target with no more values than this, and with this many rows for each of them on
# average, is taken for classes.
MOST_INFERRED_CLASSES = 20
ROWS_FOR_EACH_CLASS = 10

# One row must fit into a block, so this bounds a row's length and not the file's.
_BLOCK = 1 << 24


def read_table(path: str | Path) -> pa.Table:
    """Read a CSV, TSV or Parquet file.

    Parameters
    ----------
    path : str or Path
        The suffix names the format: {formats}. CSV is UTF-8 with the names in the first row;
        if that row has semicolons and no comma, they separate.

    Returns
    -------
    table : pyarrow.Table
        Parquet columns have their types; CSV cells are text exactly as written, so that codes such
        as "007" keep their zeros, and `TablePreparation` reads them as what the column holds. Rows
        without any value (blank lines) are left out, but counted in messages.

    Raises
    ------
    InputError
        For no such file, an unknown suffix, an empty file, a header without rows, a row with too
        many or too few values, duplicate column names, bytes that are not UTF-8, a file that is not
        Parquet.
    MissingExtraError
        Without pyarrow.

    Warns
    -----
    UserWarning
        If a column without a name, such as the row labels that pandas and R write, is left out.
    """
    path = Path(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    kind = suffixes[-1] if suffixes else ""
    if not path.exists():
        raise InputError(f"no such file: {path}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file")
    if kind not in DELIMITERS and kind not in PARQUET:
        raise InputError(f"{path}: tables can be read from {FORMATS}")
    try:
        import pyarrow  # noqa: F401  # only whether it is there
    except ImportError:
        raise missing_extra("reading tables", "pyarrow", "table") from None
    table = _read_parquet(path) if kind in PARQUET else _read_text(path, DELIMITERS[kind])
    if not table.num_rows:
        raise InputError(f"{path}: has a header but no rows")
    return table


read_table.__doc__ = (read_table.__doc__ or "").format(formats=FORMATS)


def _read_parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: is not a readable Parquet file ({why})") from None
    _check_names(path, table.column_names)
    # What pandas writes for a row index is no feature.
    index = [name for name in table.column_names if name.startswith("__index_level_")]
    return table.drop_columns(index) if index else table


def _read_text(path: Path, delimiter: str) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names, delimiter = _header(path, delimiter)
    _check_names(path, [name for name in names if name])
    # Arrow wants distinct names, and two columns may both have none.
    marks = [f"{i}" for i in range(len(names))]
    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "error"

    try:
        _check_encoding(path)  # Arrow shows a traceback for a ragged row that is not UTF-8
        with open_unpacked(path) as file:
            table = arrow_csv.read_csv(
                file,
                read_options=arrow_csv.ReadOptions(
                    column_names=marks,
                    skip_rows_after_names=1,
                    block_size=_BLOCK,
                    use_threads=False,  # row numbers in messages need one thread
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=note,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(marks, pa.string()), strings_can_be_null=False
                ),
            )
    except (pa.ArrowInvalid, *UNREADABLE) as error:
        if ragged:
            row = ragged[0]
            raise InputError(
                f"{path}, row {row.number}: has {row.actual_columns} values, "
                f"the header names {row.expected_columns} columns"
            ) from None
        if isinstance(error, pa.ArrowInvalid):
            raise InputError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None
        raise cannot_read(path, error) from None
    return _tidy(path, table, names)


def _tidy(path: Path, table: Any, names: list[str]) -> Any:
    """Drop rows and columns that are nothing, and note how rows are numbered in the file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    blank = np.ones(table.num_rows, dtype=bool)
    for column in table.columns:
        blank &= np.asarray(pc.equal(column, ""))
        if not blank.any():
            break
    if blank.any():
        table = table.filter(pa.array(~blank))
    unnamed = [i for i, name in enumerate(names) if not name]
    if unnamed and table.num_rows:
        places = ", ".join(str(i + 1) for i in unnamed)
        warnings.warn(f"{path}: column {places} has no name and is left out", stacklevel=4)
    table = table.select([i for i, name in enumerate(names) if name])
    table = table.rename_columns([name for name in names if name])
    numbering = {
        cells.FIRST_ROW: b"2",
        cells.BLANK_ROWS: json.dumps((np.flatnonzero(blank) + 2).tolist()).encode(),
    }
    return table.replace_schema_metadata(numbering)


def _header(path: Path, delimiter: str) -> tuple[list[str], str]:
    """Return a text file's column names and what separates them."""
    with open_unpacked(path) as file:
        try:
            if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
                raise InputError(f"{path}: is UTF-16 text; save it as UTF-8")
            file.seek(0)
            lines = _decoded(path, file)
            first = next(lines, "")
            if not first.strip():
                # Arrow would take a leading blank line for the header.
                if any(line.strip() for line in lines):
                    raise InputError(f"{path}: the first line is blank; it must name the columns")
                raise InputError(f"{path}: is empty")
            if delimiter == "," and "," not in first and ";" in first:
                delimiter = ";"
            names = next(csv.reader(itertools.chain([first], lines), delimiter=delimiter))
        except UNREADABLE as error:
            raise cannot_read(path, error) from None
        except csv.Error as error:
            raise InputError(f"{path}: the header cannot be read ({error})") from None
    names = [name.strip() for name in names]
    if not any(names):
        raise InputError(f"{path}: the first row names no column")
    return names, delimiter


def _decoded(path: Path, file: Any) -> Iterator[str]:
    # A file without line ends must not be read whole just to find its header.
    lines = iter(lambda: file.readline(_BLOCK), b"")
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}, line {number}: byte 0x{line[error.start]:02x} is not UTF-8 text; "
                "save the file as UTF-8"
            ) from None


def _check_encoding(path: Path) -> None:
    with open_unpacked(path) as file:
        for _ in _decoded(path, file):
            pass


def _check_names(path: Path, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{path}: column {name!r} is there twice")
        seen.add(name)


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
    MissingExtraError
        Without pyarrow.

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
    kind = cells.kind_of(table, target)
    where = f"target column {target!r}"
    if kind == "empty":
        raise InputError(f"{where} has no values")
    if kind in ("date", "unusable"):
        what = "dates" if kind == "date" else str(table.column(target).type)
        raise InputError(f"{where} holds {what}; it must hold numbers, text or booleans")
    values: NDArray[Any]
    if kind in ("text", "boolean"):
        if task == "regression":
            raise InputError(f"{where} holds {kind}; regression needs numbers")
        found = cells.categories(table, target, kind)
        absent = np.asarray(found.is_null())
        values = np.array(found.to_pylist(), dtype=object)
        if kind == "boolean" and not absent.any():
            values = values == "true"
        task = "classification"
    else:
        values = cells.numbers(table, target)
        absent = np.isnan(values)
        # Beyond 2**53 float64 would confuse neighbouring integers, so those stay floats.
        if cells.are_integers(table, target) and not absent.any() and np.abs(values).max() < 2**53:
            values = values.astype(np.int64)
    if absent.any():
        row = cells.row_number(table, int(np.flatnonzero(absent)[0]))
        raise InputError(f"{where}, row {row}: the value is missing")
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
        raise InputError(
            f"{where} has {distinct} distinct values in {len(values)} rows, too many for classes"
        )
    return ("classification" if task == "classification" else "regression"), values


def _classification(name: str, table: Any, target: str, values: NDArray[Any], seed: int) -> Data:
    classes, labels = np.unique(values, return_inverse=True)
    labels = labels.reshape(-1).astype(np.int64)
    parts = split_rows(len(labels), labels, seed)
    preparation = TablePreparation.fit(table, parts[0], exclude=[target])
    x = preparation.apply(table)
    train, validation, test = (Split(x[rows], labels[rows]) for rows in parts)
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
    preparation = TablePreparation.fit(table, parts[0], exclude=[target])
    x = preparation.apply(table)
    t = values.astype(np.float64)
    mean, std = mean_and_std(t[parts[0]], f"target column {target!r}")
    std = std or 1.0  # all training targets alike, while others differ
    with np.errstate(over="ignore"):
        t32 = ((t - mean) / std).astype(np.float32)[:, None]
    wild = np.flatnonzero(~np.isfinite(t32[:, 0]))
    if wild.size:
        row = cells.row_number(table, int(wild[0]))
        raise InputError(
            f"target column {target!r}, row {row}: {t[wild[0]]:g} is too far from the others"
        )
    train, validation, test = (Split(x[rows], t32[rows]) for rows in parts)
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

"""Data sets: `load` turns a name or a file into prepared training, validation and test rows.

- `files`, `dialect`: a file unpacked; its encoding, separator and header
- `reading`: a CSV, TSV or Parquet file as a table with every row in its place
- `source`, `parquet_files`, `text_files`, `repeated`, `sources`: tables that are read again and
  again, since memory does not hold them
- `stream`: how such a table is learned from
- `tables`: the column to predict, and a table with one as a data set
- `splitting`: which rows train, validate and test
- `digits`, `mnist`, `pickled`, `idx`: pictures of digits
- `data`: what `load` returns
"""

from __future__ import annotations

import os
from pathlib import Path

from backhand.datasets.data import TASKS, Data, Task
from backhand.errors import InputError, unknown_name
from backhand.files import as_path, is_there

__all__ = ["NAMES", "Data", "Task", "is_table", "load"]

NAMES = ("digits", "mnist")

_PICKLES = (".pkl", ".pkl.gz", ".pkl.bz2", ".pkl.xz")


def is_table(name: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a table, and not of a data set or of an old ``mnist.pkl.gz``.

    Raises
    ------
    InputError
        For an unknown name and a file that is not there.
    """
    given = as_path(name)
    if given in NAMES:
        return False
    if not is_there(os.path.expanduser(given)):
        if os.path.splitext(given)[1] or os.sep in given or (os.altsep and os.altsep in given):
            raise InputError(f"no such file: {given}")
        raise unknown_name("file, folder or data set", given, NAMES)
    return not given.lower().endswith(_PICKLES)


def load(
    name: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    target: str | None = None,
    task: str | None = None,
    seed: int = 0,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
) -> Data:
    """Load a data set by name or from a file.

    Parameters
    ----------
    name : str or path
        "digits", "mnist", the path of an old ``mnist.pkl.gz``, or the path of a CSV, TSV or Parquet
        table. A known name goes before a file of the same name; write ``./digits`` for the file.
    data_dir : str or path, optional
        Where the MNIST files are; else the environment's BACKHAND_DATA, the user's cache, and then
        a download.
    target : str, optional
        The column to predict. A table needs one; the others have none.
    task : {"classification", "regression"}, optional
        For tables; None infers it from the target.
    seed : int
        Decides which rows are validation and test rows, where the data set does not (MNIST does).
    separator, decimal, encoding : str, optional
        How a table of text is written, as in `backhand.datasets.reading.read_table`.

    Returns
    -------
    Data

    Raises
    ------
    InputError
        For an unknown name, a file that is not there, and everything that is wrong with one.
    """
    given = as_path(name)
    path = Path(os.path.expanduser(given))
    table = is_table(given)
    if target is not None and not isinstance(target, str):
        raise InputError(f"target must be the name of a column, got {target!r:.60}")
    if task is not None and task not in TASKS:
        raise unknown_name("task", task, TASKS)
    written = {"separator": separator, "decimal": decimal, "encoding": encoding}
    if table:
        from backhand.datasets.tables import load_table

        return load_table(path, target, task, seed, **written)
    if target is not None:
        raise InputError(f"target {target!r}: {given} has its own target; only tables need one")
    for option, value in written.items():
        if value is not None:
            raise InputError(f"{option} {value!r}: {given} is no table of text; leave it out")
    if task == "regression":
        raise InputError(f"task 'regression': {given} is for classification")
    if given == "digits":
        from backhand.datasets.digits import load_digits

        return load_digits(seed)
    if given == "mnist":
        from backhand.datasets.mnist import load_mnist

        return load_mnist(data_dir)
    from backhand.datasets.pickled import load_pickled

    return load_pickled(path)

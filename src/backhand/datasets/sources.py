"""Tables that are read again and again, a few rows at a time, since memory does not hold them.

A source is a folder or a list of Parquet or CSV files, a dataset of pyarrow's, a dataframe of
Dask's, a lazy frame of Polars', a relation of DuckDB's or whatever else exports an Arrow stream as
often as it is asked, or a function that returns an iterator of tables.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from backhand.datasets.parquet_files import ParquetFiles
from backhand.datasets.reading import PACKED, PARQUET, SEPARATORS, UNREADABLE
from backhand.datasets.repeated import Partitions, Repeated, told
from backhand.datasets.source import Source
from backhand.datasets.text_files import TextFiles
from backhand.errors import InputError
from backhand.files import as_path, check_file, is_there, reading

ONE_READER = (
    "; if several networks read at once, keep rows on the disk, or stream a function that opens a "
    "connection: lambda: duckdb.connect(...).sql(...)"
)
"""What helps where a connection serves one reader at a time."""


def source_of(
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    filter: Any = None,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
) -> Source:
    """What can be read again and again, as a `Source`.

    Parameters
    ----------
    data : path, list of paths, pyarrow.dataset.Dataset, dask dataframe, callable, or a table
        A folder has .parquet files, or .csv and .tsv ones, at any depth; names such as
        ``year=2026`` of folders are columns. A callable returns an iterator of tables, each of
        which may be whatever `backhand.preprocess.tables.Columns` takes.
    columns : sequence of str, optional
        Those to read.
    filter : pyarrow.compute.Expression, optional
        Rows to read, such as ``pyarrow.compute.field("year") > 2020``.
    separator, decimal, encoding : str, optional
        Of text, as of `backhand.datasets.reading.read_table`.

    Raises
    ------
    InputError
        For what is none of these, files that are not there, and what can be read only once.
    """
    import pyarrow.compute as pc

    if filter is not None and not isinstance(filter, pc.Expression):
        raise InputError(
            "filter must be an expression such as pyarrow.compute.field('year') > 2020, got "
            f"{filter!r:.60}"
        )
    if isinstance(columns, str):
        raise InputError(f"columns must be a list of names, got {columns!r:.60}")
    form = {"separator": separator, "decimal": decimal, "encoding": encoding}
    if isinstance(data, Source):
        return data
    if isinstance(data, (str, os.PathLike)) or _is_paths(data):
        source = _of_paths(data, filter, form)
    else:
        source = _of_object(data, filter)
    if columns is not None:
        source.check_there(columns)
        source.names = [name for name in source.names if name in set(columns)]
    return source


def is_source(data: Any) -> bool:
    """Whether something is read with `source_of`, and no table in memory."""
    kind = type(data).__name__
    named = isinstance(data, (str, os.PathLike, Source)) or _is_paths(data)
    known = kind in ("LazyFrame", "DuckDBPyRelation") or _is_dataset(data) or _is_dask(data)
    return named or known or callable(data) or hasattr(data, "__next__")


def _is_paths(data: Any) -> bool:
    listed = isinstance(data, (list, tuple)) and len(data) > 0
    return listed and all(isinstance(one, (str, os.PathLike)) for one in data)


def _is_dataset(data: Any) -> bool:
    return type(data).__module__ == "pyarrow._dataset" and hasattr(data, "get_fragments")


def _is_dask(data: Any) -> bool:
    """Whether it is a dataframe of Dask's, and no column or array."""
    return type(data).__module__.startswith("dask.") and hasattr(data, "columns")


def _of_paths(data: Any, filter: Any, form: dict[str, str | None]) -> Source:
    import pyarrow.dataset as ds

    base, paths = None, data
    if isinstance(data, (str, os.PathLike)):
        base = Path(as_path(data))
        if not is_there(base):
            raise InputError(f"no such file or folder: {base}")
        paths = sorted(_listed(base)) if base.is_dir() else [base]
    paths = [Path(as_path(path)) for path in paths]
    kinds = {_kind(path) for path in paths}
    if base is not None and base.is_dir():
        kinds -= {""}  # such as a README
        paths = [path for path in paths if _kind(path)]
        if not paths:
            raise InputError(f"{base}: has no .parquet, .csv or .tsv files")
    elif "" in kinds:
        other = next(path for path in paths if not _kind(path))
        raise InputError(f"{other}: rows can be streamed from .parquet, .csv and .tsv files")
    if len(kinds) > 1:
        raise InputError(f"{base or paths[0]}: Parquet files and text are there; name one kind")
    for path in paths:
        check_file(path)
    if kinds == {"text"}:
        return TextFiles(paths, filter, **form)
    for name in ("separator", "encoding"):
        if form[name] is not None:
            raise InputError(f"{paths[0]}: a Parquet file has no {name}; leave it out")
    folder = None if base is None or not base.is_dir() else str(base.absolute())
    with reading(paths[0], UNREADABLE):
        dataset = ds.dataset(
            [str(path.absolute()) for path in paths],
            format="parquet",
            partitioning="hive",
            partition_base_dir=folder,
        )
    return ParquetFiles(dataset, filter)


def _listed(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        yield from (Path(place, name) for name in files if not name.startswith((".", "_")))


def _kind(path: Path) -> str:
    """ "parquet", "text", or "" for another file."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if len(suffixes) > 1 and suffixes[-1] in PACKED:
        suffixes.pop()
    last = suffixes[-1] if suffixes else ""
    return "parquet" if last in PARQUET else ("text" if last in SEPARATORS else "")


def _of_object(data: Any, filter: Any) -> Source:
    import pyarrow as pa

    if _is_dataset(data):
        if type(data).__name__ == "FileSystemDataset" and data.format.default_extname == "parquet":
            return ParquetFiles(data, filter)
        return Repeated(told(data.to_batches, "the dataset"), "the dataset", filter)
    kind = type(data).__name__
    if hasattr(data, "__next__") or isinstance(data, pa.RecordBatchReader):
        raise InputError(f"a {kind} can be read only once: pass a function that returns a new one")
    if _is_dask(data):
        return Partitions(data, filter)
    if kind == "LazyFrame":
        if not hasattr(data, "collect_batches"):
            raise InputError("this version of Polars does not read lazy frames in batches: update")
        return Repeated(told(data.collect_batches, "the LazyFrame"), "the LazyFrame", filter)
    if hasattr(data, "__arrow_c_stream__"):
        read = functools.partial(pa.RecordBatchReader.from_stream, data)
        remedy = ONE_READER if kind == "DuckDBPyRelation" else ""
        return Repeated(told(read, f"the {kind}", remedy), f"the {kind}", filter)
    if callable(data):
        return Repeated(data, "the function's tables", filter)
    raise InputError(
        "rows can be streamed from a folder or a list of files, a pyarrow dataset, a dataframe of "
        "Dask's, a LazyFrame, what exports an Arrow stream, or a function that returns tables; not "
        f"from {kind}"
    )

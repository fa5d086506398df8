"""Tables as people have them, and their columns one by one as Arrow data."""

from __future__ import annotations

import bisect
import decimal
import difflib
import fractions
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError, first_line
from backhand.preprocess import arrow, cells

PLAIN = (str, int, float, bool, np.generic, decimal.Decimal, fractions.Fraction)
"""What may stand together in a column of mixed values, which then are text."""


class Columns:
    """A table whose columns become Arrow data when they are asked for, one at a time.

    So a frame of a million rows is never there twice, and a column of a wide table is found at
    once.

    Parameters
    ----------
    raw : pyarrow.Table, pandas or polars DataFrame, array (N, D), mapping or list of mappings
        Whatever exports Arrow data, a mapping of names to columns, a mapping of names to single
        values (one row), or a list of such rows, where a name that a row lacks is missing. The
        columns of an array are called x0, x1 and so on.

    Raises
    ------
    InputError
        For anything else, columns of different lengths, names that are there twice, and values that
        do not make a column.

    Attributes
    ----------
    names : list of str
    rows : int
        N.
    has_names : bool
        False for an array.
    """

    def __init__(self, raw: Any) -> None:
        self.has_names = not isinstance(raw, np.ndarray)
        self.names, self.rows, self._get = _opened(raw)
        self._place = {name: place for place, name in enumerate(self.names)}
        if len(self._place) < len(self.names):
            seen: set[str] = set()
            twice = next(name for name in self.names if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # it is None, and so false
            raise InputError(f"column {twice!r} is there twice")

    def __contains__(self, name: object) -> bool:
        return name in self._place

    def only(self, name: str) -> Any:
        """Return a pyarrow.Table with one of the columns, whose content is valid."""
        table = self._get(self._place[name])
        arrow.check_valid(table)
        return table

    def check_there(self, needed: Iterable[str]) -> None:
        """Raise InputError if a column is missing, with the nearest name that is there."""
        needed = list(needed)
        for name in needed:
            if name not in self:
                near = nearest(name, set(self.names) - set(needed))
                hint = f"; did you mean {near!r}?" if near else ""
                raise InputError(f"column {name!r} is missing{hint}")


def columns_of(raw: Any) -> Columns:
    """Return rows as `Columns`, as they are if they are that already."""
    return raw if isinstance(raw, Columns) else Columns(raw)


def as_table(raw: Any) -> Any:
    """Return rows as one pyarrow.Table. Parameters and errors are those of `Columns`."""
    import pyarrow as pa

    if isinstance(raw, pa.Table):
        columns = Columns(raw)
        arrow.check_valid(raw)
        return raw
    columns = columns_of(raw)
    single = [columns.only(name).column(0) for name in columns.names]
    return pa.table(single, names=columns.names)


Opened = tuple[list[str], int, Callable[[int], Any]]
"""Names, the number of rows, and a table with only the column at a place."""


def _opened(raw: Any) -> Opened:
    import pyarrow as pa

    if isinstance(raw, pa.Table):
        return _of_table(raw)
    if isinstance(raw, np.ndarray):
        return _of_array(raw)
    if isinstance(raw, Mapping):
        return _of_mapping(raw)
    if isinstance(raw, (list, tuple)) and raw and all(isinstance(row, Mapping) for row in raw):
        names = dict.fromkeys(name for row in raw for name in row)
        return _of_mapping({name: [row.get(name) for row in raw] for name in names})
    if type(raw).__module__.partition(".")[0] == "pandas" and hasattr(raw, "columns"):
        # by name; its own export adds the index
        return _lazily([str(name) for name in raw.columns], len(raw), lambda i: raw.iloc[:, i])
    if type(raw).__name__ == "LazyFrame":
        raise InputError("a LazyFrame has not been read yet: pass its collect()")
    if hasattr(raw, "__arrow_c_stream__") or hasattr(raw, "to_arrow"):  # of Polars before 1.3
        try:
            table = pa.table(raw) if hasattr(raw, "__arrow_c_stream__") else raw.to_arrow()
        except Exception as error:  # whatever the other library raises
            raise InputError(
                f"a {type(raw).__name__} cannot be read: {first_line(error)}"
            ) from None
        return _of_table(table)
    raise InputError(
        "a table must be a DataFrame, a pyarrow.Table, an array (N, D), a mapping of columns or a "
        f"list of rows as mappings, not {type(raw).__name__}"
    )


def _of_table(table: Any) -> Opened:
    return table.column_names, table.num_rows, lambda place: table.select([place])


def _of_array(raw: NDArray[Any]) -> Opened:
    if raw.ndim != 2:
        raise InputError(f"the array has shape {raw.shape}: rows and columns (N, D) are needed")
    names = [f"x{i}" for i in range(raw.shape[1])]
    return _lazily(names, len(raw), lambda i: raw[:, i])


def _lazily(names: list[str], rows: int, get: Callable[[int], Any]) -> Opened:
    import pyarrow as pa

    def only(place: int) -> Any:
        name = names[place]
        return pa.table([_array(name, get(place))], names=[name])

    return names, rows, only


def _of_mapping(raw: Mapping[Any, Any]) -> Opened:
    """Open names with columns, or with single values, which are one row."""
    import pyarrow as pa

    given = [(str(name), values) for name, values in raw.items()]
    single = [name for name, values in given if is_single(values)]
    if single and len(single) < len(given):
        other = next(name for name, values in given if not is_single(values))
        raise InputError(
            f"column {single[0]!r} is a single value and column {other!r} is not: "
            "give lists for a table, single values for one row"
        )
    if single:
        given = [(n, [v.item() if isinstance(v, np.ndarray) else v]) for n, v in given]
    names = [name for name, _ in given]
    arrays = [_array(name, values) for name, values in given]
    if len({len(array) for array in arrays}) > 1:
        counts = ", ".join(f"{n!r} {len(array)}" for n, array in zip(names, arrays, strict=True))
        raise InputError(f"columns differ in length: {counts}")

    def only(place: int) -> Any:
        return pa.table([arrays[place]], names=[names[place]])

    return names, len(arrays[0]) if arrays else 0, only


def _array(name: str, values: Any) -> Any:
    import pyarrow as pa

    if not hasattr(values, "__len__") and hasattr(values, "__iter__"):
        values = list(values)  # it may have to be read twice
    if hasattr(values, "iloc"):
        values = _plain_series(values)
    if isinstance(getattr(values, "dtype", None), np.dtype):
        values = _understood(values)
    try:
        return pa.array(values, from_pandas=True)
    except Exception as error:  # Arrow raises of many kinds, and so may what is iterated
        mixed = _mixed(values)
        if mixed is not None:
            return mixed
        where = f"column {name!r}{_first_misfit(values)}"
        raise InputError(f"{where} cannot be read: {first_line(error)}") from None


def _plain_series(values: Any) -> Any:
    """Return a series of pandas whose own kinds of cells are some that Arrow has too."""
    kind = type(values.dtype).__name__
    if kind == "SparseDtype":
        return values.sparse.to_dense()
    if kind == "PeriodDtype":
        return values.dt.to_timestamp()
    held = values.dtype.categories.dtype if kind == "CategoricalDtype" else values.dtype
    if type(held).__name__ == "IntervalDtype":  # as pandas.cut makes
        return values.astype(object).map(str, na_action="ignore").astype(object)
    return values


def _understood(values: Any) -> Any:
    """Return an array or a series of NumPy's as one of a dtype that Arrow reads, without gaps."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "f" and size == 2:  # from which Arrow could tell no NaN
        wanted: np.dtype[Any] = np.dtype(np.float32)
    elif kind == "f" and size > 8:
        wanted = np.dtype(np.float64)
    elif kind == "m" and np.datetime_data(values.dtype)[0] not in ("s", "ms", "us", "ns"):
        wanted = np.dtype("m8[s]")
    else:
        wanted = values.dtype.newbyteorder("=")
    if wanted != values.dtype or not values.dtype.isnative:
        values = values.astype(wanted)
    if isinstance(values, np.ma.MaskedArray):
        return values.copy()
    return np.ascontiguousarray(values) if isinstance(values, np.ndarray) else values


def _mixed(values: Any) -> Any:
    """Return values of several types in one column: numbers as numbers, with text among them as
    text; None if others are among them.

    A spreadsheet gives such columns where a cell of a column of numbers says "unknown".
    """
    import pyarrow as pa

    if not isinstance(values, (list, tuple)) and str(getattr(values, "dtype", "")) != "object":
        return None
    found = [None if is_missing(value) else value for value in values]
    known = [value for value in found if value is not None]
    if not all(isinstance(value, PLAIN) for value in known):
        return None
    texts = any(isinstance(value, str) for value in known)
    large = any(isinstance(value, int) and abs(value) >= cells.LARGEST_EXACT for value in known)
    try:
        if texts or large:  # float64 would confuse large integers
            said = [None if value is None else str(value) for value in found]
            return pa.array(said, pa.string())
        return pa.array([None if value is None else float(value) for value in found], pa.float64())
    except (ValueError, TypeError, OverflowError):  # halves of characters, and odd scalars
        return None


def is_missing(value: Any) -> bool:
    """Say whether a cell is None, NaN, or what pandas has in their place."""
    odd = isinstance(value, (float, np.floating, decimal.Decimal, np.datetime64, np.timedelta64))
    not_itself = odd and value != value
    return value is None or not_itself or type(value).__name__ in ("NAType", "NaTType")


def _first_misfit(values: Any) -> str:
    """Name the row with which a list stops being a column, such as a list after numbers."""
    import pyarrow as pa

    if not isinstance(values, (list, tuple)):
        return ""

    def fails(row: int) -> bool:
        try:
            pa.array(values[: row + 1], from_pandas=True)
        except Exception:
            return True
        return False

    return f", row {1 + bisect.bisect_left(range(len(values) - 1), True, key=fails)}"


def is_single(values: Any) -> bool:
    """Say whether it is a number, a text, a date and the like, or an array of no dimension."""
    one = not hasattr(values, "__iter__") or getattr(values, "ndim", 1) == 0
    return one or isinstance(values, (str, bytes))


def matrix(raw: Any, names: Iterable[str]) -> NDArray[np.float64]:
    """Columns of numbers as an array (N, D), as they are; NaN where a value is missing.

    Raises
    ------
    InputError
        If a column is missing or holds something else; the message names it, row and value.
    """
    columns, names = columns_of(raw), list(names)
    columns.check_there(names)
    found = [cells.numbers(columns.only(name), name, strays="raise") for name in names]
    return np.column_stack(found)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that is most like ``name``, None if none is much like it."""
    near = difflib.get_close_matches(name.lower(), sorted({n.lower() for n in names}), 1, 0.5)
    return next((n for n in sorted(names) if near and n.lower() == near[0]), None)

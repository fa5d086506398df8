"""Encoders for a table's columns, one class for numbers and one for categories.

========= ============================= ======================================================
holds     becomes                       missing values
========= ============================= ======================================================
numbers   (value - mean) / std          the mean, and an indicator column if any training row
dates     the same, in days since 1970  has none (without that column, just the mean)
text      one-hot                       a category if any training row has none, else unseen
booleans  one-hot                       the same
========= ============================= ======================================================

A value that is unseen, since no training row has it, becomes an equal share of all that were seen.
For the first layer that is the mean of their weights, whereas an input of its own would have
weights that no training row has ever changed.

Text is compared with surrounding spaces removed, and an empty text is missing. In number, date and
boolean columns the spellings in `MISSING` are missing too. The std is the population's (divided by
the count).
"""

from __future__ import annotations

import bisect
import difflib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError, count, first_line
from backhand.preprocess import arrow, cells
from backhand.preprocess.checks import entries, finite, flag, one_of, text
from backhand.preprocess.readings import Reading

# More categories than this, or nearly one for each row, is a name or a key and not a category.
MOST_CATEGORIES = 1000
FEW_CATEGORIES = 20
MOST_SHOWN = 10
MOST_DAYS = 1_000_000  # since 1970, that are shown as a date


@dataclass(frozen=True)
class NumberColumn:
    """Numbers or dates: standardised, with an indicator column for missing values.

    ``std`` is 0 where the known training values are all the same; then the indicator is all that is
    worth keeping, and there must be one.
    """

    name: str
    reading: Reading
    mean: float
    std: float
    missing: bool

    @property
    def kind(self) -> str:
        return self.reading.kind

    @property
    def feature_names(self) -> list[str]:
        value = [self.name] if self.std > 0 else []
        return value + ([f"{self.name} is missing"] if self.missing else [])

    @property
    def summary(self) -> str:
        """What the training rows have, for people."""
        spread = f"mean {self.mean:.4g}, standard deviation {self.std:.4g}"
        if self.kind == "date" and abs(self.mean) < MOST_DAYS:
            spread = f"about {np.datetime64(0, 'D') + round(self.mean)}, {self.std:.4g} days around"
        known = spread if self.std > 0 else "one value"
        return known + (", or missing" if self.missing else "")

    def encode(self, table: Any, x: NDArray[np.float32]) -> str | None:
        """Write the column's rows of ``table`` into ``x`` (N, len(feature_names)).

        Returns what a user should know of them, None if there is nothing.
        """
        values = _values(table, self.name, self.reading)
        absent = np.isnan(values)
        if self.std > 0:
            with np.errstate(over="ignore"):
                x[:, 0] = np.where(absent, 0.0, (values - self.mean) / self.std)
            wild = np.flatnonzero(~np.isfinite(x[:, 0]))
            if wild.size:
                raise InputError(
                    f"column {self.name!r}, row {arrow.row_number(table, int(wild[0]))}: "
                    f"{values[wild[0]]:g} is too far from the training values for float32"
                )
        if self.missing:
            x[:, -1] = absent
        return None

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "reading": self.reading.to_dict(),
            "mean": self.mean,
            "std": self.std,
            "missing": self.missing,
        }


@dataclass(frozen=True)
class CategoryColumn:
    """Text or booleans: one-hot over the training rows' values, an equal share of each for others.

    ``values`` are sorted; booleans are "false" and "true".
    """

    name: str
    kind: Literal["text", "boolean"]
    values: tuple[str, ...]
    missing: bool

    @property
    def feature_names(self) -> list[str]:
        places = [f"{self.name} = {value}" for value in self.values]
        if self.missing:
            places.append(f"{self.name} is missing")
        return places

    @property
    def summary(self) -> str:
        """What the training rows have, for people."""
        more = len(self.values) - MOST_SHOWN
        shown = ", ".join(self.values[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
        return shown + (", or missing" if self.missing else "")

    def encode(self, table: Any, x: NDArray[np.float32]) -> str | None:
        """Write the column's rows into ``x`` as `NumberColumn`; say which values are unseen."""
        import pyarrow as pa
        import pyarrow.compute as pc

        found = cells.categories(table, self.name, Reading(self.kind))
        place = pc.index_in(found, value_set=pa.array(self.values, type=pa.string()))
        places = np.array(pc.fill_null(place, -1), dtype=np.int64)
        absent = np.asarray(pc.is_null(found))
        if self.missing:
            places[absent] = len(self.values)
        known = places >= 0
        x[np.flatnonzero(known), places[known]] = 1.0
        x[~known, : len(self.values)] = 1 / len(self.values)
        strange = found.filter(pa.array(~known & ~absent))
        if not len(strange):
            return None
        values = strange.unique()
        some = f"{values[0].as_py()!r}{', ...' if len(values) > 1 else ''}"
        return (
            f"column {self.name!r}: {count(len(values), 'value')} not seen in training ({some}), "
            f"in {count(len(strange), 'row')}"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "values": list(self.values),
            "missing": self.missing,
        }


Encoder = NumberColumn | CategoryColumn


def fit_column(table: Any, name: str, rows: NDArray[Any] | None) -> Encoder | str:
    """Return the encoder for one column, fitted on ``rows``, or why the column is dropped."""
    reading = cells.look(table, name, rows)
    if reading.kind == "unusable":
        return f"values of type {arrow.type_of(table, name)}"
    if reading.kind == "empty":
        return "no value in the training rows"
    if (note := reading.stray_note(name)) is not None:
        warnings.warn(note, stacklevel=3)
    if reading.kind in ("number", "date"):
        values = _values(table, name, reading, "ignore")
        return _fit_numbers(name, reading, values if rows is None else values[rows])
    return _fit_categories(name, reading.kind, cells.categories(table, name, reading), rows)


def _values(
    table: Any, name: str, reading: Reading, strays: cells.Strays = "warn"
) -> NDArray[np.float64]:
    read = cells.dates if reading.kind == "date" else cells.numbers
    return read(table, name, reading, strays=strays)


def _fit_numbers(name: str, reading: Reading, values: NDArray[np.float64]) -> Encoder | str:
    absent = np.isnan(values)
    known = values[~absent]
    if not known.size:
        return "no value in the training rows"
    constant = bool(known.min() == known.max())
    if constant and not absent.any():
        return "constant in the training rows"
    mean, std = mean_and_std(known, f"column {name!r}")
    return NumberColumn(name, reading, mean, 0.0 if constant else std, bool(absent.any()))


def mean_and_std(values: NDArray[np.float64], where: str) -> tuple[float, float]:
    """Return the mean and the population's standard deviation, without overflow on the way.

    Raises
    ------
    InputError
        If they are beyond float64, which happens for values about 1e308.
    """
    with np.errstate(over="ignore"):
        mean = float(values.mean())
        distance = np.abs(values - mean)
    most = float(distance.max())
    if not np.isfinite(most):
        raise InputError(f"{where}: values up to {np.abs(values).max():g} are too large")
    if most == 0:
        return mean, 0.0
    # Dividing by the largest first keeps the squares of 1e200 and of 1e-200 in range.
    return mean, most * float(np.sqrt(np.square(distance / most).mean()))


def _fit_categories(name: str, kind: str, found: Any, rows: NDArray[Any] | None) -> Encoder | str:
    import pyarrow as pa

    chosen = found if rows is None else found.take(pa.array(rows))
    values = sorted(value for value in chosen.unique().to_pylist() if value is not None)
    missing = chosen.null_count > 0
    known = len(chosen) - chosen.null_count
    if not values:
        return "no value in the training rows"
    if len(values) == 1 and not missing:
        return "constant in the training rows"
    if len(values) > MOST_CATEGORIES or (len(values) > FEW_CATEGORIES and 2 * len(values) > known):
        return "text with too many distinct values"
    checked: Any = kind
    return CategoryColumn(name, checked, tuple(values), missing)


def encoder_from_dict(d: object) -> Encoder:
    """Rebuild an encoder from its ``to_dict``; InputError for anything else."""
    where = "preparation: column"
    if not isinstance(d, Mapping):
        raise InputError(f"{where}: must be a mapping, not {type(d).__name__}")
    kind: Any = one_of(d.get("kind"), "kind of column", ("number", "date", "text", "boolean"))
    name = text(d.get("name"), f"{where} name")
    where = f"preparation: column {name!r}"
    if kind in ("number", "date"):
        entries(d, where, ("kind", "name", "reading", "mean", "std", "missing"))
        reading = Reading.from_dict(d["reading"], f"{where}: reading")
        mean = finite(d["mean"], f"{where}: mean")
        std = finite(d["std"], f"{where}: std")
        missing = flag(d["missing"], f"{where}: missing")
        if std < 0 or (std == 0 and not missing):
            raise InputError(f"{where}: std must be greater than 0, not {std}")
        return NumberColumn(name, reading, mean, std, missing)
    entries(d, where, ("kind", "name", "values", "missing"))
    if not isinstance(d["values"], (list, tuple)) or not d["values"]:
        raise InputError(f"{where}: values must be a list that is not empty")
    values = tuple(text(value, f"{where}: values") for value in d["values"])
    if len(set(values)) < len(values):
        raise InputError(f"{where}: a value is there twice")
    if kind == "boolean" and not set(values) <= {"false", "true"}:
        raise InputError(f"{where}: values of a boolean are 'false' and 'true'")
    return CategoryColumn(name, kind, values, flag(d["missing"], f"{where}: missing"))


def as_table(raw: Any) -> Any:
    """Return rows as a pyarrow.Table with distinct column names, whose content is valid.

    Parameters
    ----------
    raw : pyarrow.Table, pandas or polars DataFrame, mapping or list of mappings
        Whatever exports Arrow data, a mapping of names to columns, a mapping of names to single
        values (one row), or a list of such rows, where a name that a row lacks is missing.

    Raises
    ------
    InputError
        For anything else, columns of different lengths, names that are there twice, and values that
        do not make a column.
    """
    import pyarrow as pa

    if isinstance(raw, pa.Table):
        table = raw
    elif isinstance(raw, Mapping):
        table = _from_columns(raw)
    elif isinstance(raw, (list, tuple)) and raw and all(isinstance(row, Mapping) for row in raw):
        names = dict.fromkeys(name for row in raw for name in row)
        table = _from_columns({name: [row.get(name) for row in raw] for name in names})
    elif type(raw).__module__.partition(".")[0] == "pandas" and hasattr(raw, "columns"):
        table = _from_columns(raw)  # by name; its own export adds the index
    elif hasattr(raw, "__arrow_c_stream__"):
        try:
            table = pa.table(raw)
        except Exception as error:  # whatever the other library raises
            raise InputError(
                f"a {type(raw).__name__} cannot be read: {first_line(error)}"
            ) from None
    else:
        raise InputError(
            "a table must be a DataFrame, a pyarrow.Table, a mapping of columns or a list of rows "
            f"as mappings, not {type(raw).__name__}"
        )
    names = table.column_names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"column {twice!r} is there twice")
    arrow.check_valid(table)
    return table


def _from_columns(raw: Any) -> Any:
    """Return a table from names with columns, or with single values, which are one row."""
    import pyarrow as pa

    given = [(str(name), values) for name, values in raw.items()]
    single = [name for name, values in given if _is_single(values)]
    if single and len(single) < len(given):
        other = next(name for name, _ in given if name not in single)
        raise InputError(
            f"column {single[0]!r} is a single value and column {other!r} is not: "
            "give lists for a table, single values for one row"
        )
    arrays = []
    for name, values in given:
        try:
            arrays.append(_array(values, bool(single)))
        except Exception as error:  # Arrow raises of many kinds, and so may what is iterated
            where = f"column {name!r}{_first_misfit(values)}"
            raise InputError(f"{where} cannot be read: {first_line(error)}") from None
    if len({len(array) for array in arrays}) > 1:
        counts = ", ".join(
            f"{name!r} {len(array)}" for (name, _), array in zip(given, arrays, strict=True)
        )
        raise InputError(f"columns differ in length: {counts}")
    return pa.table(arrays, names=[name for name, _ in given])


def _array(values: Any, single: bool) -> Any:
    import pyarrow as pa

    if single:
        values = [values.item() if isinstance(values, np.ndarray) else values]
    return pa.array(values, from_pandas=True)


def _first_misfit(values: Any) -> str:
    """Name the row with which a list stops being a column, such as text after numbers."""
    if not isinstance(values, (list, tuple)):
        return ""

    def fails(row: int) -> bool:
        try:
            _array(values[: row + 1], False)
        except Exception:
            return True
        return False

    return f", row {1 + bisect.bisect_left(range(len(values) - 1), True, key=fails)}"


def _is_single(values: Any) -> bool:
    """Say whether it is a number, a text, a date and the like, or an array of no dimension."""
    one = not hasattr(values, "__iter__") or getattr(values, "ndim", 1) == 0
    return one or isinstance(values, (str, bytes))


def check_there(table: Any, needed: Sequence[str]) -> None:
    """Raise InputError if a table misses a column, with the nearest name that it has."""
    given = set(table.column_names)
    for name in needed:
        if name not in given:
            near = nearest(name, given - set(needed))
            hint = f"; did you mean {near!r}?" if near else ""
            raise InputError(f"column {name!r} is missing{hint}")


def matrix(table: Any, names: Sequence[str]) -> NDArray[np.float64]:
    """Columns of numbers as an array (N, D), as they are; NaN where a value is missing.

    Raises
    ------
    InputError
        If a column is missing or holds something else; the message names it, row and value.
    """
    check_there(table, names)
    return np.column_stack([cells.numbers(table, name, strays="raise") for name in names])


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that is most like ``name``, None if none is much like it."""
    near = difflib.get_close_matches(name.lower(), sorted({n.lower() for n in names}), 1, 0.5)
    return next((n for n in sorted(names) if near and n.lower() == near[0]), None)

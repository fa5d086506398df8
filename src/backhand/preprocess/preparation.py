"""How raw rows become a network's input, fitted on training rows and stored with the model.

`TablePreparation` is for tables: one encoder a column. `Standardise` is for pixels. Both turn into
JSON-able dictionaries and back; the way back distrusts its input, since a model file may have been
edited.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError, count
from backhand.memory import check_size, most_bytes
from backhand.preprocess import cells
from backhand.preprocess.checks import entries, flag, listed, one_of, text
from backhand.preprocess.choice import LeftOut, choose, encoder_from_dict
from backhand.preprocess.encoder import Encoder, Part
from backhand.preprocess.pixels import Standardise
from backhand.preprocess.tables import Columns, columns_of, nearest

AS_ASKED = "as asked"


class Inputs(NamedTuple):
    """Names of the prepared columns, in the order in which they stand in x.

    Attributes
    ----------
    numbers : list of str
        Numbers of a size near 1, worth an embedding of numbers.
    indicators : list of str
        As they should be: zeros and ones that were scaled, -1 and 1, and the like.
    codes : list of str
        Whole numbers from 0, to be looked up; `TablePreparation.frequencies` says how many.
    """

    numbers: list[str]
    indicators: list[str]
    codes: list[str]


class Treatment(NamedTuple):
    """How a column is treated, for people.

    Attributes
    ----------
    column, holds, becomes : str
        Its name, what it was read as, and what it becomes ("left out").
    missing : int
        Training rows without a value.
    notes : str
        What training rows have, cells that could not be read, and why a column is left out.
    """

    column: str
    holds: str
    becomes: str
    missing: int
    notes: str


@dataclass(frozen=True)
class TablePreparation:
    """One encoder for each column that is used.

    The original columns are found by name, so their order in a new table does not matter, and other
    columns are ignored. Prepared columns stand in the order of `inputs`: numbers, then indicators,
    then codes.

    Attributes
    ----------
    encoders : tuple of Encoder
        In the order of the table.
    left_out : tuple of LeftOut
    has_names : bool
        False if it was fitted on an array, whose columns are called x0, x1 and so on.
    """

    encoders: tuple[Encoder, ...]
    left_out: tuple[LeftOut, ...] = ()
    has_names: bool = True

    @classmethod
    def fit(
        cls,
        table: Any,
        rows: NDArray[np.integer[Any]] | None = None,
        *,
        exclude: Iterable[str] = (),
        drop: Iterable[str] = (),
        keep: Iterable[str] = (),
        embed: bool = True,
        warn: bool = True,
    ) -> TablePreparation:
        """Choose and fit an encoder for each column.

        What a column holds, every statistic, every category and every decision comes from ``rows``.

        Parameters
        ----------
        table : table
            What `backhand.preprocess.tables.Columns` takes: a DataFrame, a pyarrow.Table, an array
            (N, D), a mapping of columns, a list of rows.
        rows : ndarray of int or None
            The training rows; None for all.
        exclude : iterable of str
            Columns that are no features, such as the target.
        drop : iterable of str
            Columns to leave out.
        keep : iterable of str
            Columns to use even if they look like identifiers.
        embed : bool
            Whether text with many values becomes codes, to be looked up. Without it it becomes
            one-hot.
        warn : bool
            Whether to warn; `describe` says the same.

        Raises
        ------
        InputError
            For a name in ``drop`` or ``keep`` that is no column, an infinite value, and if no
            column is left.

        Warns
        -----
        UserWarning
            Names the columns that are left out, with the reason, and cells that cannot be read.
        """
        source = columns_of(table)

        def chosen(name: str, keep: bool) -> Encoder | LeftOut:
            return choose(source.only(name), name, rows, keep, embed)

        return cls.of(
            source.names,
            chosen,
            source.has_names,
            exclude=exclude,
            drop=drop,
            keep=keep,
            warn=warn,
        )

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        chosen: Callable[[str, bool], Encoder | LeftOut],
        has_names: bool = True,
        *,
        exclude: Iterable[str] = (),
        drop: Iterable[str] = (),
        keep: Iterable[str] = (),
        warn: bool = True,
    ) -> TablePreparation:
        """Ask for the encoder of each column.

        Parameters
        ----------
        names : sequence of str
            Of the columns.
        chosen : callable
            From a column's name, and whether it is used though it looks like an identifier, to its
            encoder or why there is none.
        has_names, exclude, drop, keep, warn
            As of `fit`, whose errors and warnings these are as well.
        """
        skip, dropped, kept = set(exclude), _names(names, drop), _names(names, keep)
        if dropped & kept:
            raise InputError(f"column {min(dropped & kept)!r} is both to drop and to keep")
        fitted: list[Encoder] = []
        left: list[LeftOut] = []
        for name in names:
            if name in skip:
                continue
            if name in dropped:
                left.append(LeftOut(name, "", AS_ASKED))
                continue
            result = chosen(name, name in kept)
            if isinstance(result, LeftOut):
                left.append(result)
            else:
                fitted.append(result)
        if warn:
            _warn(fitted, left)
        if not fitted:
            why = "; ".join(f"{one.name!r}: {one.reason}" for one in left[:5])
            raise InputError(f"no usable feature column{f' ({why})' if why else ''}")
        return cls(tuple(fitted), tuple(left), has_names)

    @property
    def columns(self) -> list[str]:
        """The original columns that `apply` needs."""
        return [encoder.name for encoder in self.encoders]

    @property
    def inputs(self) -> Inputs:
        """Names of the prepared columns."""
        return Inputs(
            [name for encoder in self.encoders for name in encoder.numbers],
            [name for encoder in self.encoders for name in encoder.indicators],
            [encoder.name for encoder in self.encoders if encoder.frequencies],
        )

    @property
    def frequencies(self) -> tuple[tuple[int, ...], ...]:
        """Training rows with each code of each embedded column.

        Code 0 is a value that is rare or was never seen. If too few training rows had one, its
        frequency is 0, and its weights should be the mean of the others.
        """
        return tuple(encoder.frequencies for encoder in self.encoders if encoder.frequencies)

    @property
    def feature_names(self) -> list[str]:
        """One name for each prepared column."""
        return [name for names in self.inputs for name in names]

    @property
    def width(self) -> int:
        """D, the number of prepared columns."""
        return sum(map(len, self.inputs))

    @property
    def summary(self) -> str:
        """What the columns became, for people."""
        kinds = {"number": "numbers", "date": "dates", "category": "categories"}
        found = {kind: sum(e.kind == kind for e in self.encoders) for kind in kinds}
        made = ", ".join(f"{n} of {kinds[kind]}" for kind, n in found.items() if n)
        gaps = sum(encoder.missing > 0 for encoder in self.encoders)
        missing = f" ({count(gaps, 'column')} with missing values)" if gaps else ""
        return f"columns: {made}, as {count(self.width, 'input')}{missing}"

    def describe(self) -> list[Treatment]:
        """Say how each column is treated and why, those that are left out last."""
        used = [
            Treatment(
                encoder.name,
                encoder.reading.summary,
                encoder.becomes,
                encoder.missing,
                "; ".join(filter(None, (encoder.summary, encoder.strays))),
            )
            for encoder in self.encoders
        ]
        return used + [
            Treatment(one.name, one.holds, "left out", 0, one.reason) for one in self.left_out
        ]

    def apply(
        self,
        raw: Any,
        rows: NDArray[np.integer[Any]] | None = None,
        out: NDArray[np.float32] | None = None,
        *,
        warn: bool = True,
    ) -> NDArray[np.float32]:
        """Prepare the rows of a table.

        Parameters
        ----------
        raw : table
            As `fit` takes; the original columns in any order, others are ignored. An array if it
            was fitted on one.
        rows : ndarray of int, shape (M,), or None
            The rows to prepare, in this order; None for all as they are.
        out : ndarray of float32, shape (M, D), or None
            Where to write them; None for a new array.
        warn : bool
            Whether to warn of what training rows do not have.

        Returns
        -------
        x : ndarray of float32, shape (M, D)
            ``out`` if it is given, else C-contiguous.

        Raises
        ------
        InputError
            For a missing column (with the nearest name that is there), and for an infinite number
            (with column, row and value).

        Warns
        -----
        UserWarning
            Names a column with text that no training row has, with numbers far outside the range of
            the training rows, or with cells that cannot be read: how many, and one of them.
        """
        table = columns_of(raw)
        self._check_names(table)
        length = table.rows if rows is None else len(rows)
        if out is None:
            what = f"{self.width:,} inputs for each of {length:,} rows take"
            check_size(4 * length * self.width, most_bytes(), "the table", what)
            out = np.empty((length, self.width), dtype=np.float32)
        elif out.shape != (length, self.width) or out.dtype != np.float32:
            raise InputError(
                f"out has shape {out.shape} and dtype {out.dtype}; "
                f"({length}, {self.width}) and float32 are needed"
            )
        for encoder, part in zip(self.encoders, self._parts(out), strict=True):
            strays: cells.Strays = "warn" if warn else "ignore"
            notes = encoder.encode(table.only(encoder.name), rows, part, strays)
            for note in notes if warn else ():
                warnings.warn(note, stacklevel=2)
        return out

    def values(self, raw: Any, *, warn: bool = True) -> NDArray[np.float64]:
        """Read the rows of a table without preparing them.

        Parameters, errors and warnings are those of `apply`.

        Returns
        -------
        values : ndarray of float64, shape (N, columns)
            Of each of `columns` what its encoder's slots take: a number, days, or the place of a
            category.
        """
        table = columns_of(raw)
        self._check_names(table)
        values = np.empty((table.rows, len(self.encoders)))
        for column, encoder in enumerate(self.encoders):
            strays: cells.Strays = "warn" if warn else "ignore"
            values[:, column], notes = encoder.read(table.only(encoder.name), None, strays)
            for note in notes if warn else ():
                warnings.warn(note, stacklevel=2)
        return values

    @property
    def places(self) -> dict[str, list[int]]:
        """Which prepared columns each original column has become."""
        counted = np.arange(self.width, dtype=np.float32)[None, :]
        return {
            encoder.name: [int(v) for part in parts for v in part[0]]
            for encoder, parts in zip(self.encoders, self._parts(counted), strict=True)
        }

    def _parts(self, x: NDArray[np.float32]) -> Iterable[Part]:
        """The columns of x for each encoder."""
        numbers, indicators, _ = self.inputs
        first = [0, len(numbers), len(numbers) + len(indicators)]
        for encoder in self.encoders:
            sizes = len(encoder.numbers), len(encoder.indicators), bool(encoder.frequencies)
            last = [a + size for a, size in zip(first, sizes, strict=True)]
            yield Part(*(x[:, a:b] for a, b in zip(first, last, strict=True)))
            first = last

    def _check_names(self, table: Columns) -> None:
        if table.has_names == self.has_names:
            table.check_there(self.columns)
        elif self.has_names:
            raise InputError("an array has no names: give a table with the columns of training")
        else:
            raise InputError("the model was fitted on an array without names: give an array")
        wanted = len(self.encoders) + len(self.left_out)
        if not self.has_names and len(table.names) != wanted:
            raise InputError(f"rows have {len(table.names)} columns, the model takes {wanted}")

    def to_dict(self) -> dict[str, Any]:
        """Return what `preparation_from_dict` takes."""
        return {
            "kind": "table",
            "columns": [encoder.to_dict() for encoder in self.encoders],
            "left_out": [list(one) for one in self.left_out],
            "has_names": self.has_names,
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> TablePreparation:
        """Rebuild from `to_dict`; InputError for anything else."""
        where = "preparation"
        entries(d, where, ("kind", "columns", "left_out", "has_names"))
        if not isinstance(d["columns"], (list, tuple)) or not d["columns"]:
            raise InputError(f"{where}: columns must be a list that is not empty")
        encoders = tuple(encoder_from_dict(item) for item in d["columns"])
        place = f"{where}: left_out"
        left = tuple(
            LeftOut(*(text(v, place) for v in listed(one, place, len(LeftOut._fields))))
            for one in listed(d["left_out"], place)
        )
        names = [encoder.name for encoder in encoders] + [one.name for one in left]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{where}: column {twice!r} is there twice")
        return cls(encoders, left, flag(d["has_names"], f"{where}: has_names"))


def _names(there: Sequence[str], given: Iterable[str]) -> set[str]:
    """Return names as a set. Raises InputError, with the nearest, for one that is no column."""
    names = [given] if isinstance(given, str) else [str(name) for name in given]
    for name in names:
        if name not in there:
            near = nearest(name, there)
            hint = f": did you mean {near!r}?" if near else ""
            raise InputError(f"no column {name!r} to drop or keep{hint}")
    return set(names)


def _warn(fitted: Sequence[Encoder], left: Sequence[LeftOut]) -> None:
    """Warn of cells that could not be read, and of what is left out and not as asked."""
    for encoder in fitted:
        if encoder.strays:
            warnings.warn(encoder.strays, stacklevel=4)
    reasons: dict[str, list[str]] = {}
    for one in left:
        reasons.setdefault(one.reason, []).append(one.name)
    for reason, names in reasons.items():
        if reason != AS_ASKED:
            many = "columns are" if len(names) > 1 else "column is"
            listed_names = ", ".join(map(repr, names))
            told = f"{len(names)} {many} left out ({reason}): {listed_names}"
            warnings.warn(told, stacklevel=4)


Preparation = Standardise | TablePreparation


def preparation_from_dict(d: object) -> Preparation:
    """Rebuild a preparation from what its ``to_dict`` returned.

    Parameters
    ----------
    d : mapping
        May come from a file that somebody has edited: every entry is checked.

    Raises
    ------
    InputError
        For anything that no ``to_dict`` returns; the message names the entry.
    """
    if not isinstance(d, Mapping):
        raise InputError(f"preparation: must be a mapping, not {type(d).__name__}")
    kind = one_of(d.get("kind"), "preparation kind", ("pixels", "table"))
    return Standardise.from_dict(d) if kind == "pixels" else TablePreparation.from_dict(d)

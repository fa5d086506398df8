"""What all encoders of columns have in common, and how they are stored."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError
from backhand.formulas import columns
from backhand.preprocess.cells import Strays
from backhand.preprocess.checks import entries, listed, natural, positive_int, text
from backhand.preprocess.readings import Reading
from backhand.preprocess.scaling import levels
from backhand.run.namespaces import NUMPY

AT_ONCE = 1 << 13
"""Rows whose columns are computed at once, so that what is on the way stays in a cache."""

Check = Callable[[object, str], Any]
"""What makes an entry of a file an attribute, or raises InputError."""


def rare_below(rows: int) -> int:
    """Return how many training rows a value needs to stand for itself, and so do missing values.

    Three tell something of a value; in a table of a few dozen rows every value is rare.
    """
    return min(3, 1 + rows // 50)


Formula = Callable[..., Any]


class Slot(NamedTuple):
    """What one prepared column is made of.

    Attributes
    ----------
    formula : callable
        ``formula(xp, value, *constants)``, of `backhand.formulas.columns`.
    constants : tuple of float
    part : callable or None
        ``part(xp, value)``: what of the column's value the formula takes; None for the value.
    """

    formula: Formula
    constants: tuple[float, ...]
    part: Formula | None = None


class Slots(NamedTuple):
    """The slots of an encoder, in the order of `Part`."""

    numbers: list[Slot]
    indicators: list[Slot]
    codes: list[Slot]


def alike(slots: Iterable[Slot]) -> dict[tuple[Formula, Formula | None], list[int]]:
    """Return the places of slots that have one formula of one part."""
    found: dict[tuple[Formula, Formula | None], list[int]] = {}
    for place, slot in enumerate(slots):
        found.setdefault((slot.formula, slot.part), []).append(place)
    return found


class Part(NamedTuple):
    """The columns of x that belong to one encoder, to be written to.

    numbers (N, len(encoder.numbers)), indicators (N, len(encoder.indicators)), and codes (N, 1) if
    the column is embedded, else (N, 0); all of float32.
    """

    numbers: NDArray[np.float32]
    indicators: NDArray[np.float32]
    codes: NDArray[np.float32]


@dataclass(frozen=True)
class Encoder:
    """How one column becomes inputs, fitted on training rows.

    Attributes
    ----------
    name : str
    reading : Reading
        How its cells are spelt.
    rows, missing : int
        Training rows, and how many of them have no value.
    """

    kind: ClassVar[str]
    checks: ClassVar[dict[str, Check]] = {}
    """What a file may say of the attributes that a kind of encoder has for itself."""

    name: str
    reading: Reading
    rows: int
    missing: int

    def __getstate__(self) -> dict[str, Any]:
        """Without what follows from the attributes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def numbers(self) -> list[str]:
        """Names of prepared columns that are numbers, and worth an embedding of numbers."""
        return []

    @property
    def indicators(self) -> list[str]:
        """Names of prepared columns that are as they should be."""
        return [f"{self.name} is missing"] if self.has_gap else []

    @property
    def frequencies(self) -> tuple[int, ...]:
        """Training rows with each code, if the column is embedded."""
        return ()

    @property
    def becomes(self) -> str:
        """What the column becomes, for people."""
        raise NotImplementedError

    @property
    def summary(self) -> str:
        """What the training rows have, for people."""
        raise NotImplementedError

    @property
    def has_gap(self) -> bool:
        """Whether that a value is missing is an input of its own."""
        return self.missing >= rare_below(self.rows)

    @property
    def strays(self) -> str | None:
        """Cells of training rows that could not be read, for people."""
        return self.reading.stray_note(self.name)

    @functools.cached_property
    def slots(self) -> Slots:
        """How each prepared column follows from the value of this one.

        That is a number, the days since 1970-01-01, or the place of a category; see
        `backhand.formulas.columns`.
        """
        raise NotImplementedError

    @property
    def gap_slots(self) -> list[Slot]:
        """The slot that tells of missing values, the last of the indicators, if there is one."""
        if not self.has_gap:
            return []
        gap = columns.category_gap if self.kind == "category" else columns.gap
        return [Slot(gap, levels(self.missing, self.rows))]

    def read(
        self, table: Any, chosen: NDArray[Any] | None, strays: Strays
    ) -> tuple[NDArray[np.float64], list[str]]:
        """Read the column's rows of a table, or those that are chosen, in their order.

        Parameters
        ----------
        table : pyarrow.Table
        chosen : ndarray of int or None
        strays : {"warn", "ignore", "raise"}
            As in `backhand.preprocess.cells.numbers`.

        Returns
        -------
        values : ndarray of float64, shape (N,)
            What `slots` take.
        notes : list of str
            What a user should know of the rows, apart from strays.
        """
        raise NotImplementedError

    @functools.cached_property
    def _maps(self) -> list[tuple[int, Formula, Formula | None, list[int], list[Any]]]:
        """Slots with one formula of one part: in which part of x, both, where, constants (K, 1)."""
        found = []
        for which, slots in enumerate(self.slots):
            for (formula, part), places in alike(slots).items():
                given = zip(*(slots[place].constants for place in places), strict=True)
                constants = [np.array(one)[:, None] for one in given]
                found.append((which, formula, part, places, constants))
        return found

    def write(self, values: NDArray[np.float64], x: Part) -> None:
        """Write the prepared columns of values (N,)."""
        for first in range(0, len(values), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            parts: dict[Formula | None, Any] = {None: values[some]}
            with np.errstate(over="ignore", invalid="ignore"):
                for which, formula, part, places, constants in self._maps:
                    if part is not None and part not in parts:
                        parts[part] = part(NUMPY, values[some])
                    found = formula(NUMPY, parts[part], *constants)  # (K, rows)
                    for place, column in zip(places, found, strict=True):
                        x[which][some, place] = column

    def encode(self, table: Any, chosen: NDArray[Any] | None, x: Part, strays: Strays) -> list[str]:
        """Write what becomes of rows that are `read`; return the notes."""
        values, notes = self.read(table, chosen, strays)
        self.write(values, x)
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Return what `encoder_from_dict` takes."""
        own = {name: _stored(getattr(self, name)) for name in self.checks}
        return {
            "kind": self.kind,
            "name": self.name,
            "reading": self.reading.to_dict(),
            "rows": self.rows,
            "missing": self.missing,
            **own,
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Encoder:
        """Rebuild from `to_dict`; InputError for anything else."""
        name = text(d.get("name"), "preparation: column name")
        where = f"preparation: column {name!r}"
        entries(d, where, ("kind", *(field.name for field in fields(cls))))
        rows = positive_int(d["rows"], f"{where}: rows")
        missing = natural(d["missing"], f"{where}: missing")
        if missing > rows:
            raise InputError(f"{where}: {missing} missing values in {rows} rows")
        own = {key: check(d[key], f"{where}: {key}") for key, check in cls.checks.items()}
        encoder = cls(
            name, Reading.from_dict(d["reading"], f"{where}: reading"), rows, missing, **own
        )
        encoder.check(where)
        return encoder

    def check(self, where: str) -> None:
        """Raise InputError if the attributes do not fit one another."""


def _stored(value: Any) -> Any:
    if hasattr(value, "to_list"):
        return value.to_list()
    return [_stored(v) for v in value] if isinstance(value, tuple) else value


def optional(check: Check) -> Check:
    """Return a check that takes None as well."""
    return lambda value, where: None if value is None else check(value, where)


def tuple_of(check: Check) -> Check:
    """Return a check of a list whose entries pass a check, as a tuple."""

    return lambda value, where: tuple(check(v, where) for v in listed(value, where))

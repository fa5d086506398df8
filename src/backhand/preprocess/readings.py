"""How a column's cells are read, decided on training rows and kept with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from backhand.errors import InputError, count, printable
from backhand.preprocess import date_text, number_text
from backhand.preprocess.checks import entries, one_of, text
from backhand.preprocess.number_text import NumberSpelling

Kind = Literal["number", "date", "boolean", "text", "empty", "unusable"]
KINDS: tuple[Kind, ...] = ("number", "date", "boolean", "text", "empty", "unusable")
_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class Reading:
    """How a column's cells are read: `cells.look` decides on training rows, and the model keeps it.

    Attributes
    ----------
    kind : {"number", "date", "boolean", "text", "empty", "unusable"}
    decimal, thousands : str
        Of numbers written as text, as in `NumberSpelling`.
    sign : str
        A currency or per cent sign that numbers carry, "" for none. For people only.
    form : str
        Of dates written as text: one of `date_text.FORMS`, "" for a column with a type for dates.
    strays : int
        How many known cells of the training rows are not of the kind, and count as missing.
    stray : str
        The first of them, shortened.
    stray_row : int
        Its row, as `arrow.row_number` counts; 0 without strays.
    """

    kind: Kind
    decimal: str = "."
    thousands: str = ""
    sign: str = ""
    form: str = ""
    strays: int = 0
    stray: str = ""
    stray_row: int = 0

    @property
    def spelling(self) -> NumberSpelling:
        return NumberSpelling(self.decimal, self.thousands)

    @property
    def noun(self) -> str:
        """What one cell should be: "a number", "a date (D.M.Y)"."""
        if self.kind == "date":
            return f"a date ({self.form or 'Y-M-D'})"
        return "a number with a decimal comma" if self.decimal == "," else "a number"

    @property
    def summary(self) -> str:
        """What the column was read as, for people: "numbers (decimal comma, %)"."""
        names = {"number": "numbers", "date": "dates", "boolean": "true/false", "empty": "nothing"}
        notes = ["decimal comma"] if self.decimal == "," else []
        notes += [f"thousands {self.thousands}"] if self.thousands else []
        notes += [note for note in (self.sign, self.form) if note]
        return names.get(self.kind, self.kind) + (f" ({', '.join(notes)})" if notes else "")

    def stray_note(self, name: str) -> str | None:
        """Say which cells of the training rows count as missing, None if none do."""
        return (
            stray_note(name, self, self.strays, self.stray, self.stray_row) if self.strays else None
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` takes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, d: object, where: str = "reading") -> Reading:
        """Rebuild from `to_dict`; InputError for anything else."""
        entries(d, where, cls.__dataclass_fields__)
        assert isinstance(d, Mapping)
        for name in ("decimal", "thousands", "sign", "form", "stray"):
            text(d[name], f"{where}: {name}")
        for name in ("strays", "stray_row"):
            if isinstance(d[name], bool) or not isinstance(d[name], int) or d[name] < 0:
                raise InputError(f"{where}: {name} must be an integer of at least 0")
        one_of(d["kind"], f"{where}: kind", KINDS)
        one_of(d["decimal"], f"{where}: decimal", number_text.MARKS)
        one_of(d["thousands"], f"{where}: thousands", ("", *number_text.MARKS))
        if d["thousands"] == d["decimal"]:
            raise InputError(f"{where}: decimal and thousands are both {d['decimal']!r}")
        one_of(d["form"], f"{where}: form", ("", *date_text.FORMS))
        return cls(**d)


def shown(cell: str) -> str:
    cell = printable(cell)
    return cell if len(cell) <= _LONGEST_SHOWN else cell[: _LONGEST_SHOWN - 1] + "…"


def stray_note(name: str, reading: Reading, strays: int, first: str, row: int) -> str:
    are, them = ("is", "it counts") if strays == 1 else ("are", "they count")
    which = f"row {row}: {first!r}" if strays == 1 else f"the first in row {row}: {first!r}"
    return (
        f"column {name!r}: {count(strays, 'cell')} {are} not {reading.noun} ({which}); "
        f"{them} as missing"
    )

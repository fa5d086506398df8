"""How a column's cells are read, decided on training rows and kept with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from backhand.errors import InputError, count, printable
from backhand.preprocess import date_text, number_text
from backhand.preprocess.checks import entries, listed, natural, one_of, text
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
    words : tuple of str
        What stood for missing values, such as "-" or "unknown".
    strays : int
        How many known cells are not of the kind, and count as missing. This and what follows is for
        people; readings are equal without.
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
    words: tuple[str, ...] = field(default=(), compare=False)
    strays: int = field(default=0, compare=False)
    stray: str = field(default="", compare=False)
    stray_row: int = field(default=0, compare=False)

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
        """Say which cells count as missing that people may not expect to, None if none do."""
        notes = []
        if self.words:
            count_as = "count as missing" if len(self.words) > 1 else "counts as missing"
            notes.append(f"{', '.join(map(repr, self.words))} {count_as}")
        if self.strays:
            notes.append(_told(self, self.strays, self.stray, self.stray_row))
        return f"column {name!r}: {'; '.join(notes)}" if notes else None

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` takes."""
        return {**asdict(self), "words": list(self.words)}

    @classmethod
    def from_dict(cls, d: object, where: str = "reading") -> Reading:
        """Rebuild from `to_dict`; InputError for anything else."""
        entries(d, where, cls.__dataclass_fields__)
        assert isinstance(d, Mapping)
        for name in ("decimal", "thousands", "sign", "form", "stray"):
            text(d[name], f"{where}: {name}")
        words = tuple(
            text(word, f"{where}: words") for word in listed(d["words"], f"{where}: words")
        )
        for name in ("strays", "stray_row"):
            natural(d[name], f"{where}: {name}")
        one_of(d["kind"], f"{where}: kind", KINDS)
        one_of(d["decimal"], f"{where}: decimal", number_text.MARKS)
        one_of(d["thousands"], f"{where}: thousands", ("", *number_text.MARKS))
        if d["thousands"] == d["decimal"]:
            raise InputError(f"{where}: decimal and thousands are both {d['decimal']!r}")
        one_of(d["form"], f"{where}: form", ("", *date_text.FORMS))
        return cls(**{**d, "words": words})


def shown(cell: str) -> str:
    """Return a cell's text for a message: printable, and shortened."""
    cell = printable(cell)
    return cell if len(cell) <= _LONGEST_SHOWN else cell[: _LONGEST_SHOWN - 1] + "…"


def stray_note(name: str, reading: Reading, strays: int, first: str, row: int) -> str:
    """Say of which cells of a column nothing can be read: how many, and row and text of one."""
    return f"column {name!r}: {_told(reading, strays, first, row)}"


def _told(reading: Reading, strays: int, first: str, row: int) -> str:
    are, them = ("is", "it counts") if strays == 1 else ("are", "they count")
    which = f"row {row}: {first!r}" if strays == 1 else f"the first in row {row}: {first!r}"
    return f"{count(strays, 'cell')} {are} not {reading.noun} ({which}); {them} as missing"

"""How people write numbers: with decimal commas, thousands separators, currencies and per cent.

A column is read with one decimal mark, "." or ",", which `spelling_of` finds. The other mark
separates thousands in columns that use it so; in others a cell such as "1,234" is no number, since
its writer may have meant either. Spaces and apostrophes always separate thousands.

"12 %" is 12: the number keeps the unit in which it was written, as "12 €" does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MARKS = (".", ",")
SIGNS = "$€£¥₹₽₩"
CODES = "usd|eur|gbp|chf|jpy"

_SAMPLE = 1000
_UNIT = rf"(?:[{SIGNS}]|(?i:{CODES}))"
_TO_REMOVE = rf"(?i)[\s'%(){SIGNS}]|{CODES}"
# What is as good as the character beside it, or less.
_ALIKE = {"[\u00a0\u2009\u202f]": " ", "[\u2212\u2013]": "-", "\u2019": "'"}


class NumberSpelling(NamedTuple):
    """How the numbers of a column are written.

    Attributes
    ----------
    decimal : {".", ","}
        The decimal mark.
    thousands : {"", ".", ","}
        The other mark if it separates thousands, "" if it may not occur.
    """

    decimal: str = "."
    thousands: str = ""


def wide(mark: str) -> NumberSpelling:
    """Return the spelling with a given decimal mark in which the other separates thousands."""
    return NumberSpelling(mark, _other(mark))


def _other(mark: str) -> str:
    return MARKS[1 - MARKS.index(mark)]


def _pattern(spelling: NumberSpelling) -> str:
    """Return the regular expression of one whole cell."""
    decimal = f"\\{spelling.decimal}"
    between = [" ", "'", *([f"\\{spelling.thousands}"] if spelling.thousands else [])]
    grouped = "|".join(rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+" for mark in between)
    number = rf"(?:(?:{grouped}|\d+)(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"
    number = rf"(?:{number}|(?i:inf(?:inity)?))"
    before = rf"(?:(?:[+-] ?)?(?:{_UNIT} ?)?|{_UNIT} ?[+-])"
    after = rf"(?: ?(?:%|{_UNIT}))?"
    # Accountants write losses in parentheses.
    return rf"^(?:{before}{number}{after}|\((?:{_UNIT} ?)?{number}{after}\))$"


def plain_characters(text: Any) -> Any:
    """Return text with simple spaces, minus signs and apostrophes in place of typographic ones."""
    import pyarrow.compute as pc

    if pc.all(pc.string_is_ascii(text)).as_py() is not False:
        return text
    for pattern, plain in _ALIKE.items():
        text = pc.replace_substring_regex(text, pattern, plain)
    return text


def matches(text: Any, spelling: NumberSpelling) -> NDArray[np.bool_]:
    """Say which cells are numbers in this spelling; text as from `plain_characters`."""
    import pyarrow.compute as pc

    found = pc.match_substring_regex(text, _pattern(spelling))
    return np.asarray(pc.fill_null(found, False))


def as_floats(text: Any, spelling: NumberSpelling) -> NDArray[np.float64]:
    """Read cells.

    Parameters
    ----------
    text : pyarrow.StringArray of length N
        As from `plain_characters`.
    spelling : NumberSpelling

    Returns
    -------
    values : ndarray of float64, shape (N,)
        NaN where `matches` says no. What is too large for float64 becomes infinite.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known = matches(text, spelling)
    text = pc.if_else(pa.array(known), text, pa.scalar(None, pa.string()))
    loss = pc.starts_with(text, "(")
    text = pc.replace_substring_regex(text, _TO_REMOVE, "")
    text = pc.if_else(loss, pc.binary_join_element_wise("-", text, ""), text)
    if spelling.thousands:
        text = pc.replace_substring(text, spelling.thousands, "")
    if spelling.decimal != ".":
        text = pc.replace_substring(text, spelling.decimal, ".")
    values = pc.cast(pc.utf8_ltrim(text, "+"), pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def simple_floats(text: Any, decimal: str) -> NDArray[np.float64] | None:
    """Read cells as `as_floats` does, ten times as fast, if all are written as programs do.

    Returns None if any is not; null becomes NaN.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if decimal == ",":
        if pc.any(pc.match_substring(text, ".")).as_py():
            return None
        text = pc.replace_substring(text, ",", ".")
    try:
        values = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        return None
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def spelling_of(
    text: Any, counts: NDArray[np.int64], decimal: str | None, likely: str
) -> NumberSpelling:
    """Find the spelling in which most cells are numbers.

    Parameters
    ----------
    text : pyarrow.StringArray
        Distinct cells, as from `plain_characters`.
    counts : ndarray of int64
        How often each of them occurs.
    decimal : {".", ","} or None
        The decimal mark if somebody has named it.
    likely : {".", ","}
        The mark to take where both read as many cells, such as "1,234" in every row.
    """
    import pyarrow.compute as pc

    marks = (decimal,) if decimal else (likely, _other(likely))
    read = {mark: matches(text, wide(mark)) for mark in marks}
    # Python's max takes the first of equals, which is the likely one.
    best = max(marks, key=lambda mark: int(counts[read[mark]].sum()))
    used = np.asarray(pc.fill_null(pc.match_substring(text, _other(best)), False))
    return wide(best) if (used & read[best]).any() else NumberSpelling(best)


def evidence(text: Any) -> int:
    """Return how many more cells can only have a decimal comma than can only have a point."""
    comma, point = (matches(text, wide(mark)) for mark in (",", "."))
    return int((comma & ~point).sum()) - int((point & ~comma).sum())


def sign_of(text: Any) -> str:
    """Return the first currency or per cent sign of some numbers, "" if the first have none."""
    import pyarrow.compute as pc

    signed = pc.extract_regex(text.slice(0, _SAMPLE), rf"(?P<sign>[%{SIGNS}]|(?i:{CODES}))")
    found = pc.drop_null(pc.struct_field(signed, "sign"))
    return str(found[0].as_py()) if len(found) else ""

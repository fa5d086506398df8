"""How people write dates, with or without times of day."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DAY, _MONTH, _YEAR = r"(?P<d>\d{1,2})", r"(?P<m>\d{1,2})", r"(?P<y>\d{4}|\d{2})"
_NAME = (
    r"(?P<m>(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?))\.?"
)
_WEEKDAY = r"(?:[A-Za-z]{2,9},? +)?"
_TIME = (
    r"(?:[T ] *(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2}(?:[.,]\d{1,9})?))?"
    r" *(?P<half>[AaPp]\.?[Mm]\.?)? *(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
)
# In this order where several read as many cells; `order_of` decides between D/M/Y and M/D/Y.
FORMS = {
    "Y-M-D": rf"(?P<y>\d{{4}})[-/.]{_MONTH}[-/.]{_DAY}",
    "D.M.Y": rf"{_WEEKDAY}{_DAY}[-/. ] ?{_MONTH}[-/. ] ?{_YEAR}",
    "M/D/Y": rf"{_WEEKDAY}{_MONTH}[-/.]{_DAY}[-/.]{_YEAR}",
    "D month Y": rf"{_WEEKDAY}{_DAY}(?:st|nd|rd|th|\.)?[- ]*{_NAME}[-, ]*{_YEAR}",
    "month D Y": rf"{_WEEKDAY}{_NAME} *{_DAY}(?:st|nd|rd|th)?,? +{_YEAR}",
    "Y-M": rf"(?P<y>\d{{4}})[-/]{_MONTH}",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Two digits are of this century up to 68 and of the last from 69, as in POSIX.
_PIVOT = 69


def as_days(text: Any, form: str) -> NDArray[np.float64]:
    """Read dates.

    Parameters
    ----------
    text : pyarrow.StringArray of length N
        Without surrounding spaces.
    form : str
        One of `FORMS`. A time of day may follow, of 12 or 24 hours, and its distance from UTC.

    Returns
    -------
    days : ndarray of float64, shape (N,)
        Days since 1970-01-01 (in UTC where the cell has a zone). NaN where a cell is no such date,
        or is not in the calendar.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if form == "Y-M-D":
        try:  # ten times as fast, and nearly every file is like this
            exact = pc.cast(pc.cast(pc.utf8_rtrim(text, "Z"), pa.timestamp("us")), pa.int64())
            return _floats(pc.cast(exact, pa.float64(), safe=False)) / 86_400e6
        except pa.ArrowInvalid:
            pass
    parts = pc.extract_regex(text, f"^{FORMS[form]}{_TIME}$")
    names = {field.name for field in parts.type}
    found = np.asarray(parts.is_valid())

    def part(name: str, default: str = "0") -> Any:
        known = pc.fill_null(pc.struct_field(parts, name), default)
        return pc.if_else(pc.equal(known, ""), default, known)

    year = _floats(part("y")).astype(np.int64)
    short = np.asarray(pc.equal(pc.binary_length(part("y", "0000")), 2))
    year += np.where(short, np.where(year < _PIVOT, 2000, 1900), 0)
    if "month" in form:
        word = pc.utf8_slice_codeunits(pc.ascii_lower(part("m")), 0, 3)
        month = _floats(pc.fill_null(pc.index_in(word, pa.array(_MONTHS)), -1)).astype(int) + 1
    else:
        month = _floats(part("m")).astype(np.int64)
    day = _floats(part("d")).astype(np.int64) if "d" in names else np.ones_like(month)
    months = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    days = months.astype("M8[D]") + (day - 1)
    valid = found & (month >= 1) & (month <= 12) & (day >= 1)
    valid &= days.astype("M8[M]") == months

    hour, minute = _floats(part("H")), _floats(part("M"))
    second = _floats(pc.replace_substring(part("S"), ",", "."))
    half = pc.utf8_slice_codeunits(pc.ascii_lower(part("half", "")), 0, 1)
    afternoon, twelve = np.asarray(pc.equal(half, "p")), np.asarray(pc.not_equal(half, ""))
    valid &= (hour < 24) & (minute < 60) & (second < 61)
    valid &= ~twelve | ((hour >= 1) & (hour <= 12))
    hour = np.where(twelve, hour % 12 + 12 * afternoon, hour)
    ahead = _zone_minutes(part("zone", ""))
    time = (hour * 60 + minute - ahead) / 1440 + second / 86_400
    return np.where(valid, days.astype(np.int64) + time, np.nan)


def _zone_minutes(zone: Any) -> NDArray[np.float64]:
    """Return how many minutes a zone such as "+02:00" or "Z" is ahead of UTC."""
    import pyarrow.compute as pc

    parts = pc.extract_regex(zone, r"^(?P<sign>[+-])(?P<h>\d{2}):?(?P<m>\d{2})$")
    hours, minutes = (
        _floats(pc.fill_null(pc.struct_field(parts, name), "0")) for name in ("h", "m")
    )
    behind = np.asarray(pc.fill_null(pc.equal(pc.struct_field(parts, "sign"), "-"), False))
    return np.where(behind, -1.0, 1.0) * (60 * hours + minutes)


def _floats(column: Any) -> NDArray[np.float64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type):
        column = pc.cast(column, pa.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def form_of(text: Any, counts: NDArray[np.int64]) -> str:
    """Return the form in which most cells are dates, "" if no cell is one in any.

    Parameters
    ----------
    text : pyarrow.StringArray
        Distinct cells without surrounding spaces.
    counts : ndarray of int64
        How often each of them occurs.
    """
    read = {form: int(counts[~np.isnan(as_days(text, form))].sum()) for form in FORMS}
    best = max(read, key=lambda form: read[form])
    if not read[best]:
        return ""
    if best == "D.M.Y" and read["M/D/Y"] == read[best]:
        # No day is beyond the twelfth. Slashes are American more often than not.
        import pyarrow.compute as pc

        slashes = int(pc.sum(pc.match_substring(text, "/")).as_py() or 0)
        return "M/D/Y" if 2 * slashes > len(text) else best
    return best

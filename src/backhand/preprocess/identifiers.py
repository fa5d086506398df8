"""Columns that tell rows apart and say nothing of them: row numbers, keys, unique texts.

That all numbers differ, or count the rows, is no reason: so does the only input of a first example.
A name has to say it as well.

What is looked at is the training rows, and where in the table they stand.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST = 20
"""With fewer known values, that they all differ says nothing."""

UNIQUE = 0.95
"""The share of texts that differ from which on they are identifiers."""

DENSE = 1.1
"""Numbers whose range is at most this many times the number of rows are as good as row numbers."""

KEEP = "; to use it, name it to keep"

NAMED = re.compile(
    r"""^(
    (?i: unnamed:\s*\d+ | level_\d+ | \# | seq(uence)? | obs(ervation)? | record | case | instance )
    | (?i: (row|s|sl|serial|seq|obs|case|record)? [\s_.]* (names?|index|idx) )
    | (?i:row) | X
    | (.*[\s_.\-])? (?i:id|uid|uuid|guid|key)
    | (?i:id|key) [\s_.\-] .*
    | .*[a-z](Id|ID)
    )?$""",
    re.VERBOSE,
)
"""Names that say that a column is an identifier; an empty name does."""

MAY_BE_NAMED = re.compile(r"(?i).*(id|no|nr|num|number|code)$")
"""Names that may say so, as "userid" does and "humid" does not."""


def number_identifier(
    name: str, values: NDArray[np.float64], places: NDArray[np.integer[Any]]
) -> str | None:
    """Say why numbers are an identifier, None if they are not.

    Parameters
    ----------
    name : str
    values : ndarray of float64, shape (N,)
        Of the training rows, NaN where missing.
    places : ndarray of int, shape (N,)
        Where the rows stand in their table, from 0.
    """
    if len(values) < FEWEST or not np.isfinite(values).all():
        return None
    if (values != np.floor(values)).any() or np.abs(values).max() >= 2**53:
        return None
    named = NAMED.match(name) is not None
    if not (named or MAY_BE_NAMED.match(name)) or len(np.unique(values)) < len(values):
        return None
    steps = np.diff(values[np.argsort(places)])
    if (steps == np.diff(np.sort(places))).all():
        return f"row numbers{KEEP}"
    dense = values.max() - values.min() <= DENSE * places.max()
    if named or dense or (steps > 0).all():
        return f"an identifier, different in every row{KEEP}"
    return None


def text_identifier(found: Any) -> str | None:
    """Say why texts (a pyarrow.StringArray of the training rows) are an identifier, or None."""
    import pyarrow.compute as pc

    known = len(found) - found.null_count
    if known < FEWEST:
        return None
    distinct = pc.count_distinct(found, mode="only_valid").as_py()
    if distinct < UNIQUE * known:
        return None
    often = "different in every row" if distinct == known else "hardly any text twice"
    return f"an identifier, {often}{KEEP}"

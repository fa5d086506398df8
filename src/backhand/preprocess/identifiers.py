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
    if not may_be_named(name) or len(np.unique(values)) < len(values):
        return None
    steps = np.diff(values[np.argsort(places)])
    dense = values.max() - values.min() <= DENSE * places.max()
    counting = (steps == np.diff(np.sort(places))).all()
    return told_of_numbers(name, counting, dense or (steps > 0).all())


def may_be_named(name: str) -> bool:
    """Say whether a column's name permits that numbers are an identifier."""
    return bool(NAMED.match(name) or MAY_BE_NAMED.match(name))


def told_of_numbers(name: str, counting: Any, orderly: Any) -> str | None:
    """Say why numbers that are different in every row are an identifier, None if they are not.

    Parameters
    ----------
    name : str
        It `may_be_named` so.
    counting : bool
        Whether they grow by one from row to row.
    orderly : bool
        Whether they grow, or are `DENSE`.
    """
    if counting:
        return f"row numbers{KEEP}"
    if NAMED.match(name) or orderly:
        return f"an identifier, different in every row{KEEP}"
    return None


def text_identifier(found: Any) -> str | None:
    """Say why texts (a pyarrow.StringArray of the training rows) are an identifier, or None."""
    import pyarrow.compute as pc

    distinct = pc.count_distinct(found, mode="only_valid").as_py()
    return told_of_texts(len(found) - found.null_count, distinct)


def told_of_texts(known: int, distinct: int) -> str | None:
    """Say why so many known texts, of which so many differ, are an identifier, or None."""
    if known < FEWEST or distinct < UNIQUE * known:
        return None
    often = "different in every row" if distinct == known else "hardly any text twice"
    return f"an identifier, {often}{KEEP}"

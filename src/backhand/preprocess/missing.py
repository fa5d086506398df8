"""What people and programs write where there is no value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# What stands for a missing value among numbers, dates and booleans. In text only "" does.
MISSING = ("", "na", "n/a", "<na>", "nan", "nat", "null", "none", "?")
# What does too, but is reported, since it may have been meant otherwise.
MARKS = (
    *("-", "--", "---", ".", "..", "...", "*", "n.a.", "nil", "#n/a", "#na", "#value!"),
    *("#div/0!", "#ref!", "#name?", "#num!"),
)
# Likewise, where at least as many cells are numbers or dates. Elsewhere they may be categories.
WORDS = ("missing", "unknown", "unk", "not available", "not applicable", "tbd")


def spells(cells: Any, *words: str) -> NDArray[np.bool_]:
    """Say which cells are, in upper or lower case, one of ``words``; null is the word ""."""
    import pyarrow as pa
    import pyarrow.compute as pc

    said = pc.utf8_lower(pc.fill_null(cells, ""))
    return np.asarray(pc.is_in(said, value_set=pa.array(words)))


def known_only(known: NDArray[np.bool_], text: Any) -> Any:
    """Return text with null where it is not known."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pa.array(known), text, pa.scalar(None, pa.string()))

"""Cells as people read them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

NOTHING = "missing"

LONGEST = 60
"""Characters of a cell."""


def shown(value: Any) -> str:
    """A number, or a text that is cut off where it is long."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        if not value.strip():
            return NOTHING
        return value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
    number = float(value)
    if math.isnan(number):
        return NOTHING
    return f"{number:.6g}"


def day(days: float) -> str:
    """A date, of days since 1970-01-01."""
    if math.isnan(days):
        return NOTHING
    try:
        return str(np.datetime64(math.floor(days), "D"))
    except (OverflowError, ValueError):
        return shown(days)

"""How long campaigns are: whole by hand, and a share of their cases in `.ci/run`."""

from __future__ import annotations

import math
import os

SHARE = float(os.environ.get("BACKHAND_CAMPAIGNS", "1"))
"""Of the cases of each long campaign."""


def share_of(count: int) -> int:
    """How many of so many cases are run; one at least."""
    return max(1, math.ceil(SHARE * count))

"""How many rows are looked at for what, where there are more, so that a report takes seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any

MOST_ROWS = 20_000
"""Rows that are answered and scored. An accuracy of 0.9 is then known to within 0.004."""

COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Of intervals."""

MOST_POINTS = 400
"""Points of a curve: more than a screen shows apart."""

IMPORTANCE_WORK = 2e10
"""Multiplications for all importances; a processor's core does them in a few seconds."""

FEWEST_SHUFFLED, MOST_SHUFFLED = 200, 4_000
"""Rows whose columns change places, within these bounds."""

MOST_DEPENDENCES = 8
"""Columns whose partial dependence is shown, those that matter most."""

GRID = 24
"""Points of a partial dependence, at most."""

DEPENDENCE_ROWS = 300
"""Rows over which a partial dependence is a mean."""

MOST_MISTAKES = 10
"""Rows that are shown."""

BASELINES = 64
"""Rows that a wrong row is compared with."""

MOST_SCATTERED = 600
"""Rows shown as points."""


def drawn(rows: int, most: int, seed: int = 0) -> Array:
    """Places (M,) of at most ``most`` rows, drawn without replacement, in their order."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))

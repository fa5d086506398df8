"""Which rows each network of an ensemble learns from, and by which it is validated."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any

Fold = tuple[Array, Array]
"""Numbers of training rows, and of validation rows."""


def folds_of(strata: Array | None, rows: int, count: int, share: float, seed: int) -> list[Fold]:
    """Rows for each of ``count`` networks, whose validation rows are together as many as possible.

    Parameters
    ----------
    strata : array of int (N,), optional
        Numbers of classes. Each part has their shares, and a class with too few rows to be in all
        parts is learned from by every network.
    rows : int
        N.
    count : int
    share : float
        Of the rows, that validate a network.
    seed : int
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    parts = max(2, min(round(1 / share), rows))
    every = np.arange(rows)
    if strata is None:
        splitter, candidates = KFold, every
    else:
        splitter, candidates = StratifiedKFold, every[np.bincount(strata)[strata] >= parts]
        if len(candidates) < rows / 2:  # nearly every row is a class of its own
            splitter, candidates = KFold, every
    folds: list[Fold] = []
    for repeat in range(-(-count // parts)):
        split = splitter(parts, shuffle=True, random_state=seed + repeat)
        for _, chosen in split.split(candidates, None if strata is None else strata[candidates]):
            validation = candidates[chosen]
            folds.append((np.setdiff1d(every, validation, assume_unique=True), validation))
    return folds[:count]

"""Which rows each network of an ensemble learns from, and which it is judged by."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any

Fold = tuple[Array, Array]
"""Numbers of rows to learn from, and of rows to be judged by."""


def folds_of(strata: Array | None, rows: int, count: int, share: float, seed: int) -> list[Fold]:
    """Rows for each of ``count`` networks, which together are judged by as many rows as possible.

    Parameters
    ----------
    strata : array of int (N,), optional
        Numbers of classes. Each part has their shares, and a class with too few rows to be in all
        parts is learned from by every network.
    rows : int
        N.
    count : int
    share : float
        Of the rows, by which a network is judged.
    seed : int
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    parts = max(2, min(round(1 / share), rows))
    every = np.arange(rows)
    if strata is None:
        splitter, judging = KFold, every
    else:
        splitter, judging = StratifiedKFold, every[np.bincount(strata)[strata] >= parts]
        if len(judging) < rows / 2:  # nearly every row is a class of its own
            splitter, judging = KFold, every
    folds: list[Fold] = []
    for repeat in range(-(-count // parts)):
        split = splitter(parts, shuffle=True, random_state=seed + repeat)
        for _, chosen in split.split(judging, None if strata is None else strata[judging]):
            judged = judging[chosen]
            folds.append((np.setdiff1d(every, judged, assume_unique=True), judged))
    return folds[:count]

"""Which rows train, which validate and which test, decided before any statistic is taken."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError

# A class with fewer rows than this cannot be in all three parts, so the split is then plain.
ROWS_TO_STRATIFY = 5


def split_rows(
    rows: int, labels: NDArray[Any] | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Divide row numbers into training, validation and test rows, 60/20/20.

    Parameters
    ----------
    rows : int
        How many rows there are, at least 10.
    labels : ndarray of int, shape (rows,), or None
        Class indices. The split is stratified by them where every class has at least
        ``ROWS_TO_STRATIFY`` rows, and plain otherwise or for None.
    seed : int
        Decides the split: 0 <= seed < 2**32.

    Returns
    -------
    train, validation, test : ndarray of int64
        Shuffled row numbers; together every row once.

    Raises
    ------
    InputError
        For a seed that is no such integer.
    """
    from sklearn.model_selection import train_test_split

    seed = checked_seed(seed)
    stratify = None
    if labels is not None and np.unique(labels, return_counts=True)[1].min() >= ROWS_TO_STRATIFY:
        stratify = labels
    rest, test = train_test_split(
        np.arange(rows, dtype=np.int64), test_size=0.2, random_state=seed, stratify=stratify
    )
    # A quarter of the remaining 80 % is 20 % of the whole.
    train, validation = train_test_split(
        rest,
        test_size=0.25,
        random_state=seed,
        stratify=None if stratify is None else stratify[rest],
    )
    return train, validation, test


def checked_seed(seed: object) -> int:
    """Return ``seed`` as an int, or raise InputError."""
    if (
        isinstance(seed, bool)
        or not isinstance(seed, numbers.Integral)
        or not 0 <= int(seed) < 2**32
    ):
        raise InputError(f"seed {seed!r}: must be an integer from 0 to {2**32 - 1}")
    return int(seed)

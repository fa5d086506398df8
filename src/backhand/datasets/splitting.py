"""Which rows train, which validate and which test, decided before any statistic is taken."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError

# A class with fewer rows than this cannot be in all three parts.
ROWS_TO_STRATIFY = 5
# Beyond these shares of rows that go to training first, the others are not stratified, or none
# goes.
MOST_WHILE_STRATIFIED = 0.1
MOST_FIRST = 0.5


def split_rows(
    rows: int, labels: NDArray[Any] | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Divide row numbers into training, validation and test rows, 60/20/20.

    Parameters
    ----------
    rows : int
        How many rows there are, at least 10.
    labels : ndarray of int, shape (rows,), or None
        Class indices. The split is stratified by them, and plain for None. One row of a class with
        fewer than ``ROWS_TO_STRATIFY`` rows goes to training first; the others of such classes are
        treated as one class.
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
    seed = checked_seed(seed)
    every = np.arange(rows, dtype=np.int64)
    if labels is None:
        return _split(every, None, 0.2, 0.25, seed)
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    classes = classes.reshape(-1)
    if counts.min() >= ROWS_TO_STRATIFY:
        return _split(every, classes, 0.2, 0.25, seed)
    rng = np.random.RandomState(seed)
    order = rng.permutation(every)
    first = np.zeros(rows, dtype=bool)
    first[order[np.unique(classes[order], return_index=True)[1]]] = True
    rare = (counts < ROWS_TO_STRATIFY)[classes]
    first &= rare
    strata = np.where(rare, -1, classes)
    if (rare & ~first).sum() < ROWS_TO_STRATIFY:
        first |= rare
    if first.sum() > MOST_FIRST * rows:
        return _split(every, None, 0.2, 0.25, seed)
    rest, size = every[~first], round(rows / 5)
    stratify = strata if first.sum() <= MOST_WHILE_STRATIFIED * rows else None
    train, validation, test = _split(rest, stratify, size, size, seed)
    return rng.permutation(np.concatenate([every[first], train])), validation, test


def _split(
    rows: NDArray[np.int64],
    strata: NDArray[Any] | None,
    test_size: float,
    validation_size: float,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Divide ``rows``; ``strata`` are of all rows, sizes are shares or numbers of what is left."""
    from sklearn.model_selection import train_test_split

    def divide(some: NDArray[np.int64], size: float) -> Any:
        stratify = None if strata is None else strata[some]
        return train_test_split(some, test_size=size, random_state=seed, stratify=stratify)

    rest, test = divide(rows, test_size)
    # By default a quarter of the remaining 80 %, which is 20 % of the whole.
    train, validation = divide(rest, validation_size)
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

"""Rows and parameters as people give them to an estimator of tables, checked."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from ..datasets.sources import is_source
from ..datasets.stream import Stream
from ..errors import InputError, first_line
from ..preprocess.tables import Columns, as_table, columns_of
from ..run.namespaces import is_sparse

Array = Any


def table_of(estimator: Any, X: Any, reset: bool, name: str) -> Columns:
    """Rows as a table, with scikit-learn's checks of their columns."""
    if is_sparse(X):
        raise InputError(f"{name} is sparse, and a table is dense: pass {name}.toarray()")
    if isinstance(X, Stream) or (is_source(X) and not isinstance(X, str)):
        raise InputError(
            f"{name} is no table in memory: predict each table of backhand.Stream(...).batches()"
        )
    if X is None or isinstance(X, (str, bytes, int, float)):
        raise InputError(f"{name} must be a table of rows and columns, got {X!r:.60}")
    named = hasattr(X, "columns") or hasattr(X, "column_names") or isinstance(X, Mapping)
    if not named and not is_list_of_dicts(X):
        X = _as_array(X, name)
        if X.dtype.kind == "c":
            raise InputError(f"Complex data not supported: {name} has dtype {X.dtype}")
        if X.ndim != 2:
            raise InputError(
                f"Expected 2D array, got {X.ndim}D array instead: {name} has shape {X.shape}. "
                "Reshape your data: a single column is X.reshape(-1, 1), a single row "
                "X.reshape(1, -1)"
            )
        for axis, what in enumerate(("sample", "feature")):
            if X.shape[axis] == 0:
                raise InputError(
                    f"{name}: 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required."
                )
        if X.dtype.kind == "f" and np.isinf(X).any():
            raise InputError(f"Input {name} contains infinity or a value too large for {X.dtype}")
    table = columns_of(X)
    if not table.rows and table.names and not reset:
        raise InputError(f"{name} has no rows")
    seen = X if hasattr(X, "shape") else as_table(table)
    validate_data(estimator, seen, skip_check_array=True, reset=reset)
    return table


def is_list_of_dicts(X: Any) -> bool:
    """Whether rows have the names of their columns with them."""
    return isinstance(X, (list, tuple)) and len(X) > 0 and isinstance(X[0], Mapping)


def _as_array(X: Any, name: str) -> Array:
    """Rows without names as an array; those of a masked one stay masked."""
    if isinstance(X, np.ma.MaskedArray):
        return X
    try:
        return np.asarray(X)
    except Exception as error:  # whatever somebody's array-like raises when asked for an array
        raise InputError(f"{name} is no array: {first_line(error)}") from None


def is_whole(number: Any) -> bool:
    """Whether it is a whole number, and not a truth value."""
    return isinstance(number, numbers.Integral) and not isinstance(number, bool)


def generator(random_state: Any) -> Any:
    """What draws numbers. Raises InputError for what is no seed."""
    try:
        return check_random_state(random_state)
    except (ValueError, TypeError) as error:
        raise InputError(f"random_state={random_state!r:.60}: {first_line(error)}") from None


def sequence(given: Any, name: str, what: str) -> tuple[Any, ...]:
    """A parameter that is a sequence, or None for nothing; a single name is one."""
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    try:
        return tuple(given)
    except TypeError:
        raise InputError(f"{name} must be a list of {what}, got {given!r:.60}") from None

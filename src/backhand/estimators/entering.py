"""Where X, y and weights enter an estimator: scikit-learn's checks, and what they leave open."""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils.validation import validate_data

from ..errors import InputError, first_line
from ..plan.ranges import check_unmasked
from ..run.namespaces import check_stored, is_sparse

Array = Any

NUMBERS, COMPLEX, TEXTS, OBJECTS = "biuf", "c", "SU", "O"
"""Kinds of dtypes. Of complex numbers scikit-learn itself says that it has no use for them."""

FEATURES = NUMBERS + COMPLEX + TEXTS + OBJECTS
"""What X may be when it is given: objects become numbers, texts are refused by scikit-learn."""


class NotNumbersError(InputError, TypeError):
    """Something that holds no numbers: scikit-learn raises a TypeError for some of it."""


@contextlib.contextmanager
def as_input_error(name: str) -> Iterator[None]:
    """Raise what NumPy or scikit-learn say of a value as an InputError that names the argument."""
    try:
        yield
    except (TypeError, OverflowError) as error:
        raise NotNumbersError(f"{name}: {first_line(error)}") from None


def validated(estimator: Any, X: Any, y: Any = "no_validation", **settings: Any) -> Any:
    """X, or X and y, as scikit-learn checks them for an estimator: finite numbers in a table.

    Raises
    ------
    InputError, ValueError
        If they are something else.
    """
    scalars = (numbers.Number, str, bytes, Mapping, set, frozenset)
    if X is None or (isinstance(X, scalars) and not is_sparse(X)):  # SciPy's dok is a mapping
        got = "None" if X is None else f"{type(X).__name__} {str(X)[:40]!r}"
        raise InputError(f"X must be rows and columns of numbers, (N, D), got {got}")
    X = _array(X, "X", FEATURES)
    if isinstance(y, str) and y == "no_validation":
        with as_input_error("X"):
            X = validate_data(estimator, X, accept_sparse=["csr", "csc"], **settings)
    else:
        y = None if y is None else _array(y, "y", FEATURES)
        with as_input_error("X or y"):
            X, y = validate_data(estimator, X, y, accept_sparse=["csr", "csc"], **settings)
        _check_kind(y, "y", NUMBERS if is_regressor(estimator) else NUMBERS + TEXTS + OBJECTS)
    _check_kind(X, "X", NUMBERS)  # a table of pandas has only now become an array
    return X if isinstance(y, str) else (X, y)


def _array(a: Any, name: str, kinds: str) -> Any:
    """What was given as an array, unless it is a table, whose columns have names, or sparse."""
    if is_sparse(a):
        check_stored(a, name)
        return a
    check_unmasked(a, name)
    if hasattr(a, "columns") or hasattr(a, "iloc"):  # of pandas, polars, pyarrow
        return a
    try:
        array = a if isinstance(a, np.ndarray) else np.asarray(a)
        if array.dtype.kind == "O" and name == "X" and isinstance(a, (list, tuple)):
            array = array.astype(float)  # None becomes NaN, which scikit-learn reports
    except TypeError as error:
        raise NotNumbersError(f"{name}: {first_line(error)}") from None
    except Exception as error:  # whatever somebody's array-like raises when asked for an array
        raise InputError(f"{name} is no array: {first_line(error)}") from None
    _check_kind(array, name, kinds)
    return array


def _check_kind(a: Array, name: str, kinds: str) -> None:
    """Raise InputError for an array of dates, durations, records, or what else is not wanted."""
    if a.dtype.kind not in kinds:
        wanted = "real numbers" if kinds == NUMBERS else "numbers, texts or objects"
        wanted = "real numbers" if name == "X" else wanted
        raise InputError(f"{name} has dtype {a.dtype}: {wanted} are needed")

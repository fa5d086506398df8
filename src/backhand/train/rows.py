"""Rows to learn from or to judge by, and the checks that they pass before training sees them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import InputError
from ..network import Network
from ..plan.ranges import as_numbers, check_range, place_of, usable_weight
from ..run.namespaces import is_sparse, stored_rows

Array = Any

EVALUATED_AT_ONCE = 4096  # rows; bounds the memory of a pass over a whole data set


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Rows to learn from or to judge by.

    Parameters
    ----------
    x : array or sparse matrix (N, D)
        Inputs. Of a sparse matrix of SciPy's training reads only the stored entries.
    t : array (N, K), (N, 1) or (N,)
        Targets.
    weight : array (N, 1) or (N,), optional
        Sample weights.
    """

    x: Array
    t: Array
    weight: Array | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter((self.x, self.t, self.weight))

    def __len__(self) -> int:
        return int(np.shape(self.t)[0])

    def take(self, which: Array) -> Rows:
        """Some of the rows, copied."""
        weight = None if self.weight is None else self.weight[which]
        return type(self)(self.x[which], self.t[which], weight)


class CheckedRows(Rows):
    """Rows that `checked` has looked at, or the checks of an estimator."""


def checked(network: Network, rows: Rows, what: str) -> CheckedRows:
    """The rows with t as (N, K) and weight as (N, 1). Raises InputError if they do not fit.

    Rows that have been checked are looked at no more; what has happened to their arrays since,
    executors find out.
    """
    if isinstance(rows, CheckedRows):
        return rows
    try:
        x, t, weight = rows
    except (TypeError, ValueError):
        more = ", or what Stream(...).rows(target) gives" if what == "training" else ", in memory"
        raise InputError(f"{what} rows must be Rows(x, t) or Rows(x, t, weight){more}") from None
    x = stored_rows(x) if is_sparse(x) else as_numbers(x, f"{what} x")
    t = as_numbers(t, f"{what} target")
    network.check_x(x)
    count = x.shape[0]
    if count == 0:
        raise InputError(f"no {what} rows: x has shape {x.shape}")
    check_finite(x, what)
    check_range(x, network.dtype, f"{what} x")
    network.check_categories(x)
    t = t[:, None] if t.ndim == 1 else t
    network.check_t(t, count)
    network.check_values(t)
    check_range(t, network.dtype, f"{what} target")
    if weight is not None:
        weight = as_numbers(weight, f"{what} weight")
        weight = weight[:, None] if weight.ndim == 1 else weight
        network.check_weight(weight, count)
        weight, _ = usable_weight(weight, network.dtype, f"{what} weight")
    return CheckedRows(x, t, weight)


def parts(x: Array) -> Iterator[tuple[slice, Array]]:
    """Parts of the rows of x, dense or CSR, small enough to bound what is computed from them."""
    for first in range(0, x.shape[0], EVALUATED_AT_ONCE):
        some = slice(first, first + EVALUATED_AT_ONCE)
        yield some, x[some]


def check_finite(x: Array, what: str) -> None:
    """Raise InputError at the first NaN or infinity, naming its row and column."""
    if x.dtype.kind != "f":
        return
    for some, part in parts(x):
        stored = part.data if is_sparse(part) else part
        finite = np.isfinite(stored)
        if not finite.all():
            bad = int(np.flatnonzero(~finite)[0])
            row, column = place_of(part, bad)
            raise InputError(
                f"{what} x[{some.start + row}, {column}] is {stored.flat[bad]}: "
                "every feature must be finite"
            )

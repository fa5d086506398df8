"""Rows of a streamed table as a plain network takes them: numbers as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.datasets.source import Source, named
from backhand.errors import InputError
from backhand.preprocess import arrow, cells
from backhand.preprocess.readings import Reading
from backhand.train.rows import Rows

OR_ELSE = "or fit a TabularClassifier or a TabularRegressor, which take it"

HELD = {
    "unusable": "what is neither numbers nor booleans",
    "empty": "no values in a sample",
    "text": "text, or integers of 2**53 and more",
    "date": "dates",
}
"""For each kind of reading that is not taken: what such a column holds."""


def plain_rows(
    source: Source, target: str, regression: bool
) -> Callable[[np.random.Generator | None], Iterator[Rows]]:
    """What makes rows of a source, from a generator of random numbers: as `RereadRows` takes it.

    Raises
    ------
    InputError
        If a column holds neither numbers nor booleans. What is made raises it for values that are
        missing or too large, and for a target that is no class, unless it is a regression's.
    """
    source.check_there([target])
    sample, names = source.sample(), [name for name in source.names if name != target]
    if not names:
        raise InputError(f"there is no column besides the target {target!r}")
    readings = {name: cells.look(sample, name) for name in (*names, target)}
    for name, reading in readings.items():
        if reading.kind not in ("number", "boolean"):
            what = "write the classes as 0, 1, ..." if name == target else "leave it out"
            raise InputError(
                f"column {name!r} holds {HELD[reading.kind]}, and a plain network takes numbers: "
                f"{what}, {OR_ELSE}"
            )

    def make(rng: np.random.Generator | None) -> Iterator[Rows]:
        for table, _, where in source.batches(rng, [*names, target]):
            with named(where):
                x = np.empty((len(table), len(names)), np.float32)
                for place, name in enumerate(names):
                    values = _known(table, name, readings[name])
                    large = np.abs(values) > np.finfo(np.float32).max
                    _refuse(table, name, values, large, "is more than float32 holds")
                    x[:, place] = values
                t = _known(table, target, readings[target])
                if not regression:
                    odd = (t != np.floor(t)) | (t < 0) | (t >= cells.LARGEST_EXACT)
                    _refuse(table, target, t, odd, "is no class; regression=True takes any number")
                    t = t.astype(np.int64)
            yield Rows(x, t)

    return make


def _known(table: Any, name: str, reading: Reading) -> NDArray[np.float64]:
    """The numbers of a column, booleans as 0 and 1. Raises InputError where one is missing."""
    if reading.kind == "boolean":
        import pyarrow as pa
        import pyarrow.compute as pc

        said = cells.categories(table, name, reading)
        places = pc.index_in(said, value_set=pa.array(["false", "true"]))
        values = np.asarray(places.cast(pa.float64()).to_numpy(zero_copy_only=False))
    else:
        values = cells.numbers(table, name, reading, strays="raise")
    missing = np.isnan(values)
    if missing.any():
        row = arrow.row_number(table, int(np.argmax(missing)))
        raise InputError(
            f"column {name!r}, row {row}: has no value, and a plain network needs one: leave such "
            f"rows out before, {OR_ELSE}"
        )
    return values


def _refuse(
    table: Any, name: str, values: NDArray[np.float64], bad: NDArray[np.bool_], why: str
) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        row = arrow.row_number(table, first)
        raise InputError(f"column {name!r}, row {row}: {values[first]:g} {why}")

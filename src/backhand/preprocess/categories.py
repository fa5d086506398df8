"""Columns of categories: text, and true or false.

============================ ====================================== =============================
training rows have           it becomes                             a missing value
============================ ====================================== =============================
two values                   -1 and 1                               0 and an indicator
3 to 8 values                one-hot, robustly scaled               off, and an indicator
9 values and more            a code, to be embedded                 a code of its own
the same, not to be embedded one-hot of the most frequent           off, and an indicator
============================ ====================================== =============================

Values that fewer rows have than `rare_below` says are pooled into one, "other", so that a value
that no training row has finds weights that were trained. Where too few rows have one to pool, such
a value is the mean of what the training rows have (or code 0 with a frequency of 0, whose weights
the network must see to). So is a missing value where hardly any training row misses one.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backhand.errors import InputError, count
from backhand.formulas import columns
from backhand.formulas.columns import MISSING, OTHER
from backhand.preprocess import cells
from backhand.preprocess.cells import Strays
from backhand.preprocess.checks import flag, natural, positive_int, text
from backhand.preprocess.encoder import Check, Encoder, Part, Slot, Slots, rare_below, tuple_of
from backhand.preprocess.readings import Reading
from backhand.preprocess.scaling import levels

FEW = 8
"""The most values that become one-hot; more are embedded. As RealMLP."""

MOST_ONE_HOT = 256
"""The most values that become one-hot where nothing is embedded."""

MOST_SHOWN = 10


def scaled_levels(ones: int, rows: int, known: int) -> tuple[float, float, float]:
    """Return what 0 and 1 become in a column that has ``ones`` ones in ``rows`` rows, and their
    mean in the ``known`` rows that have a value."""
    off, on = levels(ones, rows)
    return off, on, off + ones / known * (on - off)


@dataclass(frozen=True)
class CategoryColumn(Encoder):
    """Categories.

    Attributes
    ----------
    values : tuple of str
        Those that stand for themselves, sorted.
    counts : tuple of int
        Training rows with each.
    pooled : int
        Training rows with other values.
    embedded : bool
    """

    kind = "category"
    checks: ClassVar[dict[str, Check]] = {
        "values": tuple_of(text),
        "counts": tuple_of(positive_int),
        "pooled": natural,
        "embedded": flag,
    }

    values: tuple[str, ...]
    counts: tuple[int, ...]
    pooled: int
    embedded: bool

    @property
    def has_other(self) -> bool:
        """Whether what is rare is pooled, and what no training row has with it."""
        return bool(self.pooled >= rare_below(self.rows))

    @property
    def _slots(self) -> list[str]:
        """The values, and what rare ones are pooled into."""
        return [*self.values, *(["other"] if self.has_other else [])]

    @property
    def _ones(self) -> list[int]:
        """Training rows with each of the slots."""
        return [*self.counts, *([self.pooled] if self.has_other else [])]

    @property
    def indicators(self) -> list[str]:
        if self.embedded:
            return []
        names = [f"{self.name} = {slot}" for slot in self._slots]
        if len(names) <= 2:
            names = names[1:]  # of two, one; a single one is there wherever it is not missing
        return names + super().indicators

    @property
    def frequencies(self) -> tuple[int, ...]:
        if not self.embedded:
            return ()
        other = self.pooled if self.has_other else 0
        return (other, *self.counts, *((self.missing,) if self.has_gap else ()))

    @property
    def becomes(self) -> str:
        slots = len(self._slots)
        if self.embedded:
            return f"embedding of {slots} values"
        return {1: "whether it is missing", 2: "-1 or 1"}.get(slots, f"one-hot of {slots} values")

    @property
    def summary(self) -> str:
        most = sorted(zip(self.counts, self.values, strict=True), key=lambda pair: -pair[0])
        shown = ", ".join(value for _, value in most[:MOST_SHOWN])
        more = len(most) - MOST_SHOWN
        rare = f"{', and ' if most else ''}{count(self.pooled, 'row')} with rare ones"
        return shown + (f" and {more} more" if more > 0 else "") + (rare if self.pooled else "")

    @functools.cached_property
    def slots(self) -> Slots:
        if self.embedded:
            absent = len(self.values) + 1 if self.has_gap else 0
            return Slots([], [], [Slot(columns.code, (float(absent),))])
        ones = self._ones
        known = sum(ones)
        scaled = [scaled_levels(n, self.rows, known) for n in ones]
        if len(ones) <= 2:  # of two, one
            scaled = [(-1.0, 1.0, (ones[1] - ones[0]) / known)] if len(ones) == 2 else []
        places = [*range(len(self.values)), OTHER][len(ones) - len(scaled) :]
        found = []
        for place, (off, on, mean) in zip(places, scaled, strict=False):
            absent_is = (0.0 if len(ones) == 2 else off) if self.has_gap else mean
            other = off if self.has_other else mean
            found.append(Slot(columns.one_hot, (float(place), off, on, other, absent_is)))
        return Slots([], found + self.gap_slots, [])

    def read(
        self, table: Any, chosen: NDArray[Any] | None, strays: Strays
    ) -> tuple[NDArray[np.float64], list[str]]:
        import pyarrow as pa
        import pyarrow.compute as pc

        found, which = cells.coded_categories(table, self.name, self.reading)
        if which is None:
            found = found if chosen is None else found.take(pa.array(chosen))
            which = np.arange(len(found))
        elif chosen is not None:
            which = which[chosen]
        place = pc.index_in(found, value_set=pa.array(self.values, type=pa.string()))
        places = np.asarray(pc.fill_null(place, OTHER)).astype(np.float64)
        places[np.asarray(pc.is_null(found))] = MISSING
        places = places[which]
        other = places == OTHER
        if not other.any():
            return places, []
        strange = found.take(pa.array(which[other]))
        return places, self._unseen(strange, int((places != MISSING).sum()))

    @functools.cached_property
    def _rows(self) -> Part:
        """What becomes of each place, from `MISSING` on."""
        every = np.arange(MISSING, len(self.values), dtype=np.float64)
        rows = Part(*(np.empty((len(every), len(slots)), np.float32) for slots in self.slots))
        super().write(every, rows)
        return rows

    def write(self, values: NDArray[np.float64], x: Part) -> None:
        which = (values - MISSING).astype(np.intp)
        for out, rows in zip(x, self._rows, strict=True):
            if out.shape[1]:
                out[:] = rows[which]

    def _unseen(self, strange: Any, known: int) -> list[str]:
        """Tell of values that no training row has, as far as they differ from rare ones.

        ``known`` counts the rows that have a value.
        """
        values = strange.unique()
        rare = " or too rare there" if self.pooled else ""
        some = f"{values[0].as_py()!r}{', ...' if len(values) > 1 else ''}"
        if 1 < len(strange) == known:
            none = f"none of its {known:,} values was seen in training{rare} ({some})"
            return [f"column {self.name!r}: {none}"]
        if self.has_other:
            return []  # that is what the pool is for
        told = f"{count(len(values), 'value')} not seen in training{rare} ({some})"
        return [f"column {self.name!r}: {told}, in {count(len(strange), 'row')}"]

    def check(self, where: str) -> None:
        if len(set(self.values)) < len(self.values):
            raise InputError(f"{where}: a value is there twice")
        if len(self.values) != len(self.counts):
            raise InputError(f"{where}: {len(self.values)} values and {len(self.counts)} counts")
        if sum(self.counts) + self.pooled + self.missing != self.rows:
            raise InputError(f"{where}: the counts are not of {self.rows} rows")
        if len(self._slots) + self.has_gap < 2:
            raise InputError(f"{where}: values must be two or more")
        if self.reading.kind == "boolean" and not set(self.values) <= {"false", "true"}:
            raise InputError(f"{where}: values of a boolean are 'false' and 'true'")


class CategoryStatistics(NamedTuple):
    """What the encoder of a column of categories is fitted to.

    Attributes
    ----------
    rows, missing : int
    counts : dict of str to int
        Rows with each value; of a column with very many, those of the frequent ones.
    distinct : int
        How many values there are.
    identifier : str or None
        Why they tell rows apart and say nothing of them, if they do.
    """

    rows: int
    missing: int
    counts: Mapping[str, int]
    distinct: int
    identifier: str | None = None

    @classmethod
    def of(cls, found: Any, identifier: str | None = None) -> CategoryStatistics:
        """Those of a pyarrow.StringArray, null where missing."""
        counts = counted(found)
        return cls(len(found), found.null_count, counts, len(counts), identifier)


def counted(found: Any) -> dict[str, int]:
    """Return how many rows of a pyarrow.StringArray have each of its values."""
    import pyarrow.compute as pc

    pairs = pc.value_counts(found.drop_null())
    return dict(
        zip(pairs.field("values").to_pylist(), pairs.field("counts").to_pylist(), strict=True)
    )


def fit_categories(
    name: str, reading: Reading, found: CategoryStatistics, embed: bool
) -> CategoryColumn | str:
    """Return the encoder of training rows, or why there is none.

    ``embed`` says whether many values become a code, to be embedded.
    """
    rows, missing = found.rows, found.missing
    if missing == rows:
        return "no value in the training rows"
    if found.identifier is not None:
        return found.identifier
    rare = rare_below(rows)
    if found.distinct == 1 and missing < rare:
        return "constant in the training rows"
    kept = sorted((n, value) for value, n in found.counts.items() if n >= rare)
    if not embed:
        kept = kept[-MOST_ONE_HOT:]
    pooled = rows - missing - sum(n for n, _ in kept)
    slots = len(kept) + (pooled >= rare)
    if slots + (missing >= rare) < 2:
        return "nearly constant in the training rows" if kept else "hardly any value is there often"
    by_name = sorted((value, n) for n, value in kept)
    return CategoryColumn(
        name,
        reading,
        rows,
        missing,
        tuple(value for value, _ in by_name),
        tuple(n for _, n in by_name),
        pooled,
        embed and slots > FEW,
    )

"""What is kept of a column that memory does not hold: quantiles, frequent values, distinct ones.

=============== ========================================= ====================================
of what         kept                                      error
=============== ========================================= ====================================
quantiles       `KEPT` values at the top level of KLL,    a rank is off by less than 0.1 % of
                and the `EXTREMES` least and most         the rows, and of extremes not at all
counts of texts those of the frequent texts, `FREQUENT`   low by less than rows / `FREQUENT`
                at least
distinct values those of least hash, `HASHED` of them     3 % in 19 cases of 20
=============== ========================================= ====================================

All of them are exact as long as a column has no more values than are kept. They follow from the
rows and their order alone, so the same source gives the same bits.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backhand.preprocess.distribution import Distribution

KEPT = 8192
"""Values at the top level of `Quantiles`; a column takes about 25 times as many bytes."""

EXTREMES = 4096
"""Least and most values that are kept as they are, since tails are fitted to them."""

SHRINKS = 2 / 3
"""Capacity of a level, as a share of the level's above it. As Karnin, Lang, Liberty 2016."""

FREQUENT = 1 << 16
"""Distinct texts that are counted, at least; twice as many before the rarest are left out."""

HASHED = 4096
"""Distinct values that are kept to estimate how many there are."""


class Quantiles:
    """The distribution of numbers that come a few at a time: KLL, and exact extremes.

    A level holds values that stand for two to its power rows each. One that is full is sorted, and
    every other value goes up; which half that is, a generator with a fixed seed decides.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._levels: list[list[NDArray[np.float64]]] = [[]]
        self._low = self._high = np.empty(0)
        self._rng = np.random.default_rng(0)

    def add(self, values: NDArray[np.float64]) -> None:
        """Take in some values (N,), all finite."""
        if not len(values):
            return
        self.rows += len(values)
        self._low = _least(self._low, values)
        self._high = -_least(-self._high, -values)
        self._levels[0].append(np.array(values, np.float64))
        self._compress_all()

    def merge(self, other: Quantiles) -> None:
        """Take in what is kept of other values, which stand behind these."""
        self.rows += other.rows
        self._low = _least(self._low, other._low)
        self._high = -_least(-self._high, -other._high)
        self._levels += [[] for _ in range(len(other._levels) - len(self._levels))]
        for mine, theirs in zip(self._levels, other._levels, strict=False):
            mine += theirs
        self._compress_all()

    def _compress_all(self) -> None:
        level = 0
        while level < len(self._levels):
            self._compress(level)
            level += 1

    def _compress(self, level: int) -> None:
        held = self._levels[level]
        most = max(2, round(KEPT * SHRINKS ** (len(self._levels) - 1 - level)))
        if sum(map(len, held)) <= most:
            return
        whole = np.sort(np.concatenate(held))
        even = len(whole) // 2 * 2
        # an odd one stays where it is
        self._levels[level] = [whole[even:]]
        if level + 1 == len(self._levels):
            self._levels.append([])
        self._levels[level + 1].append(whole[int(self._rng.integers(2)) : even : 2])

    def distribution(self) -> Distribution:
        """What is known of all values, at least one."""
        if len(self._levels) == 1:
            return Distribution(np.concatenate(self._levels[0]))
        low, high = np.sort(self._low), np.sort(self._high)
        values = np.concatenate([a for held in self._levels for a in held])
        counts = [sum(map(len, held)) for held in self._levels]
        weights = np.repeat(2.0 ** np.arange(len(counts)), counts)
        inner = self.rows - len(low) - len(high)
        order = np.argsort(values, kind="stable")
        values, weights = values[order], weights[order]
        # what remains of each value's rows between the extremes
        ends = np.cumsum(weights) * (self.rows / weights.sum())
        starts = np.concatenate([[0.0], ends[:-1]])
        bounds = len(low), len(low) + inner
        kept = np.clip(ends, *bounds) - np.clip(starts, *bounds)
        values = np.clip(values, low[-1], high[0])
        return Distribution(
            np.concatenate([low, values, high]),
            np.concatenate([np.ones(len(low)), kept, np.ones(len(high))]),
        )


def _least(kept: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The `EXTREMES` least of both."""
    if len(kept) == EXTREMES:
        values = values[values < kept.max()]
    both = np.concatenate([kept, values])
    return both if len(both) <= EXTREMES else np.partition(both, EXTREMES - 1)[:EXTREMES]


class Counts:
    """How often each text is there: the frequent ones, by Misra and Gries 1982."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._distinct: Distinct | None = None

    def add(self, counted: Mapping[str, int]) -> None:
        """Take in how many of some rows have each text."""
        for text, number in counted.items():
            self._counts[text] = self._counts.get(text, 0) + number
        if self._distinct is not None:
            self._distinct.add_texts(counted)
        self._bound()

    def merge(self, other: Counts) -> None:
        """Take in what is kept of other rows, as Agarwal et al. 2012, "Mergeable summaries"."""
        if other._distinct is not None and self._distinct is None:
            self._distinct = Distinct()
            self._distinct.add_texts(self._counts)
        if other._distinct is not None and self._distinct is not None:
            self._distinct.merge(other._distinct)
        elif self._distinct is not None:
            self._distinct.add_texts(other._counts)
        for text, number in other._counts.items():
            self._counts[text] = self._counts.get(text, 0) + number
        self._bound()

    def _bound(self) -> None:
        """Keep the frequent ones, if there are too many."""
        if len(self._counts) > 2 * FREQUENT:
            if self._distinct is None:
                self._distinct = Distinct()
                self._distinct.add_texts(self._counts)
            self._shorten()

    def _shorten(self) -> None:
        """Keep the most frequent, less what the first of the others has."""
        every = np.array([*self._counts.values()])
        less = int(np.partition(every, len(every) - 1 - FREQUENT)[len(every) - 1 - FREQUENT])
        self._counts = {text: n - less for text, n in self._counts.items() if n > less}

    @property
    def counts(self) -> dict[str, int]:
        """Rows with each text, at least."""
        return self._counts

    @property
    def distinct(self) -> int:
        """How many texts there are."""
        return len(self._counts) if self._distinct is None else self._distinct.estimate


class Distinct:
    """How many values differ: those of least hash, with their numbers (Bar-Yossef et al. 2002)."""

    def __init__(self) -> None:
        self._hashes = np.empty(0, np.uint64)
        self._counts = np.empty(0, np.int64)

    def add_numbers(self, values: NDArray[np.float64]) -> None:
        """Take in some numbers (N,)."""
        bits = np.where(values == 0, 0.0, values).view(np.uint64)  # -0.0 is 0.0
        self._add(mixed(bits), np.ones(len(values), np.int64))

    def add_texts(self, counted: Mapping[str, int]) -> None:
        """Take in how many of some rows have each text."""
        keys = [zlib.crc32(text.encode()) << 32 | zlib.adler32(text.encode()) for text in counted]
        self._add(mixed(np.array(keys, np.uint64)), np.array([*counted.values()], np.int64))

    def merge(self, other: Distinct) -> None:
        """Take in what is kept of other values."""
        self._add(other._hashes, other._counts)

    def _add(self, hashes: NDArray[np.uint64], counts: NDArray[np.int64]) -> None:
        if len(self._hashes) == HASHED:
            near = hashes <= self._hashes[-1]
            hashes, counts = hashes[near], counts[near]
        found, place = np.unique(np.concatenate([self._hashes, hashes]), return_inverse=True)
        totals = np.bincount(place, np.concatenate([self._counts, counts]))
        self._hashes, self._counts = found[:HASHED], totals[:HASHED].astype(np.int64)

    @property
    def estimate(self) -> int:
        """How many values differ, about."""
        if len(self._hashes) < HASHED:
            return len(self._hashes)
        return round((HASHED - 1) / (float(self._hashes[-1]) / 2.0**64))

    @property
    def all_differ(self) -> bool:
        """Whether none of the values that are kept was there twice."""
        return bool((self._counts == 1).all())


def mixed(bits: Any) -> Any:
    """Words of 64 bits, mixed well (Steele, Lea, Flood 2014, SplitMix64)."""
    z = bits + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))

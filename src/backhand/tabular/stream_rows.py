"""Rows of a stream: with their targets, prepared, and with scaled targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..datasets.source import named
from ..datasets.stream import Stream, TargetColumn
from ..errors import InputError
from ..preprocess import arrow, cells
from ..preprocess.preparation import TablePreparation
from ..preprocess.sketches import mixed
from ..train.blocks import Blocks
from ..train.rows import CheckedRows, Rows
from .targets import TargetScale

Array = Any

VALIDATION, SAMPLED = 1, 2
"""What rows are drawn for by their numbers, each time the same ones."""


class Labelled(NamedTuple):
    """Some rows of a stream that have a target.

    Attributes
    ----------
    table : pyarrow.Table
    numbers : array of int (N,)
        Their numbers in the stream.
    y : array (N,)
        Labels, or values.
    weight : array of float64 (N,), or None
        Over 0.
    where : str
        The file that they come from.
    """

    table: Any
    numbers: Array
    y: Array
    weight: Array | None
    where: str


@dataclasses.dataclass
class LabelledStream:
    """A stream with its target, and with weights if it has some.

    Attributes
    ----------
    stream : Stream
    target : str
    regression : bool
    weight : str or None
        The column of weights.
    left_out, strays : int
        Rows without a target, in the last pass, and how many of them have something else there.
    stray : str
        The first of these, and its file.
    """

    stream: Stream
    target: str
    regression: bool
    weight: str | None = None
    left_out: int = 0
    strays: int = 0
    stray: str = ""

    def __post_init__(self) -> None:
        source = self.stream.source
        if self.weight == self.target:
            raise InputError(f"column {self.target!r} is the target, and cannot be the weights too")
        source.check_there([name for name in (self.target, self.weight) if name is not None])
        self.sample = source.sample()
        self._column = TargetColumn(source, self.sample, self.target, self.regression)

    @property
    def names(self) -> list[str]:
        """The columns that may be features."""
        return [n for n in self.stream.source.names if n not in (self.target, self.weight)]

    def rows(
        self, rng: np.random.Generator | None = None, features: list[str] | None = None
    ) -> Iterator[Labelled]:
        """All rows that have a target, in one pass."""
        needed = [*(self.names if features is None else features), self.target]
        if self.weight is not None:
            needed.append(self.weight)
        self.left_out = self.strays = 0
        for table, numbers, where in self.stream.source.batches(rng, needed):
            with named(where):
                y, known = self._column.read(table)
                weight = self._weights(table)
                strays, first = self._column.strays(table, known)
            if strays and not self.strays:
                self.stray = f"{first!r} in {where}"
            self.strays += strays
            self.left_out += len(known) - len(y)
            if weight is not None:
                y, known = y[weight[known] > 0], known & (weight > 0)
                weight = weight[known]
            if not known.all():
                table, numbers = arrow.kept(table, known), numbers[known]
            if len(y):
                yield Labelled(table, numbers, y, weight, where)

    def _weights(self, table: Any) -> Array | None:
        if self.weight is None:
            return None
        found = cells.numbers(table, self.weight, strays="raise")
        bad = np.flatnonzero(~(found >= 0))
        if bad.size:
            raise InputError(
                f"column {self.weight!r}: a weight is {found[bad[0]]:g}; all must be at least 0"
            )
        return found


@dataclasses.dataclass
class Preparing:
    """Turns a stream's rows into a network's, and says which of them are held out."""

    labelled: LabelledStream
    preparation: TablePreparation
    classes: Array | None
    factors: Array | None
    mean_weight: float
    held_out_share: float
    last_from: float

    def pieces(
        self, rng: np.random.Generator | None, of: Sequence[bool] = (False, True)
    ) -> Iterator[tuple[Rows, Array, bool]]:
        """Prepared rows, their numbers, and whether they are held out."""
        for some in self.labelled.rows(rng, self.preparation.columns):
            which = self.is_held_out(some.numbers)
            for held_out in of:
                rows = np.flatnonzero(which == held_out)
                if len(rows):
                    yield self._rows(some, rows), some.numbers[rows], held_out

    def learned(self, rng: np.random.Generator | None) -> Iterator[Rows]:
        """Prepared rows that are not held out."""
        for rows, _, _ in self.pieces(rng, [False]):
            yield rows

    def is_held_out(self, numbers: Array) -> Array:
        """Which rows are held out, by their numbers."""
        if self.last_from < np.inf:
            return numbers >= self.last_from
        return drawn(numbers, self.held_out_share, VALIDATION)

    def _rows(self, some: Labelled, rows: Array) -> Rows:
        with named(some.where):
            x = self.preparation.apply(
                some.table, None if len(rows) == len(some.y) else rows, warn=False
            )
        y = some.y[rows]
        if self.classes is not None:
            places = np.searchsorted(self.classes, y).clip(max=len(self.classes) - 1)
            if (self.classes[places] != y).any():
                strange = y[self.classes[places] != y][0]
                raise InputError(
                    f"{some.where}: target column {self.labelled.target!r} has the class "
                    f"{strange!r}, which no row to learn from has"
                )
            y = places.astype(np.int64)
        factor = None if self.factors is None else self.factors[y]
        weight = None if some.weight is None else some.weight[rows] / self.mean_weight
        if factor is not None:
            weight = factor if weight is None else weight * factor
        weight = None if weight is None else weight.astype(np.float32)[:, None]
        return CheckedRows(x, y[:, None], weight)


def drawn(numbers: Array, share: float, purpose: int) -> Array:
    """Which rows a share of them is, by their numbers: always the same, from all over."""
    salted = numbers.astype(np.uint64) + np.uint64(purpose << 56)
    return mixed(salted) < np.uint64(min(share * 2.0**64, 2.0**64 - 2048))


class Encoded(Blocks):
    """Blocks whose targets are scaled.

    Parameters
    ----------
    blocks : Blocks
    scale : TargetScale
    """

    def __init__(self, blocks: Blocks, scale: TargetScale) -> None:
        super().__init__(len(blocks), blocks.row_bytes, blocks.window)
        self._blocks, self._scale = blocks, scale

    def pieces(self, rng: np.random.Generator | None) -> Iterator[Rows]:
        for rows in self._blocks.pieces(rng):
            yield CheckedRows(rows.x, self._scale.encode(rows.t[:, 0]), rows.weight)

"""All rows of a table prepared, once: kept on the disk if there is room, or to be read again."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..datasets.source import named
from ..datasets.stream import Stream
from ..errors import InputError
from ..preprocess.preparation import TablePreparation
from ..train.blocks import Blocks, RereadRows, ahead
from ..train.rows import CheckedRows, Rows
from ..train.stored import StoredRows
from .checkpoints import FitCheckpoint
from .network import QUANTILED, code_counts
from .stream_rows import SAMPLED, LabelledStream, Preparing, drawn

Array = Any

MOST_GIVEN = 1_000_000
"""Validation rows that somebody may give."""


class SecondPass(NamedTuple):
    """What is found when all rows are prepared.

    Attributes
    ----------
    learned : Blocks
        What is learned from.
    some_x : array of float32 (M, D)
        Some of it.
    counts : list of array of int
        `code_counts` of all of it.
    held_out : Rows
    numbers : array of int
        Of the held-out rows.
    """

    learned: Blocks
    some_x: Array
    counts: list[Array]
    held_out: Rows
    numbers: Array


def _are_kept(stream: Stream, needed: int, checkpoint: FitCheckpoint | None) -> bool:
    """Whether rows of so many bytes are kept on the disk: as it was when the fit began."""
    fit = needed <= stream.disk_bytes
    kept = fit if checkpoint is None else checkpoint.recorded.get("kept", fit)
    if kept and not fit:
        assert checkpoint is not None
        raise InputError(
            f"checkpoint {checkpoint.path}: its fit kept {needed:,} bytes of rows on the disk, and "
            f"now they may take {stream.disk_bytes:,}: make room, name another folder as scratch, "
            "or allow more with disk"
        )
    return bool(kept)


def second_pass(
    preparing: Preparing,
    rows: int,
    stack: contextlib.ExitStack,
    checkpoint: FitCheckpoint | None,
) -> SecondPass:
    """Prepare all rows once; they are on the disk, if there is room, until the stack is left."""
    stream, preparation = preparing.labelled.stream, preparing.preparation
    weighted = preparing.labelled.weight is not None or preparing.factors is not None
    row_bytes = 4 * preparation.width + 8 + 4 * weighted
    kept = None
    if _are_kept(stream, rows * row_bytes, checkpoint):
        kept = stack.enter_context(StoredRows(stream.scratch, stream.window_bytes))
    found = prepared(preparing, rows, None if kept is None else kept.add)
    if not found.rows:
        raise InputError(f"no row is left to learn from: all {rows} are held out")
    make, window = preparing.learned, stream.window_bytes
    blocks: Blocks = kept or RereadRows(make, found.rows, row_bytes, window)
    judged, numbers = in_memory(preparing, found.held_out)
    return SecondPass(blocks, np.concatenate(found.some), found.counts, judged, numbers)


class Prepared(NamedTuple):
    """What is kept of rows that were prepared.

    Attributes
    ----------
    rows : int
        How many are learned from.
    some : list of array
        Inputs of some of these.
    counts : list of array
    held_out : list of (Rows, array)
        With the numbers of the rows.
    """

    rows: int
    some: list[Array]
    counts: list[Array]
    held_out: list[tuple[Rows, Array]]


def prepared(preparing: Preparing, rows: int, keep: Callable[[Rows], None] | None) -> Prepared:
    """Prepare all rows of a stream, of a table of so many rows; ``keep`` gets what is learned."""
    preparation = preparing.preparation
    some, counts, learned = [], no_counts(preparation), 0
    held_out: list[tuple[Rows, Array]] = []
    with ahead(preparing.pieces(None)) as found:
        for piece, numbers, is_held_out in found:
            if is_held_out:
                held_out.append((piece, numbers))
                continue
            learned += len(piece)
            some.append(piece.x[drawn(numbers, QUANTILED / rows, SAMPLED)])
            new = code_counts(preparation, piece.x)
            counts = [a + b for a, b in zip(counts, new, strict=True)]
            if keep is not None:
                keep(piece)
    return Prepared(learned, some, counts, held_out)


def no_counts(preparation: TablePreparation) -> list[Array]:
    return [np.zeros(len(known), np.int64) for known in preparation.frequencies]


def in_memory(preparing: Preparing, parts: Sequence[tuple[Rows, Array]]) -> tuple[Rows, Array]:
    """Parts of rows as one, with the numbers of the rows."""
    if not parts:
        kind = np.float64 if preparing.classes is None else np.int64
        empty = np.zeros((0, preparing.preparation.width), np.float32)
        return CheckedRows(empty, np.zeros((0, 1), kind)), np.zeros(0, np.int64)
    rows = [part for part, _ in parts]
    weight = None if rows[0].weight is None else np.concatenate([r.weight for r in rows])
    x, t = (np.concatenate([getattr(r, name) for r in rows]) for name in ("x", "t"))
    return CheckedRows(x, t, weight), np.concatenate([numbers for _, numbers in parts])


def validation_rows(preparing: Preparing, other: LabelledStream) -> tuple[Rows, Array]:
    """All rows of a stream of validation rows."""
    with named("X_val"):
        other.stream.source.check_there(preparing.preparation.columns)
    found: list[tuple[Rows, Array]] = []
    every = dataclasses.replace(preparing, labelled=other, held_out_share=0.0, last_from=np.inf)
    with ahead(every.pieces(None)) as parts:
        for piece, numbers, _ in parts:
            found.append((piece, numbers))
            if sum(len(rows) for rows, _ in found) > MOST_GIVEN:
                raise InputError(
                    f"X_val has more than {MOST_GIVEN:,} rows, which are kept in memory: give fewer"
                )
    if not found:
        raise InputError("X_val has no rows with a target")
    return in_memory(preparing, found)

"""From a table that is read while it is learned from to a `TableModel`.

A first pass takes the statistics of all columns, a second one prepares the rows and keeps them on
the disk if there is room; then networks are trained as on a table in memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..datasets.stream import MOST_CLASSES, Stream
from ..errors import InputError, count
from ..estimators.weighing import weights_of_classes
from ..preprocess.distribution import Distribution
from ..preprocess.gathering import Gathering
from ..preprocess.preparation import TablePreparation
from ..preprocess.sketches import Quantiles
from ..train.blocks import Blocks, RereadRows, ahead
from ..train.rows import CheckedRows, Rows
from ..train.shards import Shards
from ..train.stored import StoredRows
from .checkpoints import FitCheckpoint
from .fitting import FEWEST_FOLDED, Fitted, Settings, deadline_of, has_threshold, trained
from .metrics import metric_of
from .network import QUANTILED, code_counts
from .stream_rows import SAMPLED, Encoded, LabelledStream, Preparing, drawn, named
from .targets import TargetScale
from .training import SAMPLE, Task, some_of

Array = Any

MOST_VALIDATED = 200_000
"""Validation rows of a stream: they are in memory, and more would tell little more."""

MOST_GIVEN = 1_000_000
"""Validation rows that somebody may give."""


class FirstPass:
    """What is known of a stream after it has been read once, or of a part of a table.

    Attributes
    ----------
    rows : int
        With a target.
    left_out : int
        Without one.
    furthest : int
        The largest number of a row.
    lengths : list of int
        All rows of each part that was merged.
    labels : dict of label to int
        Rows of each class.
    weight : float
        The sum of all.
    """

    def __init__(self, labelled: LabelledStream) -> None:
        skip = [labelled.target, *([labelled.weight] if labelled.weight else [])]
        self.gathering = Gathering(labelled.sample, skip)
        self.rows, self.furthest = 0, 0
        self.labels: dict[Any, int] = {}
        self._target, self._values = labelled.target, Quantiles()
        self._y: Distribution | None = None
        self.weight = 0.0
        with ahead(labelled.rows()) as found:
            for some in found:
                with named(some.where):
                    self.gathering.add(some.table, some.numbers)
                    if labelled.regression:
                        _check_values(some.y, labelled.target)
                        self._values.add(some.y)
                    else:
                        self._count(zip(*np.unique(some.y, return_counts=True), strict=True))
                self.rows += len(some.y)
                self.furthest = max(self.furthest, int(some.numbers.max()))
                self.weight += len(some.y) if some.weight is None else float(some.weight.sum())
        self.left_out = labelled.left_out
        self.lengths = [labelled.stream.source.length or 0]

    def merge(self, other: FirstPass) -> None:
        """Take in what is known of the next part of a table; both know the lengths of theirs."""
        before = sum(self.lengths)
        self.gathering.merge(other.gathering, before)
        self._values.merge(other._values)
        self._count(other.labels.items())
        self.rows += other.rows
        self.left_out += other.left_out
        self.furthest = max(self.furthest, before + other.furthest)
        self.weight += other.weight
        self.lengths += other.lengths

    def check(self) -> None:
        """Raise InputError if there are too few rows."""
        if self.rows < FEWEST_FOLDED:
            raise InputError(
                f"target column {self._target!r}: {count(self.rows, 'row')} with a target; "
                f"{FEWEST_FOLDED} are needed"
            )

    @property
    def y(self) -> Distribution | None:
        """Of a regression's targets."""
        if self._y is None and self._values.rows:
            self._y = self._values.distribution()
        return self._y

    def _count(self, counted: Iterable[tuple[Any, Any]]) -> None:
        for label, number in counted:
            self.labels[label] = self.labels.get(label, 0) + int(number)
        if len(self.labels) > MOST_CLASSES:
            raise InputError(
                f"target column {self._target!r} has more than {MOST_CLASSES:,} distinct values, "
                "too many for classes; TabularRegressor learns numbers"
            )


def _check_values(y: Array, target: str) -> None:
    if not np.isfinite(y).all():
        raise InputError(f"target column {target!r} has an infinite value; leave such rows out")


@dataclasses.dataclass(frozen=True)
class StreamedTask(Task):
    """As `Task`, whose rows are those that are held out; what is learned from comes in blocks.

    Attributes
    ----------
    some_x : array of float32 (M, D)
        Some of the rows that are learned from.
    counts : list of array of int
        `code_counts` of all of these.
    targets : Distribution or None
        Of a regression.
    """

    some_x: Array = None
    counts: Any = ()
    targets: Distribution | None = None

    @property
    def sample(self) -> Array:
        return self.some_x

    def scale(self, log: bool) -> TargetScale:
        assert self.targets is not None
        return TargetScale.of(self.targets.values, log, self.targets.weights)

    def start(self, rows: Any, seed: int) -> Array:
        return self.some_x[some_of(len(self.some_x), SAMPLE, seed)]

    def code_counts(self, rows: Any) -> list[Array]:
        return [*self.counts]

    def shortened(self, rows: Any, most: int, shuffled: bool, seed: int) -> Any:
        return rows.first(most)

    def arrays(self) -> dict[str, Array]:
        more = {f"counts {place}": a for place, a in enumerate(self.counts)}
        if self.targets is not None:
            more |= {"targets": self.targets.values, "their weights": self.targets.weights}
        return {**super().arrays(), "some_x": self.some_x, **more}

    def described(self) -> dict[str, Any]:
        learned: Any = self.folds[0][0]
        return {**learned.described(), **super().described()}

    def rows(self, which: Any, scale: TargetScale | None) -> Any:
        if not isinstance(which, Blocks):
            return super().rows(which, scale)
        if isinstance(which, Shards):
            return which if scale is None else which.scaled(scale.encode)
        return which if scale is None else Encoded(which, scale)


def fit_stream(
    stream: Stream,
    target: str,
    settings: Settings,
    *,
    regression: bool,
    weight: str | None = None,
    class_weight: Any = None,
    validation: Stream | None = None,
) -> tuple[Fitted, Array | None, list[str]]:
    """Fit an ensemble of networks to a stream.

    Parameters
    ----------
    stream : Stream
    target : str
        The column to predict.
    settings : Settings
    regression : bool
    weight : str, optional
        A column of sample weights.
    class_weight : dict or "balanced", optional
    validation : Stream, optional
        Validation rows, instead of some of the stream.

    Returns
    -------
    fitted : Fitted
    classes : array or None
    names : list of str
        The columns that are no target and no weights.

    Raises
    ------
    InputError
        If a setting makes no sense, a column is missing, or a file is damaged or changes.
    DivergedError
        If training diverges.
    """
    labelled = LabelledStream(stream, target, regression, weight)
    with contextlib.ExitStack() as stack:

        def second(preparing: Preparing, rows: int) -> SecondPass:
            found = _second_pass(preparing, rows, stack, settings.checkpoint)
            if validation is None:
                return found
            other = LabelledStream(validation, target, regression, weight)
            given, numbers = validation_rows(preparing, other)
            return found._replace(held_out=given, numbers=numbers)

        passes = functools.partial(FirstPass, labelled), second
        return fit_passes(labelled, *passes, settings, class_weight, validation is not None)


def fit_passes(
    labelled: LabelledStream,
    first_pass: Callable[[], FirstPass],
    second_pass: Callable[[Preparing, int], SecondPass],
    settings: Settings,
    class_weight: Any = None,
    given: bool = False,
) -> tuple[Fitted, Array | None, list[str]]:
    """Fit an ensemble to what two passes find; ``given`` says that validation rows are.

    As `fit_stream`.
    """
    deadline = deadline_of(settings.time_limit)
    metric = metric_of(settings.metric, labelled.regression)
    first = first_pass()
    first.check()
    target, regression = labelled.target, labelled.regression
    if first.left_out:
        left = count(first.left_out, "row")
        warnings.warn(f"target column {target!r}: {left} without a value left out", stacklevel=5)
    log_target = False
    if first.y is not None:
        log_target = TargetScale.may_be_log(first.y.values, first.y.weights)
    recipe = settings.recipe(regression, log_target)
    preparation = first.gathering.preparation(drop=settings.drop, keep=settings.keep)
    settings.tell(preparation)
    classes = None if regression else np.array(sorted(first.labels))
    preparing = _preparing(labelled, first, preparation, classes, class_weight, given)
    found = second_pass(preparing, first.rows)
    held_out = found.held_out
    task = StreamedTask(
        preparation,
        held_out.x,
        held_out.t[:, 0],
        None if held_out.weight is None else held_out.weight[:, 0].astype(float),
        classes=0 if classes is None else len(classes),
        metric=metric,
        folds=[(found.learned, slice(0, len(held_out)))] * recipe.folds,
        by_score=settings.metric is not None and not has_threshold(metric, classes),
        some_x=found.some_x,
        counts=found.counts,
        targets=first.y,
    )
    bounds = None if first.y is None else (first.y.least, first.y.most)
    numbers = found.numbers
    fitted = trained(task, recipe, settings, deadline, first.rows, bounds, classes, target, numbers)
    return fitted, classes, labelled.names


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


def _preparing(
    labelled: LabelledStream,
    first: FirstPass,
    preparation: TablePreparation,
    classes: Array | None,
    class_weight: Any,
    given: bool,
) -> Preparing:
    stream, factors = labelled.stream, None
    if class_weight is not None:
        assert classes is not None
        rows = np.array([first.labels[label] for label in classes])
        if class_weight == "balanced":  # as `sklearn.utils.class_weight`
            factors = rows.sum() / (len(classes) * rows)
        else:
            factors = weights_of_classes(class_weight, classes, np.arange(len(classes))[:, None])
    share = 0.0 if given else min(stream.validation, MOST_VALIDATED / first.rows)
    last_from = first.furthest + 1 - round(share * first.rows) if stream.last else np.inf
    return Preparing(
        labelled, preparation, classes, factors, first.weight / first.rows, share, last_from
    )


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


def _second_pass(
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

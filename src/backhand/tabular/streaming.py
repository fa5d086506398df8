"""From a table that is read while it is learned from to a `TableModel`.

A first pass takes the statistics of all columns, a second one prepares the rows and keeps them on
the disk if there is room; then networks are trained as on a table in memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..datasets.stream import Stream
from ..errors import count
from ..estimators.weighing import weights_of_classes
from ..preprocess.distribution import Distribution
from ..preprocess.preparation import TablePreparation
from ..train.blocks import Blocks
from ..train.shards import Shards
from .first_pass import FirstPass
from .fitting import Fitted, Settings, deadline_of, has_threshold, trained
from .metrics import metric_of
from .second_pass import SecondPass, second_pass, validation_rows
from .stream_rows import Encoded, LabelledStream, Preparing
from .targets import TargetScale
from .training import SAMPLE, Task, some_of

Array = Any

MOST_VALIDATED = 200_000
"""Validation rows of a stream: they are in memory, and more would tell little more."""


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
            found = second_pass(preparing, rows, stack, settings.checkpoint)
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
    rows, y = first.rows, first.y
    del first  # statistics of many columns take as much as rows do
    found = second_pass(preparing, rows)
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
        targets=y,
    )
    bounds = None if y is None else (y.least, y.most)
    numbers = found.numbers
    fitted = trained(task, recipe, settings, deadline, rows, bounds, classes, target, numbers)
    return fitted, classes, labelled.names


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
    last_from = first.last_from(share) if stream.last else np.inf
    return Preparing(
        labelled, preparation, classes, factors, first.weight / first.rows, share, last_from
    )

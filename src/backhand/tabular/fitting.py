"""From rows of a table and their targets to a `TableModel`."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..preprocess.preparation import TablePreparation
from ..preprocess.tables import Columns
from ..train.callbacks import Callback
from .checkpoints import FitCheckpoint
from .folds import Fold, folds_of
from .member import Member
from .metrics import Metric, metric_of
from .model import TableModel, kept_residuals
from .recipes import Recipe, recipe_of
from .targets import TargetScale
from .training import Task, train_members
from .weights import kind_weights, temperature_of, tempered, threshold_of

Array = Any

MOST_FOLDED = 100_000
"""Rows up to which each network has validation rows of its own, which takes copies of all others.
More rows are shuffled once, and the last of them are the validation rows of all networks."""

MOST_SECONDS = 1e9
"""A time limit beyond this, thirty years, is none."""

FEWEST_FOLDED = 10
"""With fewer rows all are learned from, and none says which epoch is the best one."""


class Labelled(NamedTuple):
    """Rows of a table with their targets.

    Attributes
    ----------
    table : Columns
    y : array (N,)
        Numbers of classes, or values.
    weight : array of float64 (N,), or None
    which : array of int (N,), or None
        The rows of the table that they belong to; None for all.
    """

    table: Columns
    y: Array
    weight: Array | None = None
    which: Array | None = None

    def prepared(self, preparation: TablePreparation, order: Array | None = None) -> Array:
        """The rows as inputs (N, D), in an order (N,) if one is given."""
        rows = self.which
        if order is not None:
            rows = order if rows is None else rows[order]
        return preparation.apply(self.table, rows, warn=False)

    @property
    def places(self) -> Array:
        """The row of the table of each target, (N,)."""
        return np.arange(len(self.y)) if self.which is None else self.which


@dataclasses.dataclass(frozen=True)
class Settings:
    """What may be said of a fit; see `backhand.TabularClassifier`."""

    preset: str | Recipe = "default"
    n_members: int | None = None
    time_limit: float | None = None
    metric: str | None = None
    seed: int = 0
    threads: int | None = None
    callbacks: Sequence[Callback] = ()
    drop: Sequence[str] = ()
    keep: Sequence[str] = ()
    checkpoint: FitCheckpoint | None = None

    def with_checkpoint(self, given: Any, estimator: str, seeded: bool) -> Settings:
        """As these, with a checkpoint as `FitCheckpoint.of` takes it.

        Parameters
        ----------
        given : FitCheckpoint, Checkpoint, path-like or None
        estimator : str
            The name of its class.
        seeded : bool
            Whether somebody has chosen the seed; else that of the checkpoint holds, if it has one.

        Raises
        ------
        InputError
            If there is a time limit, or the checkpoint is that of a fit with other settings.
        """
        if given is None:
            return self
        if self.time_limit is not None:
            raise InputError(
                f"time_limit={self.time_limit!r:.60} with a checkpoint: how much a fit learns in a "
                "time depends on the clock, and so would its bits; leave one of them out"
            )
        checkpoint = FitCheckpoint.of(given)
        seed = self.seed if seeded else checkpoint.recorded.get("seed", self.seed)
        names = "preset", "n_members", "metric", "drop", "keep"
        known = {name: getattr(self, name) for name in names}
        if isinstance(self.preset, Recipe):
            known["preset"] = dataclasses.asdict(self.preset)
        checkpoint.check(estimator=estimator, seed=seed, **known)
        return dataclasses.replace(self, checkpoint=checkpoint, seed=seed)

    def recipe(self, regression: bool, log_target: bool) -> Recipe:
        """The recipe of the preset; ``log_target`` says that a logarithm is worth trying."""
        return recipe_of(
            self.preset, regression=regression, log_target=log_target, members=self.n_members
        )

    def tell(self, preparation: TablePreparation) -> None:
        """Tell callbacks that want to know how columns are treated."""
        for callback in self.callbacks:
            if hasattr(callback, "prepared"):
                callback.prepared(preparation)


class HeldOut(NamedTuple):
    """Rows that were held out, predicted by those networks only that had not learned from them.

    Attributes
    ----------
    rows : array of int (M,)
        Their numbers in X, or in X_val if it was given.
    y : array (M,)
        Their targets: numbers of classes, in the order of ``classes_``, or values.
    predictions : array (M, K) or (M,)
        Probabilities of classes, or values.
    """

    rows: Array
    y: Array
    predictions: Array

    def __repr__(self) -> str:
        """How many rows."""
        return f"<HeldOut: {len(self.y):,} rows, with rows, y and predictions>"


class Fitted(NamedTuple):
    """What comes of a fit.

    Attributes
    ----------
    model : TableModel
    members : list of Member
        With their histories.
    score : float
        The metric of the rows that were held out; NaN if there are none.
    held_out : HeldOut or None
        These rows; None if there were too few to hold any out.
    """

    model: TableModel
    members: list[Member]
    score: float
    held_out: HeldOut | None = None


def fit_model(
    rows: Labelled,
    classes: Array | None,
    settings: Settings,
    validation: Labelled | None = None,
    target: str | None = None,
) -> Fitted:
    """Fit an ensemble of networks.

    Parameters
    ----------
    rows : Labelled
    classes : array or None
        Labels of the classes; None for a regression.
    settings : Settings
    validation : Labelled, optional
        Validation rows, instead of some of ``rows``.
    target : str, optional
        The name of what is predicted.

    Raises
    ------
    InputError
        If a setting makes no sense, or no column is usable.
    DivergedError
        If training diverges.
    """
    deadline = deadline_of(settings.time_limit)
    regression = classes is None
    metric = metric_of(settings.metric, regression)
    recipe = settings.recipe(regression, regression and TargetScale.may_be_log(rows.y))
    preparation = TablePreparation.fit(
        rows.table, rows.which, drop=settings.drop, keep=settings.keep
    )
    settings.tell(preparation)
    x, y, weight, folds, places = _arranged(
        preparation, rows, validation, recipe, regression, settings.seed
    )
    bounds = (float(rows.y.min()), float(rows.y.max())) if regression else None
    task = Task(
        preparation,
        x,
        y,
        weight,
        classes=0 if classes is None else len(classes),
        metric=metric,
        folds=folds,
        by_score=settings.metric is not None and not has_threshold(metric, classes),
    )
    return trained(task, recipe, settings, deadline, len(rows.y), bounds, classes, target, places)


def trained(
    task: Task,
    recipe: Recipe,
    settings: Settings,
    deadline: float,
    rows: int,
    bounds: tuple[float, float] | None,
    classes: Array | None,
    target: str | None,
    places: Array,
) -> Fitted:
    """Train the networks of a recipe, and weigh them.

    Parameters
    ----------
    task, recipe, settings, deadline
    rows : int
        How many were learned from, and validation rows.
    bounds : (float, float) or None
        Of a regression: the least and the largest target.
    classes, target
        As of `fit_model`.
    places : array of int
        The number of each of the task's rows, for people.
    """
    about = {"rows": rows, "metric": task.metric.name}
    if classes is not None and len(classes) == 1:
        model = TableModel(task.preparation, (), (), classes, target, about=about)
        return Fitted(model, [], math.nan)
    with contextlib.nullcontext() if settings.checkpoint is None else settings.checkpoint:
        members = train_members(
            task,
            recipe,
            seed=settings.seed,
            threads=settings.threads,
            callbacks=list(settings.callbacks),
            deadline=deadline,
            checkpoint=settings.checkpoint,
        )
        return _weighed(task, members, bounds, classes, target, about, places)


def has_threshold(metric: Metric, classes: Array | None) -> bool:
    """Whether a metric scores a threshold between two classes more than the probabilities.

    Before the threshold is chosen, such as for a rare class by the balanced accuracy, it would
    prefer networks that have hardly learned anything.
    """
    of_two = classes is not None and len(classes) == 2
    return of_two and metric.is_of_classes and metric.name != "accuracy"


def deadline_of(time_limit: float | None) -> float:
    """When a fit is to be over, as `time.monotonic`. Raises InputError for what is no time."""
    if time_limit is None:
        return math.inf
    number = isinstance(time_limit, (int, float, np.number)) and not isinstance(time_limit, bool)
    if not (number and time_limit > 0):
        raise InputError(f"time_limit must be a number of seconds over 0, got {time_limit!r:.60}")
    # an integer of Python may be beyond float64
    return time.monotonic() + (float(time_limit) if time_limit < MOST_SECONDS else math.inf)


def _arranged(
    preparation: TablePreparation,
    rows: Labelled,
    validation: Labelled | None,
    recipe: Recipe,
    regression: bool,
    seed: int,
) -> tuple[Array, Array, Array | None, list[Fold], Array]:
    """Prepared rows x, their y and weights, which of them each member takes, and their places.

    Where members take a slice of the rows, these are shuffled, so that any part of it will do.
    """
    count, members = len(rows.y), recipe.folds
    y, weight = rows.y, rows.weight
    order = np.random.default_rng(seed).permutation(count)
    if validation is not None:
        x = np.concatenate([rows.prepared(preparation, order), validation.prepared(preparation)])
        if weight is not None or validation.weight is not None:
            weight = np.concatenate([_weights(rows)[order], _weights(validation)])
        y = np.concatenate([y[order], validation.y])
        folds = [(slice(0, count), slice(count, len(y)))] * members
        return x, y, weight, folds, np.concatenate([rows.places[order], validation.places])
    if count < FEWEST_FOLDED:
        folds = [(slice(0, count), slice(0, 0))] * members
        return rows.prepared(preparation), y, weight, folds, rows.places
    if count <= MOST_FOLDED:
        strata = None if regression else y
        folds = folds_of(strata, count, members, recipe.fold, seed)
        return rows.prepared(preparation), y, weight, folds, rows.places
    learned = count - max(1, round(recipe.fold * count / 2))
    fold = slice(0, learned), slice(learned, count)
    x = rows.prepared(preparation, order)
    weight = None if weight is None else weight[order]
    return x, y[order], weight, [fold] * members, rows.places[order]


def _weights(rows: Labelled) -> Array:
    return np.ones(len(rows.y)) if rows.weight is None else rows.weight


def _weighed(
    task: Task,
    members: list[Member],
    bounds: tuple[float, float] | None,
    classes: Array | None,
    target: str | None,
    about: dict[str, Any],
    places: Array,
) -> Fitted:
    """The members as a model, by what they predict for rows that they have not learned from."""
    kinds = sorted({member.kind for member in members})
    numbers = [kinds.index(member.kind) for member in members]
    shares, held_out, which = [1 / len(kinds)] * len(kinds), None, np.arange(0)
    if all(member.held_out is not None for member in members):
        which, by_kind = _held_out(task, members, kinds)
        if len(which):
            y, weight = task.y[which], None if task.weight is None else task.weight[which]
            shares = kind_weights(task.metric, y, by_kind, weight)
            held_out = sum(s * p for s, p in zip(shares, by_kind, strict=True))
    found = [shares[kind] / numbers.count(kind) for kind in numbers]
    kept = [(m, w) for m, w in zip(members, found, strict=True) if w > 0]
    model = TableModel(
        task.preparation,
        tuple(member for member, _ in kept),
        tuple(weight for _, weight in kept),
        classes,
        target,
        about=about,
    )
    if bounds is not None:
        low, high = bounds
        model = dataclasses.replace(model, lowest=low, highest=high)
    if held_out is None:
        return Fitted(model, members, math.nan)
    if classes is None:
        held_out = model.finished(held_out)
        model = dataclasses.replace(model, residuals=kept_residuals(y - held_out))
    else:
        # the ensemble of all networks is less often wrong than those that have not seen a row
        temperature = math.sqrt(temperature_of(y, held_out, weight))
        held_out = tempered(held_out, temperature)
        threshold = threshold_of(task.metric, y, held_out, weight)
        model = dataclasses.replace(model, temperature=temperature, threshold=threshold)
    score = model.score(task.metric, y, held_out, weight)
    return Fitted(model, members, score, HeldOut(places[which], y, held_out))


def _held_out(task: Task, members: list[Member], kinds: list[int]) -> tuple[Array, list[Array]]:
    """Rows that a member of each kind has not learned from, and each kind's mean prediction."""
    count = len(task.y)
    shape = (count, task.classes) if task.classes else (count,)
    totals = [np.zeros(shape) for _ in kinds]
    times = np.zeros((len(kinds), count))
    for member in members:
        assert member.validation_rows is not None
        assert member.held_out is not None
        kind = kinds.index(member.kind)
        totals[kind][member.validation_rows] += member.held_out
        times[kind][member.validation_rows] += 1
    which = np.flatnonzero((times > 0).all(axis=0))
    by_kind = []
    for total, number in zip(totals, times, strict=True):
        number = number[which]
        by_kind.append(total[which] / (number[:, None] if task.classes else number))
    return which, by_kind

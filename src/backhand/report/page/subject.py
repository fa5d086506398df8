"""`Subject`: a model and rows whose answers are known, in the terms that a report needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...preprocess.preparation import Treatment
from ...tabular.metrics import Metric, metric_of
from .answering import Answering
from .text import day, shown

Array = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """What the rows have in one column, for people.

    Attributes
    ----------
    kind : {"number", "date", "category"}
    values : array (N,)
        Numbers, days since 1970-01-01, or texts; NaN or None where there is nothing.
    places : list of int
        Which columns of x it has become.
    codes : list of int
        Those of them that are looked up, where nothing lies between two values.
    """

    kind: str
    values: Array
    places: list[int]
    codes: list[int] = dataclasses.field(default_factory=list)

    def text(self, row: int) -> str:
        """What a row has, for people."""
        value = self.values[row]
        return day(value) if self.kind == "date" else shown(value)


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """A model and rows.

    Attributes
    ----------
    model : str
        What it is, for people.
    rows_are : str
        What the rows are, for people, such as "rows held out: ...".
    target : str
        The name of what is predicted, or "target".
    classes : list or None
        Labels; None for a regression.
    x : array (N, D)
        Prepared rows.
    y : array (N,)
        Numbers of classes, or values.
    numbers : array of int (N,)
        The number of each row, as in the user's file or array.
    rows_in_all : int
        Rows that there are, of which these may be a sample.
    answering : Answering
    predictions : array (N, K) or (N,)
        What it answers for the rows.
    chosen : array of int (N,) or None
        Numbers of the classes that are predicted.
    columns : mapping of str to Cells
    metric : Metric or None
        What the model was made as good as possible at.
    threshold : float
        Of two classes.
    treatments : sequence of Treatment
    image : (int, int) or None
        Height and width, if the columns are the pixels of pictures.
    half_widths : mapping of float to float
        Of the intervals that the model promises, by their coverage.
    made_intervals : bool
        Whether the rows are those that the intervals come from.
    """

    model: str
    rows_are: str
    target: str
    classes: list[Any] | None
    x: Array
    y: Array
    numbers: Array
    rows_in_all: int
    answering: Answering
    predictions: Array
    chosen: Array | None
    columns: Mapping[str, Cells]
    metric: Metric | None = None
    threshold: float = 0.5
    treatments: Sequence[Treatment] = ()
    image: tuple[int, int] | None = None
    half_widths: Mapping[float, float] = dataclasses.field(default_factory=dict)
    made_intervals: bool = False

    def __len__(self) -> int:
        return len(self.y)

    @property
    def labels(self) -> list[str]:
        """The classes as texts."""
        return [str(label) for label in self.classes or ()]

    def classes_of(self, p: Array) -> Array:
        """The numbers of the classes that probabilities (N, K) speak for."""
        return (p[:, 1] >= self.threshold).astype(int) if p.shape[1] == 2 else p.argmax(axis=1)

    def score(self, predictions: Array, rows: Array) -> float:
        """What is made as good as possible, of predictions for some rows; greater is better."""
        metric = self.metric or metric_of(None, self.classes is None)
        if self.classes is not None and metric.is_of_classes:
            predictions = np.eye(len(self.classes))[self.classes_of(predictions)]
        return metric(self.y[rows], predictions)

"""`Report`: everything that a page shows, as data; with the page itself."""

from __future__ import annotations

import dataclasses
import html as texts
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ... import __version__
from ...errors import amount, count
from ...files import write_whole
from ...train.monitor import EDGES
from ..scores import Scores, score_classes, score_numbers
from .classes import class_page
from .columns import column_page
from .course import CoursePage
from .health import Watched
from .html import page
from .mistakes import mistakes
from .subject import Subject
from .values import value_page

Array = Any

DIGITS = 9
"""Significant digits of the numbers in a page."""

FRAME = "width:100%;height:85vh;border:1px solid #8888;border-radius:8px"
"""How a notebook shows a page."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a model comes from, for people.

    Attributes
    ----------
    title : str
        Such as the name of the run or the file.
    learned_from : str
        Rows and columns; empty if nobody knows.
    columns : sequence of Treatment
    scores : mapping of str to Scores
        Those that were recorded, where there are no rows to score.
    command : str
        That repeats the training, or an empty one.
    notes : sequence of str
        What a reader should know besides.
    """

    title: str
    learned_from: str = ""
    columns: Sequence[Any] = ()
    scores: Mapping[str, Scores] = dataclasses.field(default_factory=dict)
    command: str = ""
    notes: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Report:
    """A page about a model, as data and as HTML. A notebook shows it.

    Attributes
    ----------
    data : dict
        All numbers of the page, as JSON-able data; None in place of NaN.
    """

    data: dict[str, Any]

    @property
    def html(self) -> str:
        """The page: one HTML document that loads nothing from anywhere."""
        return page(self.data)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page, whole or not at all. Raises InputError if it cannot be written."""
        write_whole(path, self.html.encode())

    def __repr__(self) -> str:
        return f"<Report: {self.data['title']}; save(path) writes it as HTML>"

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that its style stays there."""
        inner = texts.escape(self.html, quote=True)
        return f'<iframe srcdoc="{inner}" style="{FRAME}" title="report"></iframe>'


def report_of(
    origin: Origin,
    subject: Subject | None = None,
    course: CoursePage | None = None,
    watched: Sequence[Watched] = (),
) -> Report:
    """Compute all that can be said.

    Parameters
    ----------
    origin : Origin
    subject : Subject, optional
        Rows to score; without them only what was recorded is shown.
    course : CoursePage, optional
    watched : sequence of Watched
    """
    found: dict[str, Any] = {
        "title": origin.title,
        "learned_from": origin.learned_from,
        "command": origin.command,
        "version": __version__,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "notes": [*origin.notes],
        "treatments": origin.columns,
        "recorded": {name: scores.to_dict() for name, scores in origin.scores.items()},
        "course": course,
        "health": watched,
        "edges": EDGES,
        "classes": None,
        "values": None,
        "columns": None,
        "image": None,
    }
    if subject is not None:
        found |= _of_rows(subject)
    return Report(plain(found))


def _of_rows(subject: Subject) -> dict[str, Any]:
    classes = subject.classes is not None
    scores = scores_of(subject)
    sampled = len(subject) < subject.rows_in_all
    sample = f"a sample of {len(subject):,} of {subject.rows_in_all:,} rows" if sampled else ""
    return {
        "task": "classification" if classes else "regression",
        "target": subject.target,
        "labels": subject.labels,
        "model": subject.model,
        "rows_are": subject.rows_are,
        "rows": count(len(subject), "row"),
        "sample": sample,
        "scores": scores.to_dict(),
        "headline": headline(subject, scores),
        "classes": class_page(subject) if classes else None,
        "values": None if classes else value_page(subject),
        "made_intervals": subject.made_intervals,
        "treatments": subject.treatments,
        "columns": column_page(subject),
        "image": subject.image,
        "mistakes": mistakes(subject),
    }


def scores_of(subject: Subject) -> Scores:
    """The scores of the rows, with intervals, beside a baseline."""
    if subject.classes is None:
        return score_numbers(subject.y, subject.predictions, subject.metric)
    assert subject.chosen is not None
    return score_classes(
        subject.y, subject.predictions, subject.chosen, subject.labels, subject.metric
    )


def headline(subject: Subject, scores: Scores) -> str:
    """How good the model is, in a sentence."""
    by_name = {score.name: score for score in scores.scores}
    if subject.classes is None:
        mae, r2 = by_name["MAE"], by_name["R2"]
        explained = f", and explain {100 * r2.value:.0f} % of its variance" if r2.value > 0 else ""
        return (
            f"Predictions of {subject.target} are off by {amount(mae.value)} on average"
            f"{explained}. "
            f"Always answering the mean would be off by {amount(mae.baseline)}."
        )
    accuracy = by_name["accuracy"]
    most = scores.baseline.removeprefix("always ").partition(", the most")[0]
    return (
        f"The model is right for {_percent(accuracy.value)} of these rows "
        f"({_percent(accuracy.low)} to {_percent(accuracy.high)} with 95 % confidence). "
        f"Always answering {most} would be right for {_percent(accuracy.baseline)}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def plain(value: Any) -> Any:
    """A value as JSON-able data: dataclasses as dicts, arrays as lists, None in place of NaN."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return plain({name: one for name, one in named.items() if not name.startswith("_")})
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value

"""`backhand evaluate`: how good a model is on rows whose target is known."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.source import joined
from ..errors import InputError, count, printable
from ..export import load
from ..files import write_whole
from ..report import tables
from ..report.score_tables import number, show
from ..report.scores import Scores, score_classes, score_numbers
from ..tabular.metrics import Metric
from . import runs
from .answers import Answers, answered, answers_of, is_tabular, joined_answers, target_of

COVERAGE = 0.9


def run(
    model_file: Path, file: Path, target: str | None, as_json: Path | None, **form: str | None
) -> None:
    """Print the scores, and write them as JSON if that is asked for."""
    model = load(runs.model_file(model_file))
    target = target_of(model) if target is None else target
    if target is None:
        raise InputError("the model does not know the column that it predicts: name it by --target")
    found, known = [], []
    for some, table in answered(model, file, form, answers_of):
        if table is None:
            raise InputError(f"{file}: an array has no column {target!r}; give a table")
        found.append(some)
        known.append(table.select([target]) if target in table.column_names else table)
    answers, y = labelled(joined_answers(found), joined(known), target, str(file))
    scores = scores_of(answers, y, fitted_metric(model))
    covered = coverage_of(model, answers, y)
    if as_json is not None:
        whole = {**scores.to_dict(), "target": target}
        if covered is not None:
            whole["coverage"] = {"interval": COVERAGE, "rows": covered}
        text = json.dumps(whole, indent=2) + "\n"
        if str(as_json) == "-":
            sys.stdout.write(text)
            return
        write_whole(as_json, text.encode())
    screen = tables.console()
    screen.print(f"{target!r} of {file}:", soft_wrap=True)
    show(scores, count(scores.rows, "row"), screen)
    if is_tabular(model):
        tell_more(model.model_, covered, screen)


def labelled(
    answers: Answers, table: Any, target: str, place: str
) -> tuple[Answers, np.ndarray[Any, Any]]:
    """The answers for those rows of a table that have a target, and these targets."""
    from ..datasets.tables import read_known_target

    try:
        y, kept = read_known_target(table, target, answers.classes)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    chosen = None if answers.chosen is None else answers.chosen[kept]
    return Answers(answers.predictions[kept], answers.classes, chosen), y


def scores_of(answers: Answers, y: Any, metric: Metric | None) -> Scores:
    """Scores of answers for rows with targets y (N,)."""
    if answers.classes is None:
        return score_numbers(y, answers.predictions, metric)
    return score_classes(y, answers.predictions, answers.chosen, answers.classes, metric)


def fitted_metric(model: Any) -> Metric | None:
    """What a model was made as good as possible at, if it knows."""
    return Metric(model.model_.about["metric"]) if is_tabular(model) else None


def coverage_of(model: Any, answers: Answers, y: Any) -> float | None:
    """The share of rows within their 90 % intervals; None if the model has none."""
    if answers.classes is not None or not is_tabular(model) or model.model_.residuals is None:
        return None
    half = model.model_.half_width(COVERAGE)
    return float(np.mean(np.abs(y - answers.predictions) <= half))


def tell_more(made: Any, covered: float | None, screen: Any) -> None:
    """Print the threshold between two classes, or how wide intervals are.

    Parameters
    ----------
    made : TableModel
    covered : float or None
        The share of rows within their intervals, if rows were scored.
    screen : Console
    """
    if made.classes is None and made.residuals is not None:
        half = made.half_width(COVERAGE)
        rows = "" if covered is None else f"; {100 * covered:.1f} % of these rows are"
        screen.print(
            f"intervals: {100 * COVERAGE:.0f} % of values are within ± {number(half)} of what is "
            f"predicted{rows}",
            soft_wrap=True,
        )
    if made.threshold != 0.5:
        by = Metric(str(made.about["metric"])).name
        screen.print(
            f"threshold: {printable(str(made.classes[1]))} is predicted from a probability of "
            f"{made.threshold:.3f} on, the best for {by}",
            soft_wrap=True,
        )

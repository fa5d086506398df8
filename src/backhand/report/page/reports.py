"""The report of each kind of model.

Models are taken as they are, by their attributes, so that each kind can offer its own report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import InputError, count
from ...network import Network, Params
from ...plan.ranges import as_numbers
from ...preprocess.preparation import TablePreparation
from ...run.namespaces import is_sparse
from ...tabular.member import Member
from ...tabular.metrics import Metric
from ...tabular.model import TableModel
from ...train.monitor import ROWS, Look, look
from ...train.rows import Rows
from ...train.state import Epoch
from .. import ensemble
from ..scores import Scores, named
from .course import CoursePage, Training, thinned
from .health import Verdict, Watched, of_history, of_layers
from .report import Origin, Report, report_of
from .subject import Subject
from .subjects import HELD_OUT, held_out_weights, of_network, of_table

Array = Any

Looks = Mapping[int, Sequence[Look]]
"""What was seen of networks while they were trained, by their numbers, from 1."""


def of_tabular(
    estimator: Any,
    raw: Any = None,
    y: Array | None = None,
    *,
    held_out: bool = False,
    title: str | None = None,
    looks: Looks | None = None,
    history: Mapping[int, Sequence[Epoch]] | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """The report of an estimator of tables.

    Parameters
    ----------
    estimator : TabularClassifier or TabularRegressor
        Fitted, or read from a file.
    raw : table, optional
        Rows, and their targets as numbers of classes or values.
    y : array (N,), optional
    held_out : bool
        Whether they are the rows of the fit, of which those that were held out are shown.
    title : str, optional
    looks : mapping, optional
        Of networks, while they were trained.
    history : mapping, optional
        Epochs of networks by their numbers, if the estimator has none of its own.
    notes : sequence of str
    """
    model: TableModel = estimator.model_
    subject = None
    if raw is not None:
        subject = _subject(estimator, raw, y, held_out)
    about = model.about
    what = model.target or "the target"
    by = "classes" if model.classes is not None else "numbers"
    origin = Origin(
        title or f"{what[0].upper()}{what[1:]}, {model.task}",
        f"Learned {what} ({by}) from {count(int(about['rows']), 'row')}; "
        f"{model.preparation.summary}.",
        model.preparation.describe(),
        {} if subject is not None else _recorded(about),
        str(about.get("command", "")),
        notes,
    )
    watched = _watched(estimator, subject, looks, history)
    return report_of(origin, subject, _course(estimator, history), watched)


def of_plain(
    network: Network,
    params: Params,
    *,
    title: str,
    task: str,
    subject: Subject | None = None,
    target: str = "",
    preparation: Any = None,
    history: Sequence[Epoch] = (),
    best_epoch: int = 0,
    stopped: str = "",
    score: str = "",
    looks: Sequence[Look] = (),
    t: Array | None = None,
    command: str = "",
    notes: Sequence[str] = (),
) -> Report:
    """The report of one network.

    Parameters
    ----------
    network, params
    title, task, target, preparation
        For people, and as of `backhand.Model`.
    subject : Subject, optional
    history, best_epoch, stopped
        As of `FitResult`.
    score : str
        What validation scores are.
    looks : sequence of Look
        While it was trained.
    t : array, optional
        The targets of the subject's rows as the network's loss takes them, for one more look.
    command : str
    notes : sequence of str
    """
    columns = preparation.describe() if hasattr(preparation, "describe") else ()
    learned = f"Network {network.summary}, {network.n_parameters:,} parameters"
    if preparation is not None:
        learned += f"; {preparation.summary}"
    course = None
    if history:
        by_score = any(line.validation_score is not None for line in history)
        row = ensemble.row_of(history, best_epoch, stopped, "one network")
        name = score if by_score else ""
        course = CoursePage([Training(row, thinned(history))], "loss", name)
    own = list(looks)
    if subject is not None and t is not None:
        own.append(look(network, params, Rows(subject.x[:ROWS], t[:ROWS]), len(history)))
    watched = []
    if own:
        verdicts = [*of_layers(own), *of_history(history, best_epoch, stopped)]
        watched.append(Watched("the network", own, verdicts))
    what = f"{target or title}, {task}" if target else f"{title}, {task}"
    origin = Origin(what[0].upper() + what[1:], f"{learned}.", columns, {}, command, notes)
    return report_of(origin, subject, course, watched)


def of_model(
    model: Any, raw: Any, y: Any, *, title: str, looks: Sequence[Look], **more: Any
) -> Report:
    """The report of a `backhand.Model`; parameters as of its ``report``."""
    subject = t = None
    made: dict[str, Any] = model.provenance
    if raw is not None:
        y = numbers_of(y, model.classes)
        is_table = isinstance(model.preparation, TablePreparation)
        subject = of_network(
            model.network,
            model.params,
            model.inputs(raw),
            y,
            classes=model.classes,
            target=model.target,
            target_mean=model.target_mean,
            target_std=model.target_std,
            preparation=model.preparation,
            raw=raw if is_table else None,
        )
        t = subject.y
        if model.classes is None:
            t = (t - model.target_mean) / model.target_std
        if not model.network.loss.by_row:
            t = t[:, None]
    kept = made.get("best_epoch")
    return of_plain(
        model.network,
        model.params,
        title=title,
        task=model.task,
        subject=subject,
        target=model.target or "",
        preparation=model.preparation,
        best_epoch=kept if isinstance(kept, int) else 0,
        stopped=str(made.get("stopped", "")),
        score="R2" if model.classes is None else "accuracy",
        looks=looks,
        t=t if not looks else None,
        command=str(made.get("command", "")),
        **more,
    )


def of_estimator(estimator: Any, fitted: Any, params: Params, x: Any, y: Any) -> Report:
    """The report of an estimator in scikit-learn's manner.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    fitted : Fitted
        Its record.
    params : dict of str to array
    x : array (N, D) or None
    y : array (N,) or None
        Labels or values.
    """
    network, labels = fitted.network, getattr(estimator, "classes_", None)
    classes = None if labels is None else labels.tolist()
    if getattr(fitted.targets, "several", False) or (classes is None and network.outputs > 1):
        raise InputError(f"the model has {network.outputs} outputs; a report is of one target")
    curves = fitted.course.curves
    losses = curves.get("loss_curve_") or []
    judged = [curves.get(name) or [] for name in ("validation_loss_curve_", "validation_scores_")]
    held_out, scores = ([None] * (len(losses) - len(one)) + one for one in judged)
    history = [
        Epoch(n, loss, validation_loss, score, None, 0.0)
        for n, (loss, validation_loss, score) in enumerate(
            zip(losses, held_out, scores, strict=True), start=1
        )
    ]
    best = len(history)
    if any(score is not None for score in scores):
        best = 1 + int(np.nanargmax([-np.inf if s is None else s for s in scores]))
    subject = t = None
    if x is not None:
        if is_sparse(x):
            raise InputError("a report looks at every column of X: pass X.toarray()")
        y = numbers_of(y, classes)
        names = getattr(estimator, "feature_names_in_", ())
        subject = of_network(network, params, x, y, classes=classes, names=names)
        t = subject.y if network.loss.by_row else subject.y[:, None]
    return of_plain(
        network,
        params,
        title=type(estimator).__name__,
        task="regression" if classes is None else "classification",
        subject=subject,
        history=history,
        best_epoch=best,
        score="score" if any(score is not None for score in scores) else "",
        t=t,
    )


def numbers_of(y: Any, classes: Sequence[Any] | None) -> Array:
    """Targets as numbers of classes, or as values. Raises InputError for a class that is none."""
    if y is None:
        raise InputError("rows without targets cannot be scored: give y as well")
    given = np.asarray(y)
    if classes is None:
        return as_numbers(given, "y").astype(np.float64)
    place = {label: number for number, label in enumerate(classes)}
    try:
        return np.array([place[label] for label in given.tolist()], int)
    except (KeyError, TypeError) as error:
        raise InputError(f"y has a class that the model does not know: {error}") from None


def _subject(estimator: Any, raw: Any, y: Array | None, held_out: bool) -> Subject:
    if y is None:
        raise InputError("rows without targets cannot be scored: give y as well")
    if not held_out:
        return of_table(estimator.model_, raw, y)
    found = estimator.held_out_
    if found is None:
        raise InputError(
            "no rows were held out, or the estimator was loaded: give rows that it has not "
            "learned from, without held_out=True"
        )
    weights = held_out_weights(estimator.model_, estimator.members_)
    return of_table(
        estimator.model_,
        raw,
        found.y,
        which=found.rows,
        weights=weights,
        rows_are=HELD_OUT,
        made_intervals=True,
    )


def _recorded(about: Mapping[str, Any]) -> dict[str, Scores]:
    read = {name: Scores.read(one) for name, one in (about.get("scores") or {}).items()}
    return {name: scores for name, scores in read.items() if scores is not None}


def _has_history(members: Sequence[Member]) -> bool:
    return all(member.result is not None for member in members)


def _course(estimator: Any, history: Mapping[int, Sequence[Epoch]] | None) -> CoursePage | None:
    model: TableModel = estimator.model_
    if _has_history(estimator.members_):
        by_metric = ensemble.has_scores(estimator.members_)
        metric = Metric(str(model.about["metric"]))
        rows = ensemble.rows_of(
            estimator.members_,
            zip(model.members, model.weights, strict=True),
            metric if by_metric else None,
        )
        lines: list[Sequence[Epoch]] = [m.result.history for m in estimator.members_]
    else:
        rows = ensemble.read_rows(model.about.get("networks"))
        by_metric = bool(model.about.get("by_metric"))
        lines = [(history or {}).get(place + 1, ()) for place in range(len(rows))]
        metric = Metric(str(model.about["metric"]))
    if not rows or not any(lines):
        return None
    trainings = [Training(row, thinned(of)) for row, of in zip(rows, lines, strict=True)]
    labels = [] if model.classes is None else [str(label) for label in model.classes]
    name = named(metric, labels)[0] if by_metric else ""
    return CoursePage(trainings, name or "loss", name)


def _watched(
    estimator: Any,
    subject: Subject | None,
    looks: Looks | None,
    history: Mapping[int, Sequence[Epoch]] | None,
) -> list[Watched]:
    """The networks that were watched, or the first one of each kind as it is now."""
    found: list[Watched] = []
    seen: set[str] = set()
    recorded = ensemble.read_rows(estimator.model_.about.get("networks"))
    for place, member in enumerate(estimator.members_, start=1):
        own = list((looks or {}).get(place, ()))
        kind = ensemble.kind_of(member)
        if (looks and not own) or (not looks and kind in seen):
            continue
        seen.add(kind)
        lines: Sequence[Epoch] = (history or {}).get(place, ())
        stopped, best = "", 0
        if member.result is not None:
            lines, stopped = member.result.history, member.result.stopped
            best = member.result.best_epoch
        elif place <= len(recorded):
            stopped, best = recorded[place - 1].ended, recorded[place - 1].best_epoch
        if not own and subject is not None:
            own = [_now(member, subject, len(lines))]
        verdicts: list[Verdict] = [*of_layers(own), *of_history(lines, best, stopped)]
        if own:
            found.append(Watched(f"network {place}: {ensemble.kind_of(member)}", own, verdicts))
    return found


def _now(member: Member, subject: Subject, epoch: int) -> Look:
    """A network as it is, looked at with some of the rows."""
    x, y = subject.x[:ROWS], subject.y[:ROWS]
    if member.scale is not None:
        y = np.maximum(y, 1e-12) if member.scale.log else y
        y = member.scale.encode(y)
    return look(member.network, member.params, Rows(x, y), epoch)

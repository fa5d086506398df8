"""`backhand train` for tables: an ensemble of networks that learns from all rows of a file."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.reading import read_table
from ..datasets.tables import read_known_target
from ..errors import BackhandError, InputError, count, printable, unknown_name
from ..report import ensemble, tables
from ..report.page.health import Watcher
from ..report.score_tables import number, show
from ..report.scores import OF_SECOND, Scores
from ..tabular import TabularClassifier, TabularRegressor
from ..tabular.metrics import Metric, metric_of
from ..tabular.recipes import PRESETS
from ..train.checkpoint import EVERY
from . import INTERRUPTED, runs
from .answers import Answers, answers_of
from .evaluate import coverage_of, labelled, scores_of, tell_more
from .interrupts import heed, pressed, undisturbed
from .options import TableOptions, check_limits, checked_weights
from .report import report_of_run
from .resume import NEVER, check_every, dropped_if_diverged
from .resume_table import RunFit, resumed_fit
from .table_rows import TableRows, rows_of

Array = Any

RARE = 0.15
"""A class of fewer rows than this share is a rare one, of which accuracy says little."""


def run(options: TableOptions, out: Path | None, report: bool = False, every: str = EVERY) -> int:
    """Train; return the exit code. With ``report`` the run has a page as well."""
    _check(options)  # what is wrong with an option is said before data is read
    check_every(every)
    folder = runs.RunFolder(runs.checked_place(out, Path(options.name).stem), checkpoint=runs.FIT)
    checkpoint = None
    if every != NEVER and options.time_limit is None:
        checkpoint = RunFit(folder, every, options)
    return _run(options, options, folder, checkpoint, report, options.threads)


def resume(place: Path, threads: int | None, every: str = EVERY, report: bool = False) -> int:
    """Go on with a run from its checkpoint; return the exit code."""
    check_limits(threads=threads)
    check_every(every)
    if every == NEVER:
        raise InputError(
            "--checkpoint-every never: the run of a table that goes on keeps its checkpoint; leave "
            "it out"
        )
    options, here, known = resumed_fit(place)
    folder = runs.RunFolder(place, ours=True, checkpoint=runs.FIT)
    threads = options.threads if threads is None else threads
    return _run(options, here, folder, RunFit(folder, every, options, known), report, threads)


def _run(
    options: TableOptions,
    here: TableOptions,
    folder: runs.RunFolder,
    checkpoint: RunFit | None,
    report: bool,
    threads: int | None,
) -> int:
    """Train, from files as named in ``here``."""
    data = rows_of(here)
    metric = None
    if options.metric is not None:
        metric = metric_of(options.metric, data.classes is None)
    test = None if here.test is None else read_table(here.test, **options.form)
    if test is not None:
        assert options.target is not None
        _check_test(data, test, options)
    screen = tables.console()
    screen.print(_headline(options, data), soft_wrap=True)
    heed()
    estimator = _estimator(options, data)
    if options.cv is not None and not folder.resumable:
        with dropped_if_diverged(folder):
            _cross_validate(estimator, options, data, metric, screen)
    start = time.perf_counter()
    live = ensemble.Live(screen)
    watcher = Watcher() if report else None
    watching = [] if watcher is None else [watcher]
    with live, dropped_if_diverged(folder), _told_how_to_go_on(folder):
        callbacks = [live, lambda now: heed(), *watching]
        _fit(estimator, data, data.kept, callbacks, options.target, checkpoint, threads)
    with undisturbed():  # a second Ctrl-C must not lose what the first one kept
        seconds = time.perf_counter() - start
        return _finish(estimator, options, metric, test, seconds, folder, screen, data, watcher)


@contextlib.contextmanager
def _told_how_to_go_on(folder: runs.RunFolder) -> Iterator[None]:
    """Ctrl-C before any network had an epoch says what is there."""
    try:
        yield
    except KeyboardInterrupt:
        if not folder.resumable:
            raise
        raise KeyboardInterrupt(folder.how_to_go_on) from None


def _check(options: TableOptions) -> None:
    check_limits(**{name: getattr(options, name) for name in ("seed", "threads", "members", "cv")})
    if options.preset not in PRESETS:
        raise unknown_name("preset", options.preset, PRESETS)
    if options.time_limit is not None and not 0 < options.time_limit < float("inf"):
        raise InputError(f"--time-limit must be seconds above 0, got {options.time_limit:g}")
    checked_weights(options.class_weight)


def _check_test(data: TableRows, test: Any, options: TableOptions) -> None:
    """Raise InputError if the rows of --test cannot be scored; training would be in vain."""
    assert options.target is not None
    try:
        classes = None if data.classes is None else data.classes.tolist()
        read_known_target(test, options.target, classes)
        left = sorted(set(data.table.column_names) - set(test.column_names) - set(options.drop))
        if left:
            raise InputError(f"column {left[0]!r} is missing; --drop leaves it out of training too")
    except InputError as error:
        raise InputError(f"--test {options.test}: {error}") from None


def _headline(options: TableOptions, data: TableRows) -> str:
    guessed = " (inferred; --task decides)" if options.task is None else ""
    if data.stream is not None:
        task = "regression" if data.classes is None else "classification"
        many = data.stream.source.length
        rows = "rows of unknown number" if many is None else count(many, "row")
        return f"{options.name}: {task} of {options.target!r}{guessed}, {rows}, streamed"
    rows = count(len(data.kept), "row")
    if data.classes is None:
        return f"{options.name}: regression of {options.target!r}{guessed}, {rows}"
    y = data.y[data.kept]
    shares = [(str(label), float(np.mean(y == label))) for label in data.classes]
    some = ", ".join(f"{label} {share:.1%}" for label, share in shares[:6])
    more = f", … ({len(shares)} classes)" if len(shares) > 6 else ""
    return printable(
        f"{options.name}: classification of {options.target!r}{guessed}, {rows}: {some}{more}"
    )


def _estimator(options: TableOptions, data: TableRows) -> Any:
    shared: dict[str, Any] = {
        "preset": options.preset,
        "n_members": options.members,
        "time_limit": options.time_limit,
        "metric": options.metric,
        "random_state": options.seed,
        "threads": options.threads,
        "drop": options.drop,
        "keep": options.keep,
    }
    weights = checked_weights(options.class_weight)
    if data.classes is None:
        if weights is not None:
            raise InputError("--class-weight is for classes, and the target holds numbers")
        return TabularRegressor(**shared)
    if isinstance(weights, dict):
        labels = {str(label): label for label in data.classes.tolist()}
        for label in weights:
            if label not in labels:
                raise unknown_name("class in --class-weight", label, labels)
        weights = {labels[label]: value for label, value in weights.items()}
    return TabularClassifier(class_weight=weights, **shared)


def _fit(
    estimator: Any,
    data: TableRows,
    rows: Array,
    callbacks: Sequence[Any],
    target: str | None = None,
    checkpoint: RunFit | None = None,
    threads: int | None = None,
) -> None:
    """Fit to some rows. The table stays whole, so that messages give the file's row numbers."""
    weight: Any = None
    x, y = data.table, data.y
    if data.stream is not None:
        x, y = data.stream, target
    elif len(rows) < len(data.y):
        weight = np.zeros(len(data.y))
        weight[rows] = 1.0
    before = {"callbacks": (), "threads": estimator.threads}
    estimator.set_params(callbacks=callbacks, threads=threads)
    try:
        estimator.fit(x, y, weight, checkpoint=checkpoint)
    finally:
        estimator.set_params(**before)


def _interrupted(estimator: Any) -> bool:
    """Whether Ctrl-C ended a fit. It may have come before those networks that it left out."""
    ended = [member.result.stopped for member in estimator.members_]
    return "interrupted" in ended or pressed()


# cross-validation ---------------------------------------------------------------------------------


def _cross_validate(
    estimator: Any, options: TableOptions, data: TableRows, metric: Metric | None, screen: Any
) -> None:
    """Print scores of each part of the rows, by an ensemble that learned from the others."""
    from sklearn.base import clone
    from sklearn.model_selection import KFold, StratifiedKFold

    assert options.cv is not None
    y = data.y[data.kept]
    splitter: Any = KFold
    if data.classes is not None:
        _, counts = np.unique(y, return_counts=True)
        if counts.min() >= options.cv:
            splitter = StratifiedKFold
    if options.cv > len(y):
        raise InputError(f"--cv {options.cv}: there are only {count(len(y), 'row')}")
    found: list[Scores] = []
    parts = splitter(options.cv, shuffle=True, random_state=options.seed).split(y, y)
    for number_, (learned, judged) in enumerate(parts, start=1):
        live = ensemble.Live(screen, columns=False, title=f"part {number_}/{options.cv} ")
        one = clone(estimator)
        with warnings.catch_warnings(), live:
            warnings.simplefilter("ignore", UserWarning)  # the last fit, to all rows, says it
            callbacks = [live, lambda now: heed()]
            _fit(one, data, data.kept[learned], callbacks, threads=options.threads)
            if _interrupted(one):
                raise KeyboardInterrupt
            rows = data.kept[judged]
            answers, truth = _known(one, data, rows)
        found.append(scores_of(answers, truth, metric))
    _tell_parts(found, screen)


def _known(estimator: Any, data: TableRows, rows: Array) -> tuple[Answers, Array]:
    """What an estimator of some rows answers for others, by the classes of all rows."""
    found = estimator.model_.predictions(data.table.take(rows))
    y = data.y[rows]
    if data.classes is None:
        return Answers(found), y
    p = np.zeros((len(rows), len(data.classes)))
    places = np.searchsorted(data.classes, estimator.classes_)
    p[:, places] = found
    chosen = places[estimator.model_.chosen(found)]
    return Answers(p, data.classes.tolist(), chosen), np.searchsorted(data.classes, y)


def _tell_parts(found: Sequence[Scores], screen: Any) -> None:
    """Print a row for each part, and their mean and standard deviation."""
    names = list(found[0].values())
    rows = [
        (str(place), f"{scores.rows:,}", *(number(scores.values()[name]) for name in names))
        for place, scores in enumerate(found, start=1)
    ]
    values = np.array([list(scores.values().values()) for scores in found])
    for title, total in (("mean", values.mean(axis=0)), ("± sd", values.std(axis=0, ddof=1))):
        rows.append((title, "", *map(number, total)))
    screen.print(f"cross-validation, {len(found)} parts of the rows:")
    tables.grid(rows, ("part", "rows", *names), screen)
    screen.print()


# after the fit ------------------------------------------------------------------------------------


def _finish(
    estimator: Any,
    options: TableOptions,
    metric: Metric | None,
    test: Any,
    seconds: float,
    folder: runs.RunFolder,
    screen: Any,
    data: TableRows,
    watcher: Watcher | None,
) -> int:
    """Score, write, and tell; return the exit code."""
    interrupted = _interrupted(estimator)
    made = estimator.model_
    counted = zip(made.members, made.weights, strict=True)
    judged = metric if ensemble.has_scores(estimator.members_) else None
    networks = ensemble.rows_of(estimator.members_, counted, judged)
    ensemble.networks(networks, judged, screen)
    ended = "interrupted: kept what was trained so far" if interrupted else "done"
    screen.print(f"{ended}; {seconds:.1f} s\n", soft_wrap=True)
    found: dict[str, Scores] = {}
    held_out = estimator.held_out_
    if held_out is None:
        screen.print("no score: there are too few rows to hold any out", soft_wrap=True)
    else:
        classes = None if made.classes is None else made.classes.tolist()
        chosen = None if classes is None else made.chosen(held_out.predictions)
        answers = Answers(held_out.predictions, classes, chosen)
        found["held_out"] = scores_of(answers, held_out.y, metric)
        show(found["held_out"], f"{count(len(held_out.y), 'row')} held out", screen)
        tell_more(estimator.model_, None, screen)
        stricter = "--test FILE" + (" or --cv 5" if data.stream is None else "")
        screen.print(
            "held-out rows are predicted by networks that had not learned from them; they chose "
            f"epochs and weights, though, so {stricter} is stricter",
            soft_wrap=True,
        )
    if test is not None:
        assert options.target is not None
        estimator.model_ = dataclasses.replace(made, target=options.target)
        answers = answers_of(estimator, test)
        answers, y = labelled(answers, test, options.target, f"--test {options.test}")
        found["test"] = scores_of(answers, y, metric)
        screen.print(f"\n{options.test}:", soft_wrap=True)
        show(found["test"], f"{count(len(y), 'test row')}", screen)
        tell_more(made, coverage_of(estimator, answers, y), screen)
    about = {
        **runs.origin(options),
        **made.about,
        "stopped": "interrupted" if interrupted else "done",
        "by_metric": judged is not None,
        "networks": [row._asdict() for row in networks],
        "scores": {name: scores.summary() for name, scores in found.items()},
    }
    estimator.model_ = dataclasses.replace(made, target=options.target, about=about)
    page = None
    if watcher is not None:
        page = report_of_run(estimator, options, data.table, test, watcher)

    def write(path: Path) -> None:
        _write(path, estimator, options, found, seconds)
        if page is not None and watcher is not None:
            page.save(path / runs.REPORT)
            runs.write_looks(path, {n: m.looks for n, m in watcher.monitors.items()})

    kept, fault = folder.keep(write, done=not interrupted)
    _tell_rare(found, options, screen)
    screen.print(f"model: {kept / runs.MODEL}", soft_wrap=True)
    if page is not None:
        screen.print(f"report: {kept / runs.REPORT}", soft_wrap=True)
    if folder.resumable:
        screen.print(folder.how_to_go_on, soft_wrap=True)
    if fault:
        raise BackhandError(fault)
    return INTERRUPTED if interrupted else 0


def _tell_rare(found: dict[str, Scores], options: TableOptions, screen: Any) -> None:
    """Hints for a rare class: if it is often missed, or if the metric looks at the other one."""
    scores = found.get("held_out")
    if scores is None or not scores.classes:
        return
    rarest = min((one for one in scores.classes if one.rows), key=lambda one: one.rows)
    of_second = len(scores.classes) == 2 and options.metric in OF_SECOND
    second = scores.classes[-1]
    if of_second and second is not rarest:
        screen.print(
            f"note: {options.metric} is that of {printable(second.label)}, the second class by "
            "name; balanced_accuracy and f1_macro count both classes alike",
            soft_wrap=True,
        )
    missed = rarest.rows < RARE * scores.rows and rarest.recall < 0.8
    if missed and not options.metric and not options.class_weight:
        f1 = " or f1" if len(scores.classes) == 2 and second is rarest else " or f1_macro"
        screen.print(
            f"hint: {printable(rarest.label)} is rare, and its recall is {rarest.recall:.3f}; "
            f"--metric balanced_accuracy{f1} chooses the threshold with that in mind",
            soft_wrap=True,
        )


def _write(
    folder: Path, estimator: Any, options: TableOptions, found: dict[str, Scores], seconds: float
) -> None:
    estimator.save(folder / runs.MODEL)
    history = [
        {"network": place, **dataclasses.asdict(line)}
        for place, member in enumerate(estimator.members_, start=1)
        for line in member.result.history
    ]
    record = {
        **estimator.model_.about,
        **runs.circumstances(options),
        "seconds": seconds,
        "columns": [row._asdict() for row in estimator.model_.preparation.describe()],
        "scores": {name: scores.values() for name, scores in found.items()},
        "details": {name: scores.to_dict() for name, scores in found.items()},
    }
    runs.write_records(folder, history, record)

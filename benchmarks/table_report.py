"""What the records of `tables.py` say, in Markdown.

A model is compared with a reference on the pairs of table and split that both have, and splits of
a table are averaged first, so that each table counts once. The log difference of a value is the
mean over tables of log(value + 0.01) less that of the reference: -0.10 is about 10 % less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

import evidence
import pages
from backhand.errors import count
from backhand.tabular.recipes import PERIODIC, recipe_of
from backhand.tabular.recipes import PRESETS as PRESET_RECIPES
from table_models import MODELS, PRESETS
from table_sources import GROUPS

PAGE = pages.ROOT / "docs" / "tables.md"
OURS = [f"backhand-{preset}" for preset in PRESETS]
REFERENCE, RIVAL, FLOOR = "catboost", "realmlp", "constant"
RIVAL_ROWS = 2_000
"""Training rows up to which tables are compared with the rival."""
SHIFT = 0.01
TIE = 1e-12
LEAST_SECONDS = 1e-3
IDENTITY = ["table", "model", "split", "threads", "cache"]
PAIR = ["table", "split"]
TITLES = {
    "shown": "The tables with which recipes may be tuned",
    "more": "Tables that nobody tuned on",
    "large": "Large tables",
}
BRIEFLY = {"shown": "to tune with", "more": "never tuned on", "large": "with more rows"}
SIZES = ((0, 1_000), (1_000, 3_000), (3_000, 6_000), (6_000, 10**9))
Frame = pd.DataFrame


def frame(records: Sequence[dict[str, Any]]) -> Frame:
    """The last record of each fit, as rows."""
    columns = [*IDENTITY, "group", "task", "status", "n_train", "columns", "text"]
    columns += ["error", "logloss", "fit_cpu", "fit_wall"]
    rows = Frame(list(records)).reindex(columns=columns)
    rows = rows.drop_duplicates(IDENTITY, keep="last")
    for value in ("error", "logloss"):
        rows[f"log {value}"] = np.log(rows[value].astype(float) + SHIFT)
    return rows


def usual(rows: Frame) -> Frame:
    """The fits that succeeded with one thread, and compiled code kept."""
    return rows[(rows.status == "ok") & (rows.threads == 1) & (rows.cache == "kept")]


def _common(ours: Frame, theirs: Frame, value: str) -> tuple[pd.Series, pd.Series]:
    """A value in two sets of rows, for each table and split for which both have it."""
    a, b = (rows.set_index(PAIR)[value].dropna() for rows in (ours, theirs))
    both = a.index.intersection(b.index)
    return a[both], b[both]


def pairs(rows: Frame, who: str, other: str, value: str) -> tuple[pd.Series, pd.Series]:
    """A value of two models, for each table and split for which both have it."""
    return _common(rows[rows.model == who], rows[rows.model == other], value)


def difference(rows: Frame, who: str, other: str, value: str) -> pd.Series:
    """For each table, how much more of a value a model has than another."""
    a, b = pairs(rows, who, other, value)
    return (a - b).groupby(level="table").mean()


def geometric(seconds: pd.Series) -> float:
    """The geometric mean; NaN of none."""
    return float(np.exp(np.log(seconds.clip(lower=LEAST_SECONDS)).mean()))


def ratio(a: pd.Series, b: pd.Series) -> float:
    """The geometric mean of a's seconds over b's."""
    return geometric(a) / geometric(b)


def _models(rows: Frame) -> list[str]:
    there = set(rows.model)
    return [m for m in MODELS if m in there]


def _mean(values: pd.Series) -> str:
    """A mean and its standard error."""
    if not len(values):
        return "-"
    error = f" ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}" if len(values) > 1 else ""
    return f"{values.mean():+.3f}{error}"


def comparison(rows: Frame, other: str = REFERENCE) -> list[str]:
    """A line for each model: its errors, log-losses and times beside those of another."""
    name = MODELS[other].label
    lines = pages.head(
        ["model", "tables (splits)"],
        [
            *(f"error, log difference to {name}", "tables won : lost", "log-loss, log difference"),
            *("fit, s of CPU", f"times {name}'s", "tables worse than no model: error, log-loss"),
        ],
    )
    for who in _models(rows):
        both, _ = pairs(rows, who, other, "error")
        if not len(both) or who == FLOOR:
            continue
        gap = difference(rows, who, other, "error")
        won, lost = int((gap < -TIE).sum()), int((gap > TIE).sum())
        seconds = pairs(rows, who, other, "fit_cpu")
        lines.append(
            pages.row(
                [
                    *(MODELS[who].label, f"{len(gap)} ({len(both)})"),
                    _mean(difference(rows, who, other, "log error")),
                    f"{won} : {lost}",
                    _mean(difference(rows, who, other, "log logloss")),
                    f"{geometric(seconds[0]):.2f}",
                    f"{ratio(*seconds):.3f}",
                    _worse_than_constant(rows, who),
                ]
            )
        )
    return lines


def worse_than_constant(rows: Frame, who: str, value: str) -> list[str]:
    """Tables on which a value is higher than that of the mean, or of the shares of the classes."""
    return [table for table, gap in difference(rows, who, FLOOR, value).items() if gap > TIE]


def _worse_than_constant(rows: Frame, who: str) -> str:
    """How many of the tables of classes and numbers, and of those of classes."""
    if not len(difference(rows, who, FLOOR, "error")):
        return "-"
    return ", ".join(str(len(worse_than_constant(rows, who, v))) for v in ("error", "logloss"))


def losses(rows: Frame, who: str, other: str = REFERENCE) -> list[str]:
    """Tables on which a model's error is higher, the worst first, with the log difference."""
    gaps = difference(rows, who, other, "log error").sort_values(ascending=False)
    return [f"{table} ({gap:+.2f})" for table, gap in gaps.items() if gap > TIE]


def kinds(rows: Frame) -> list[str]:
    """Where our models do better and worse than the reference: by task and by training rows."""
    ours = [m for m in OURS if m in set(rows.model)]
    if not ours:
        return []
    lines = pages.head(
        [f"error, log difference to {MODELS[REFERENCE].label}"], [MODELS[m].label for m in ours]
    )
    parts = {task: rows[rows.task == task] for task in ("binary", "multiclass", "regression")}
    for low, high in SIZES:
        name = f"{low:,} to {high - 1:,} training rows" if high < 10**9 else f"{low:,} and more"
        parts[name] = rows[(rows.n_train >= low) & (rows.n_train < high)]
    parts["half or more of the columns are text"] = rows[rows.text >= rows["columns"] / 2]
    for name, part in parts.items():
        cells = [difference(part, m, REFERENCE, "log error") for m in ours]
        if any(map(len, cells)):
            cells = [f"{_mean(cell)} ({len(cell)})" for cell in cells]
            lines.append(pages.row([name, *cells]))
    return lines


def against_rival(rows: Frame) -> list[str]:
    """Beside RealMLP-TD on small tables, with paired tests that the model's error is higher."""
    small = rows[rows.n_train <= RIVAL_ROWS]
    name = MODELS[RIVAL].label
    lines = pages.head(
        ["model", "tables (splits)"],
        [
            *(f"error, log difference to {name}", "tables won : lost", "log-loss, log difference"),
            *("p (worse), over splits", "p (worse), over tables", f"CPU time, times {name}'s"),
        ],
    )
    for who in [m for m in _models(small) if m not in (RIVAL, FLOOR)]:
        a, b = pairs(small, who, RIVAL, "log error")
        if not len(a):
            continue
        gap = difference(small, who, RIVAL, "log error")
        signed = wilcoxon(a - b, alternative="greater").pvalue if (a != b).any() else 1.0
        lines.append(
            pages.row(
                [
                    *(MODELS[who].label, f"{len(gap)} ({len(a)})", _mean(gap)),
                    f"{int((gap < -TIE).sum())} : {int((gap > TIE).sum())}",
                    _mean(difference(small, who, RIVAL, "log logloss")),
                    f"{signed:.3f}",
                    f"{evidence.p_less(np.zeros(len(gap)), gap.to_numpy()):.3f}",
                    f"{ratio(*pairs(small, who, RIVAL, 'fit_cpu')):.3f}",
                ]
            )
        )
    return lines if len(lines) > 2 else []


def variants(rows: Frame) -> list[str]:
    """Two threads beside one, and an empty cache beside a full one."""
    ok, one = rows[rows.status == "ok"], usual(rows)
    lines = []
    for part, value, what in (
        (
            ok[(ok.threads == 2) & (ok.cache == "kept")],
            "fit_wall",
            "two threads: wall time of a fit, times that with one",
        ),
        (
            ok[(ok.threads == 1) & (ok.cache == "empty")],
            "fit_cpu",
            "without compiled code: CPU time of a fit, times that with it",
        ),
    ):
        for who in _models(part):
            a, b = _common(part[part.model == who], one[one.model == who], value)
            if len(a):
                lines.append(
                    f"- {MODELS[who].label}, {what}: {ratio(a, b):.2f} "
                    f"(geometric mean over {count(len(a), 'fit')})."
                )
    return lines


def each_table(rows: Frame, value: str, digits: int) -> list[str]:
    """A line for each table, a column for each model, means over splits, the least in bold."""
    who = _models(rows)
    labels = [MODELS[m].label for m in who]
    lines = pages.head(["table", "task", "training rows × columns (text)"], labels)
    for name in dict.fromkeys(rows.table):
        some = rows[rows.table == name]
        means = some.groupby("model")[value].mean().dropna()
        if not len(means):
            continue
        best = means.drop(FLOOR, errors="ignore").min()
        first = some.iloc[0]
        size = f"{int(first.n_train):,} × {int(first['columns'])} ({int(first.text)})"
        cells = []
        for m in who:
            text = f"{means[m]:.{digits}f}" if m in means.index else "-"
            wins = m != FLOOR and m in means.index and means[m] <= best + TIE
            cells.append(f"**{text}**" if wins else text)
        lines.append(pages.row([name, first.task, size, *cells]))
    return lines if len(lines) > 2 else []


def failures(rows: Frame) -> list[str]:
    """Fits that did not end well."""
    bad = rows[rows.status != "ok"]
    if not len(bad):
        return []
    texts = [
        f"{MODELS[r.model].label} on {r.table}, split {r.split}: {r.status}"
        for r in bad.itertuples()
    ]
    return ["", "Without an answer: " + "; ".join(texts) + "."]


def report(records: Sequence[dict[str, Any]]) -> str:
    """All that the records say."""
    rows = frame(records)
    some = usual(rows)
    text: list[str] = []
    for group in GROUPS:
        part = some[some.group == group]
        if not len(part):
            continue
        text += ["", f"### {TITLES[group]}", "", *comparison(part), *remarks(part)]
        if kind := kinds(part):
            text += ["", *kind]
    if rival := against_rival(some):
        text += ["", f"### Beside RealMLP-TD, up to {RIVAL_ROWS:,} training rows", "", *rival]
    if other := variants(rows):
        text += ["", "### Threads and compilation", "", *other]
    text += failures(rows)
    for value, title, digits in (
        ("error", "Errors: the share of wrong classes, or RMSE / standard deviation", 4),
        ("logloss", "Log-losses", 4),
        ("fit_cpu", "Seconds of CPU of a fit", 2),
    ):
        text += ["", f"### {title}"]
        who = some if value != "fit_cpu" else some[some.model != FLOOR]
        for group in GROUPS:
            if lines := each_table(who[who.group == group], value, digits):
                text += ["", f"{TITLES[group]}:", "", *lines]
    return "\n".join(text).strip() + "\n"


def recipes() -> list[str]:
    """The settings of the presets: a line for each kind of network; of classes, then of numbers."""
    lines = pages.head(
        ["preset", "numbers as", "networks", "hidden layers", "activation"],
        ["learning rate", "dropout", "weight decay", "validation rows", "epochs (rows a step)"],
    )
    for preset, recipe in PRESET_RECIPES.items():
        of_both = (
            recipe_of(preset, regression=regression, log_target=False, members=None).networks
            for regression in (False, True)
        )
        for classes, numbers in zip(*of_both, strict=True):
            periodic = classes.embedding == PERIODIC
            detail = f"sigma {classes.sigma:g}" if periodic else f"{classes.bins} bins"
            epochs = [
                f"{round(epochs * classes.epochs)} ({batch_size})"
                for _, epochs, batch_size in recipe.lengths
            ]
            lines.append(
                pages.row(
                    [
                        *(preset, f"{classes.embedding}, {detail}", str(classes.members)),
                        " ".join(map(str, classes.hidden)),
                        f"{classes.activation}, {numbers.activation}",
                        f"{classes.learning_rate:g}, {numbers.learning_rate:g}",
                        *(f"{classes.dropout:g}", f"{classes.weight_decay:g}"),
                        *(f"{100 * recipe.fold:g} %", ", ".join(epochs)),
                    ]
                )
            )
    bounds = [f"{most:,}" for most, *_ in PRESET_RECIPES["default"].lengths[:-1]]
    return [
        *lines,
        "",
        "Two settings are those for classes, and those for numbers. Epochs are for up to "
        f"{', '.join(bounds)} training rows, and for more.",
    ]


def remarks(rows: Frame) -> list[str]:
    """In sentences: where our presets lose to the reference, and to no model at all."""
    lines = []
    for who in [m for m in OURS if m in set(rows.model)]:
        lost = losses(rows, who)
        floor = [
            f"{table} ({name})"
            for value, name in (("error", "error"), ("logloss", "log-loss"))
            for table in worse_than_constant(rows, who, value)
        ]
        lines.append(
            f"- {MODELS[who].label}: {MODELS[REFERENCE].label} has the smaller error on "
            f"{count(len(lost), 'table')}{': ' * bool(lost)}{', '.join(lost)}. "
            f"Worse than {MODELS[FLOOR].label}: {', '.join(floor) or 'on none'}."
        )
    return ["", *lines] if lines else []


def short(records: Sequence[dict[str, Any]]) -> str:
    """For the README: a line for each model, a column for each group of tables."""
    some = usual(frame(records))
    parts = {group: some[some.group == group] for group in GROUPS}
    sizes = {group: part.table.nunique() for group, part in parts.items() if len(part)}
    first = next(iter(sizes))
    lines = pages.head(
        ["model"],
        [
            *(f"{count(size, 'table')} {BRIEFLY[group]}" for group, size in sizes.items()),
            f"fit, s (geometric mean, {BRIEFLY[first]})",
        ],
    )
    for who in _models(some):
        if who == FLOOR:
            continue
        cells = [_beside(parts[group], who, size) for group, size in sizes.items()]
        seconds, _ = pairs(parts[first], who, REFERENCE, "fit_cpu")
        lines.append(pages.row([MODELS[who].label, *cells, f"{geometric(seconds):.2f}"]))
    return "\n".join(lines)


def _beside(rows: Frame, who: str, size: int) -> str:
    """By how many per cent more a model errs than the reference, and tables won : lost."""
    logs, gap = (difference(rows, who, REFERENCE, value) for value in ("log error", "error"))
    if who == REFERENCE or not len(logs):
        return "0" if who == REFERENCE else "-"
    error = f" ± {100 * logs.std(ddof=1) / np.sqrt(len(logs)):.1f}" if len(logs) > 1 else ""
    won, lost = int((gap < -TIE).sum()), int((gap > TIE).sum())
    fewer = f", on {count(len(logs), 'table')}" if len(logs) < size else ""
    return f"{100 * logs.mean():+.1f}{error} ({won} : {lost}{fewer})"


def write_docs(records: Sequence[dict[str, Any]]) -> None:
    """Refresh the tables of the documentation."""
    pages.fill(pages.README, "tables", short(records))
    pages.fill(PAGE, "tables", report(records))
    write_recipes()


def write_recipes() -> None:
    """Refresh what the documentation says of the presets."""
    pages.fill(PAGE, "recipe", "\n".join(recipes()))

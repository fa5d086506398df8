"""The models of `tables.py`, each fitted to the rows of one table with its defaults.

Each gets the columns in the form that its documentation asks for. What is needed for that (means
and categories) comes from the training rows and is not part of the measured time.
"""

from __future__ import annotations

import importlib
import resource
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from table_sources import Array, Table

MISSING = "(missing)"
MOST_CATEGORIES = 254  # of scikit-learn's histogram boosting; rarer ones count as missing


class Problem(NamedTuple):
    """Rows and settings that are the same for every model."""

    table: Table
    training: Array
    test: Array
    seed: int
    threads: int


class Answer(NamedTuple):
    """Probabilities (N, K) or numbers (N,) of the test rows, and seconds.

    ``cpu`` counts the processor time of all threads, children included.
    """

    out: Array
    fit_wall: float
    fit_cpu: float
    predict_wall: float


class Clock:
    """Seconds of the clock and of the processor since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._used()

    @staticmethod
    def _used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    def read(self) -> tuple[float, float]:
        """(wall, cpu)."""
        return time.perf_counter() - self._wall, self._used() - self._cpu


def _fit(
    problem: Problem, model: Any, X: pd.DataFrame, y: Array | None = None, **more: Any
) -> Answer:
    """Fit, predict and take the time."""
    y = problem.table.y if y is None else y
    rows, targets, new = X.iloc[problem.training], y[problem.training], X.iloc[problem.test]
    clock = Clock()
    model.fit(rows, targets, **more)
    wall, cpu = clock.read()
    clock = Clock()
    out = model.predict_proba(new) if problem.table.n_classes else model.predict(new)
    return Answer(np.asarray(out, float), wall, cpu, clock.read()[0])


def _kind(problem: Problem, module: str, classifier: str, regressor: str) -> Any:
    return getattr(
        importlib.import_module(module), classifier if problem.table.n_classes else regressor
    )


def _categorical(problem: Problem, most: int | None = None) -> pd.DataFrame:
    """Text as pandas categories of the training rows, others missing; numbers float64.

    Columns get plain names, since LightGBM refuses some characters in them.
    """
    table = problem.table
    X = {}
    for i, (c, cells) in enumerate(table.X.items()):
        if c in table.text:
            known = cells.iloc[problem.training].value_counts().index[:most]
            X[f"c{i}"] = pd.Series(pd.Categorical(cells.where(cells.isin(known)), list(known)))
        else:
            X[f"c{i}"] = cells.astype("float64")
    return pd.DataFrame(X)


# the models -------------------------------------------------------------------------------------


def constant(problem: Problem) -> Answer:
    """The mean, or the shares of the classes: the least that a model has to beat."""
    model = _kind(problem, "sklearn.dummy", "DummyClassifier", "DummyRegressor")
    return _fit(problem, model(), problem.table.X)


def tabular(preset: str, problem: Problem) -> Answer:
    """backhand, on the raw columns."""
    model = _kind(problem, "backhand", "TabularClassifier", "TabularRegressor")
    settings = {"preset": preset, "random_state": problem.seed, "threads": problem.threads}
    return _fit(problem, model(**settings), problem.table.X)


def catboost(problem: Problem) -> Answer:
    """CatBoost, text as its categories."""
    kind = _kind(problem, "catboost", "CatBoostClassifier", "CatBoostRegressor")
    X, text = problem.table.X.copy(), problem.table.text
    for c in text:
        X[c] = X[c].where(X[c].notna(), MISSING).astype(str)
    model = kind(
        random_seed=problem.seed,
        thread_count=problem.threads,
        verbose=0,
        allow_writing_files=False,
        cat_features=text or None,
    )
    return _fit(problem, model, X)


def lightgbm(problem: Problem) -> Answer:
    """LightGBM, text as pandas categories."""
    kind = _kind(problem, "lightgbm", "LGBMClassifier", "LGBMRegressor")
    model = kind(random_state=problem.seed, n_jobs=problem.threads, verbose=-1)
    return _fit(problem, model, _categorical(problem))


def histogram(problem: Problem) -> Answer:
    """scikit-learn's histogram boosting; the caller limits its threads."""
    names = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
    model = _kind(problem, "sklearn.ensemble", *names)(random_state=problem.seed)
    return _fit(problem, model, _categorical(problem, MOST_CATEGORIES))


def realmlp(problem: Problem) -> Answer:
    """RealMLP-TD. It takes no missing number: that gets the mean, and a category says so."""
    kind = _kind(problem, "pytabkit", "RealMLP_TD_Classifier", "RealMLP_TD_Regressor")
    table = problem.table
    X, text = {}, []
    for i, (c, cells) in enumerate(table.X.items()):
        if c in table.text:
            X[f"c{i}"] = cells.where(cells.notna(), MISSING).astype(str).astype("category")
            text.append(f"c{i}")
            continue
        numbers = cells.astype("float64")
        if numbers.isna().any():
            X[f"m{i}"] = numbers.isna().map({True: "yes", False: "no"}).astype("category")
            text.append(f"m{i}")
            mean = numbers.iloc[problem.training].mean()
            numbers = numbers.fillna(0.0 if np.isnan(mean) else mean)
        X[f"c{i}"] = numbers.astype("float32")
    model = kind(device="cpu", random_state=problem.seed, n_threads=problem.threads, verbosity=0)
    y = table.y if table.n_classes else table.y.astype(np.float32)
    return _fit(problem, model, pd.DataFrame(X), y, cat_col_names=text)


class Model(NamedTuple):
    """What fits; the modules that it needs; what people call it."""

    run: Callable[[Problem], Answer]
    modules: tuple[str, ...]
    label: str

    @property
    def package(self) -> str:
        return self.modules[0].split(".")[0]


PRESETS = ("fast", "default", "best")
MODELS: dict[str, Model] = {
    **{
        f"backhand-{preset}": Model(
            partial(tabular, preset), ("backhand",), f'backhand, preset "{preset}"'
        )
        for preset in PRESETS
    },
    "catboost": Model(catboost, ("catboost",), "CatBoost"),
    "lightgbm": Model(lightgbm, ("lightgbm",), "LightGBM"),
    "histgb": Model(histogram, ("sklearn.ensemble",), "scikit-learn's histogram boosting"),
    "realmlp": Model(realmlp, ("pytabkit", "torch"), "RealMLP-TD (pytabkit)"),
    "constant": Model(constant, ("sklearn.dummy",), "the mean, or the shares of the classes"),
}

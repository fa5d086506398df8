"""Scores of models that are streamed beside those of the same models with the table in memory.

    pip install --no-deps -r benchmarks/requirements.txt
    python benchmarks/streamed_tables.py [--preset fast] [--splits 0 1 2]

takes the large tables of `table_sources.py`. The training rows of each are written to four Parquet
files with small row groups, and a window takes a part of them only, so that they are read as a
table is that memory does not hold. What two seeds differ by, in memory, is the noise.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import table_sources
from backhand import Stream, TabularClassifier, TabularRegressor
from table_sources import SOURCES, Array, Table
from tables import scores

FILES, GROUP, WINDOW = 4, 2_000, "1M"


def model(table: Table, preset: str, seed: int) -> TabularClassifier | TabularRegressor:
    kind = TabularClassifier if table.n_classes else TabularRegressor
    return kind(preset, random_state=seed)


def in_memory(table: Table, rows: Array, preset: str, seed: int):
    return model(table, preset, seed).fit(table.X.iloc[rows], table.y[rows])


def streamed(disk: int | None, table: Table, rows: Array, preset: str, seed: int):
    whole = pa.Table.from_pandas(table.X.iloc[rows], preserve_index=False)
    whole = whole.append_column("the target", pa.array(table.y[rows]))
    with tempfile.TemporaryDirectory() as folder:
        for number, some in enumerate(np.array_split(np.arange(len(rows)), FILES)):
            part = whole.slice(some[0], len(some))
            pq.write_table(part, Path(folder, f"{number}.parquet"), row_group_size=GROUP)
        stream = Stream(folder, disk=disk, window=WINDOW)
        return model(table, preset, seed).fit(stream, "the target")


WAYS: dict[str, Callable] = {
    "in memory": in_memory,
    "another seed": lambda table, rows, preset, seed: in_memory(table, rows, preset, seed + 100),
    "kept on the disk": lambda *given: streamed(None, *given),
    "read again": lambda *given: streamed(0, *given),
}


def judged(table: Table, split: int, preset: str) -> list[float]:
    """Log-losses, or root mean squared errors, of all ways."""
    learned, test = table_sources.split(table, split)
    found = []
    for fit in WAYS.values():
        fitted = fit(table, learned, preset, split)
        ask = fitted.predict_proba if table.n_classes else fitted.predict
        known = scores(table, test, np.asarray(ask(table.X.iloc[test]), float))
        found.append(known["logloss" if table.n_classes else "error"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--splits", nargs="*", type=int, default=[0, 1, 2])
    large = [name for name, source in SOURCES.items() if source.group == "large"]
    parser.add_argument("--tables", nargs="*", choices=SOURCES, default=large)
    given = parser.parse_args()
    print(f'preset "{given.preset}", mean of {len(given.splits)} splits; less is better\n')
    print(f"| table | rows | of | {' | '.join(WAYS)} |")
    print(f"|---|---|---|{'---|' * len(WAYS)}")
    ratios = []
    for name in given.tables:
        table = table_sources.load(name)
        found = np.array([judged(table, split, given.preset) for split in given.splits])
        ratios.append(found / found[:, :1])
        what = "log-loss" if table.n_classes else "RMSE / deviation"
        cells = " | ".join(f"{value:.4f}" for value in found.mean(axis=0))
        print(f"| {name} | {len(table.X):,} | {what} | {cells} |", flush=True)
    every = np.array(ratios).reshape(-1, len(WAYS)) - 1
    print("\nof the first, in per cent: mean over all splits, and standard error of the mean")
    errors = every.std(axis=0, ddof=1) / np.sqrt(len(every))
    for way, mean, error in zip(WAYS, every.mean(axis=0), errors, strict=True):
        print(f"{way}: {100 * mean:+.2f} ± {100 * error:.2f}")


if __name__ == "__main__":
    main()

"""Rows per second and memory of a training on a table that is streamed, and on one in memory.

    python benchmarks/streaming.py --rows 2000000 --records streaming.jsonl --plot streaming.png

makes a folder of Parquet files from a seed, unless it is there, and trains one network of the
preset "fast" on it by turns: in memory; streamed, with prepared rows on the disk; and streamed,
with rows that are read and prepared again in each epoch. Each training has a process of its own,
whose resident memory is written down from its start to its end.

    npm pack vega-datasets && tar xzf vega-datasets-*.tgz
    python benchmarks/streaming.py --data package/data/flights-3m.parquet \
        --target delay --regression

does the same with another table: here 3 million flights of 2001.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

import evidence

WAYS = ("memory", "stored", "reread")
TITLES = {
    "memory": "in memory",
    "stored": "streamed, prepared rows on the disk",
    "reread": "streamed, read again in each epoch",
}
PART = 250_000
GROUP = 100_000
EVERY = 0.25  # seconds between two looks at the memory


def table_of(rows: int, columns: int, seed: int):
    """Numbers, some heavy, some missing; dates; texts, few and many; and a target of two classes.

    Four fifths of the columns are numbers.
    """
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    others = columns // 5
    x = rng.normal(size=(rows, columns - others)).astype(np.float32)
    z = x @ np.linspace(1, -1, x.shape[1], dtype=np.float32) + x[:, 0] * x[:, 1]
    found = {}
    for place, column in enumerate(x.T):
        if place % 5 == 1:
            column = np.exp(2 * column)
        if place % 5 == 2:
            column = np.where(rng.random(rows) < 0.03, np.float32(np.nan), column)
        found[f"number{place}"] = pa.array(column, from_pandas=True)
    for place in range(others):
        if place % 3 == 2:
            days = rng.integers(0, 2000, rows)
            z += np.cos(days / 58.1)
            found[f"date{place}"] = pa.array(np.datetime64("2020-01-01") + days.astype("m8[D]"))
        else:
            kinds = 5 if place % 3 else 200
            code = rng.zipf(1.5, rows) % kinds
            z += np.sin(code)
            names = pa.array([f"value {kind}" for kind in range(kinds)])
            found[f"text{place}"] = pa.DictionaryArray.from_arrays(pa.array(code), names)
    found["target"] = (z + rng.logistic(size=rows) > 0).astype(np.int64)
    return pa.table(found)


def make(folder: Path, rows: int, columns: int) -> None:
    """Write the folder, unless it is there."""
    if folder.exists():
        return
    beside = folder.with_name(f"{folder.name}.part")
    beside.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        parts = enumerate(min(PART, rows - first) for first in range(0, rows, PART))
        for made in [pool.submit(write, beside, *part, columns) for part in parts]:
            made.result()
    beside.rename(folder)


def write(folder: Path, number: int, rows: int, columns: int) -> None:
    """One file, from its number as the seed."""
    import pyarrow.parquet as pq

    table = table_of(rows, columns, number)
    pq.write_table(table, folder / f"{number:05}.parquet", row_group_size=GROUP)


# one training, in a process of its own ------------------------------------------------------------


def train(way: str, options: argparse.Namespace) -> dict:
    """Train; what was measured."""
    from backhand import Stream, TabularClassifier, TabularRegressor
    from backhand.tabular.recipes import PIECES, Recipe

    begun, sizes, marks = time.monotonic(), [], []
    ended = threading.Event()

    def watch() -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not ended.wait(EVERY):
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * page
            sizes.append([time.monotonic() - begun, resident])

    threading.Thread(target=watch, daemon=True).start()
    speeds, used = [], []

    def note(now) -> None:
        speeds.append(now.rows_per_second)
        marks.append(time.monotonic() - begun)
        used.append(time.process_time())

    kind = dataclasses.replace(PIECES, members=1, epochs=1.0)
    recipe = Recipe((kind,), lengths=((10**12, options.epochs, 512),))
    estimator = TabularRegressor if options.regression else TabularClassifier
    model = estimator(recipe, random_state=0, callbacks=[note])
    if way == "memory":
        import pyarrow.parquet as pq

        table = pq.read_table(options.data)
        y = table.column(options.target).to_numpy()
        model.fit(table.drop_columns([options.target]), y)
    else:
        disk = 0 if way == "reread" else options.disk
        stream = Stream(str(options.data), disk=disk, window=options.window)
        model.fit(stream, options.target)
    ended.set()
    return {
        "way": way,
        "seconds": time.monotonic() - begun,
        "rows_per_second": speeds,
        "cpu_seconds": np.diff(used, prepend=used[0]).tolist()[1:],  # of all but the first epoch
        "epochs_end": marks,
        "score": model.held_out_score_,
        "memory": sizes,
    }


# by turns -----------------------------------------------------------------------------------------


def measure(options: argparse.Namespace) -> list[dict]:
    import pyarrow.dataset as ds

    data, found = ds.dataset(options.data), []
    known = {"rows": data.count_rows(), "columns": len(data.schema) - 1}
    for turn in range(options.rounds):
        for way in options.ways:
            command = [sys.executable, __file__, "--one", way, "--window", options.window]
            command += ["--data", str(options.data), "--target", options.target]
            command += [] if options.disk is None else ["--disk", options.disk]
            command += ["--epochs", str(options.epochs)]
            command += ["--regression"] * options.regression
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            result = json.loads(done.stdout.splitlines()[-1])
            found.append({**known, "turn": turn, **result})
            evidence.append(options.records, found[-1])
            speeds = ", ".join(f"{speed:,.0f}" for speed in result["rows_per_second"])
            print(
                f"{TITLES[way]}: {speeds} rows/s; {result['seconds']:.0f} s, "
                f"score {result['score']:.4f}, peak {peak(result):,.0f} MB",
                flush=True,
            )
    return found


def peak(result: dict) -> float:
    return max(size for _, size in result["memory"]) / 2**20


def speed(found: list[dict], way: str) -> float:
    """The median over all epochs and turns."""
    return float(np.median([s for r in found if r["way"] == way for s in r["rows_per_second"]]))


def tell(found: list[dict], options: argparse.Namespace) -> None:
    turns = f"{options.rounds} x {options.epochs}"
    print(
        f"\n{found[0]['rows']:,} rows of {found[0]['columns']} columns, median of {turns} epochs:\n"
    )
    print("| rows are | rows/s | of the first | CPU s an epoch | fit, s | score | peak, MB |")
    print("|---|---|---|---|---|---|---|")
    for way in options.ways:
        mine = [r for r in found if r["way"] == way]
        share = speed(found, way) / speed(found, options.ways[0])
        seconds = np.median([r["seconds"] for r in mine])
        used = [s for r in mine for s in r["cpu_seconds"]]  # none of an only epoch
        cpu = f"{np.median(used):.1f}" if used else "-"
        print(
            f"| {TITLES[way]} | {speed(found, way):,.0f} | {share:.0%} | {cpu} | "
            f"{seconds:.0f} | {mine[0]['score']:.4f} | {max(map(peak, mine)):,.0f} |"
        )


def plot(records: Path, image: Path) -> None:
    """Memory over time, of the first turn of all runs that are recorded."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    for result in evidence.read(records):
        if result["turn"]:
            continue
        minutes, sizes = np.array(result["memory"]).T / [[60], [2**30]]
        ends = np.array(result["epochs_end"]) / 60
        label = f"{result['rows'] / 1e6:g} million rows, {TITLES[result['way']]}"
        (line,) = axes.plot(minutes, sizes, label=label)
        axes.plot(ends, np.interp(ends, minutes, sizes), "o", color=line.get_color(), markersize=4)
    axes.set(xlabel="minutes; dots end epochs", ylabel="resident memory, GB", ylim=(0, None))
    axes.legend()
    figure.savefig(image, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--window", default="128M")
    parser.add_argument("--disk", help="bytes that prepared rows may take, as of Stream")
    parser.add_argument("--folder", type=Path, default=Path("streaming-data"))
    parser.add_argument("--data", type=Path, help="a table, instead of one that is made")
    parser.add_argument("--target", default="target")
    parser.add_argument("--regression", action="store_true")
    parser.add_argument("--records", type=Path, default=Path("streaming.jsonl"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(train(options.one, options)))
        return
    if options.data is None:
        options.data = options.folder / f"{options.rows}x{options.columns}"
        make(options.data, options.rows, options.columns)
    found = measure(options)
    tell(found, options)
    if options.plot:
        plot(options.records, options.plot)


if __name__ == "__main__":
    main()

"""Our MLPClassifier and MLPRegressor beside scikit-learn's: held-out scores and fit times.

    python benchmarks/estimators.py [--datasets iris wine ...] [--seeds 20] [--records FILE]

Both get the same parameters (the defaults), the same float32 rows and the same random_state, on
one split of each data set for each seed, by turns. What has been measured is appended to the
records file and not measured again, so that a long run can be made in pieces (--seconds), scores
on a busy machine (--untimed) and times on an idle one. The table is of all records.

Whether our scores are worse is a one-sided paired permutation test of the mean difference over
the seeds: under the null hypothesis the two scores of a seed may be swapped. It takes nothing for
granted about their distribution, where a t-test would, and ties, of which there are many on small
data sets, do no harm, as they would in Wilcoxon's test. Splits overlap, so p-values are rather too
small than too large: the test finds too often, not too seldom, that we are worse.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import permutation_test
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import backhand
import real_data

SETTLED = 0.2  # seconds after which another library's idle threads no longer spin
LEVEL = 0.05
LIBRARIES = {"backhand": backhand, "sklearn": neural_network}
FRESH = "import estimators; estimators.first_fit({name!r}, {who!r})"


def estimator(who: str, name: str, seed: int, **settings: Any) -> Any:
    """A library's estimator for a data set, with its defaults."""
    kind = "MLPClassifier" if real_data.SOURCES[name].classes else "MLPRegressor"
    return getattr(LIBRARIES[who], kind)(random_state=seed, **settings)


def best_threads(name: str, rows: real_data.Split) -> int | None:
    """With how many threads scikit-learn's matrix products are quicker: one, or all (None)."""

    def seconds(threads: int | None) -> float:
        with threadpool_limits(threads):
            return min(_timed(estimator("sklearn", name, 0, max_iter=3), rows) for _ in range(3))

    return min((1, None), key=seconds)


def _timed(model: Any, rows: real_data.Split) -> float:
    time.sleep(SETTLED)
    began = time.perf_counter()
    model.fit(rows.x, rows.y)
    return time.perf_counter() - began


def measure(who: str, name: str, seed: int, rows: real_data.Split, threads: int | None) -> dict:
    """Fit, predict and score once."""
    model = estimator(who, name, seed)
    limits = threadpool_limits(threads) if who == "sklearn" else contextlib.nullcontext()
    with limits:
        seconds = _timed(model, rows)
        began = time.perf_counter()
        model.predict(rows.x_test)
        predicting = time.perf_counter() - began
    score = model.score(rows.x_test, rows.y_test)
    return {"score": score, "fit": seconds, "predict": predicting, "epochs": model.n_iter_}


def measure_all(names: list[str], seeds: int, timed: bool, known: list[dict]) -> Iterator[dict]:
    """A record for each data set and seed that has none yet."""
    done = {(r["name"], r["seed"]) for r in known if "score" in r and (r["timed"] or not timed)}
    for name in names:
        missing = [seed for seed in range(seeds) if (name, seed) not in done]
        if not missing:
            continue
        X, y = real_data.load(name)
        first = real_data.split(name, X, y, missing[0])
        threads = best_threads(name, first) if timed else None
        compiles = estimator("backhand", name, 0, max_iter=1).fit(first.x, first.y)
        compiles.predict(first.x_test)
        for seed in missing:
            rows = real_data.split(name, X, y, seed)
            order = sorted(LIBRARIES, reverse=bool(seed % 2))
            found = {who: measure(who, name, seed, rows, threads) for who in order}
            yield {
                "name": name,
                "seed": seed,
                "timed": timed,
                "rows": len(rows.x),
                "columns": rows.x.shape[1],
                "classes": len(np.unique(y)) if real_data.SOURCES[name].classes else 0,
                "threads": threads,
                "score": {who: one.pop("score") for who, one in found.items()},
                **found,
            }


# the first fit of a process ---------------------------------------------------------------------


def first_fit(name: str, who: str) -> None:
    """Print the seconds of the first fit in this process, of one epoch."""
    rows = real_data.split(name, *real_data.load(name), seed=0)
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(_timed(estimator(who, name, 0, max_iter=1), rows))


def measure_first(names: list[str], known: list[dict]) -> Iterator[dict]:
    """A record for each data set: the first fit with an empty cache and with a warm one."""
    done = {r["name"] for r in known if "empty" in r}
    for name in names:
        if name in done:
            continue
        with tempfile.TemporaryDirectory() as cache:
            empty = _fresh(name, "backhand", cache)
            warm = min(_fresh(name, "backhand", cache) for _ in range(3))
        theirs = min(_fresh(name, "sklearn", "off") for _ in range(3))
        yield {"name": name, "empty": empty, "warm": warm, "sklearn": theirs}


def _fresh(name: str, who: str, cache: str) -> float:
    """Seconds of `first_fit` in a new process."""
    call = [sys.executable, "-c", FRESH.format(name=name, who=who)]
    here = Path(__file__).resolve().parent
    environment = {**os.environ, "BACKHAND_CACHE": cache}
    done = subprocess.run(
        call, cwd=here, env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


# the table --------------------------------------------------------------------------------------


def p_worse(ours: list[float], theirs: list[float]) -> float:
    """How likely so low a mean difference is, if the scores of a seed may be swapped."""
    if len(ours) < 2:
        return np.nan
    if np.array_equal(ours, theirs):
        return 1.0
    test = permutation_test(
        (np.array(ours), np.array(theirs)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        alternative="less",
        vectorized=True,
        rng=0,
    )
    return float(test.pvalue)


def _line(name: str, records: list[dict]) -> tuple[str, float, float | None]:
    """The row of a data set, its p-value, and how many times as fast the fits are."""
    some = records[0]
    scores = {who: [r["score"][who] for r in records] for who in LIBRARIES}
    difference = np.subtract(scores["backhand"], scores["sklearn"])
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
    p = p_worse(scores["backhand"], scores["sklearn"])
    cells = [
        name,
        f"{some['rows']:,} of {some['columns']}",
        "accuracy" if some["classes"] else "R²",
        *(f"{np.mean(scores[who]):.4f}" for who in ("sklearn", "backhand")),
        f"{difference.mean():+.4f} ± {error:.4f}",
        f"{p:.2f}",
    ]
    timed = [r for r in records if r["timed"]]
    ratio = None
    if timed:
        fit, predict = (
            {who: statistics.median(r[who][what] for r in timed) for who in LIBRARIES}
            for what in ("fit", "predict")
        )
        ratio = statistics.median(r["sklearn"]["fit"] / r["backhand"]["fit"] for r in timed)
        cells += [f"{fit[who]:.3f}" for who in ("sklearn", "backhand")]
        cells += [f"{ratio:.1f}", f"{predict['sklearn'] / predict['backhand']:.1f}"]
    else:
        cells += ["-"] * 4
    return _row(cells), p, ratio


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def table(records: list[dict]) -> str:
    """All that the records say, in Markdown."""
    best: dict[tuple[str, int], dict] = {}
    for record in records:
        if "score" in record:
            key = record["name"], record["seed"]
            if key not in best or record["timed"]:
                best[key] = record
    head = ["data set", "rows of columns", "score", "scikit-learn", "backhand", "difference"]
    head += ["p (worse)", "fit, s: scikit-learn", "backhand", "fit ratio", "predict ratio"]
    lines = [_row(head), _row(["---"] * 3 + ["---:"] * 8)]
    ps, ratios = {}, {}
    for name in real_data.SOURCES:
        some = [record for (of, _), record in sorted(best.items()) if of == name]
        if some:
            line, ps[name], ratio = _line(name, some)
            lines.append(line)
            if ratio is not None:
                ratios[name] = ratio
    if ps:
        fewest = min(sum(of == name for of, _ in best) for name in ps)
        worse = [f"{name} ({p:.3f})" for name, p in ps.items() if p < LEVEL]
        lines += [
            "",
            f"At least {fewest} seeds for each data set. Worse at the {LEVEL:.0%} level: "
            f"{', '.join(worse) or 'none'}. Of {len(ps)} tests of equals, "
            f"{LEVEL * len(ps):.1f} would come out worse by chance; corrected for that "
            "(Bonferroni), worse are "
            f"{', '.join(n for n, p in ps.items() if p * len(ps) < LEVEL) or 'none'}.",
        ]
    if ratios:
        mean = statistics.geometric_mean(ratios.values())
        least = min(ratios, key=ratios.__getitem__)
        lines += [
            "",
            f"Fits are {mean:.1f} times as fast in the geometric mean over {len(ratios)} data "
            f"sets, and {ratios[least]:.1f} times on {least}, which gains least.",
        ]
    return "\n".join([*lines, *_first_table(records), *_machine(records)]) + "\n"


def _first_table(records: list[dict]) -> list[str]:
    first = {r["name"]: r for r in records if "empty" in r}
    if not first:
        return []
    head = ["first fit of a process, one epoch, s", "empty cache", "warm", "compilation"]
    lines = ["", _row([*head, "scikit-learn"]), _row(["---"] + ["---:"] * 4)]
    for name, r in first.items():
        times = [r["empty"], r["warm"], r["empty"] - r["warm"], r["sklearn"]]
        lines.append(_row([name, *(f"{seconds:.3f}" for seconds in times)]))
    return lines


def _machine(records: list[dict]) -> list[str]:
    machines = [r["machine"] for r in records if "machine" in r]
    return ["", machines[-1]] if machines else []


def machine() -> str:
    """What the times were measured on."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("scikit-learn", "numpy"))
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((s.split(":")[1].strip() for s in lines if s.startswith("model name")), name)
    return f"{os.cpu_count()} processors, {name}; Python {platform.python_version()}, {packages}."


def main() -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="*", choices=real_data.SOURCES)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--records", type=Path, default=Path("estimators.jsonl"))
    parser.add_argument("--seconds", type=float, default=np.inf, help="begin no fit after these")
    parser.add_argument("--untimed", action="store_true", help="scores alone")
    parser.add_argument("--first", action="store_true", help="first fits of new processes instead")
    parser.add_argument("-o", "--output", type=Path, help="write the table there too")
    given = parser.parse_args()
    began = time.monotonic()
    names = []
    for name in given.datasets or real_data.SOURCES:
        if real_data.SOURCES[name].installed:
            names.append(name)
        else:
            print(f"{name} is left out: {real_data.SOURCES[name].package} is not installed")
    known = []
    if given.records.exists():
        known = [json.loads(line) for line in given.records.read_text("utf-8").splitlines()]
    warnings.simplefilter("ignore", ConvergenceWarning)
    if given.first:
        found = measure_first(names, known)
    else:
        found = measure_all(names, given.seeds, not given.untimed, known)
    with given.records.open("a", encoding="utf-8") as file:
        if not given.untimed:
            known.append({"machine": machine()})
            print(json.dumps(known[-1]), file=file)
        while time.monotonic() - began < given.seconds and (record := next(found, None)):
            known.append(record)
            print(json.dumps(record), file=file, flush=True)
    text = table(known)
    print(text)
    if given.output:
        given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

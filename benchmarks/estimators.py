"""Our MLPClassifier and MLPRegressor beside scikit-learn's: held-out scores and fit times.

    python benchmarks/estimators.py [--datasets iris ...] [--seeds 20] [--records FILE] [--docs]

Both get the same parameters (the defaults), the same float32 rows and the same random_state, on
one split of each data set for each seed, by turns. scikit-learn's gradient boosting
(HistGradientBoosting) gets them too, so that one sees where another kind of model does better.

What has been measured is appended to the records file and not measured again, so that a long run
can be made in pieces (--seconds), scores on a busy machine (--untimed) and times on an idle one.
The table is of all records; with --docs, the documentation's tables and picture are written anew.

Whether our scores are worse is a one-sided paired permutation test of the mean difference over
the seeds: under the null hypothesis the two scores of a seed may be swapped. It takes nothing for
granted about their distribution, where a t-test would, and ties, of which there are many on small
data sets, do no harm, as they would in Wilcoxon's test. Splits overlap, so p-values are rather too
small than too large: the test finds too often, not too seldom, that we are worse.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import ensemble, neural_network
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import backhand
import evidence
import pages
import real_data
from backhand.errors import count

SETTLED = 0.2  # seconds after which another library's idle threads no longer spin
LEVEL = 0.05
ESTIMATORS = {  # who: (for classes, for numbers)
    "backhand": (backhand.MLPClassifier, backhand.MLPRegressor),
    "sklearn": (neural_network.MLPClassifier, neural_network.MLPRegressor),
    "boosting": (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor),
}
LABELS = {
    "backhand": "backhand",
    "sklearn": "scikit-learn's MLP",
    "boosting": "gradient boosting",
}
MLPS = ("sklearn", "backhand")
KINDS = ("accuracy", "R²")
FRESH = "import estimators; estimators.first_fit({name!r}, {who!r})"


def estimator(who: str, name: str, seed: int, **settings: Any) -> Any:
    """A library's estimator for a data set, with its defaults."""
    classifier, regressor = ESTIMATORS[who]
    return (classifier if real_data.SOURCES[name].classes else regressor)(
        random_state=seed, **settings
    )


def best_threads(who: str, name: str, rows: real_data.Split) -> int | None:
    """With how many threads one of scikit-learn's is quicker: one, or all (None)."""

    def seconds(threads: int | None) -> float:
        with threadpool_limits(threads):
            return min(_timed(estimator(who, name, 0, max_iter=3), rows) for _ in range(3))

    return min((1, None), key=seconds)


def _timed(model: Any, rows: real_data.Split) -> float:
    time.sleep(SETTLED)
    began = time.perf_counter()
    model.fit(rows.x, rows.y)
    return time.perf_counter() - began


def measure(who: str, name: str, seed: int, rows: real_data.Split, threads: int | None) -> dict:
    """Fit, predict and score once."""
    model = estimator(who, name, seed)
    limits = contextlib.nullcontext() if who == "backhand" else threadpool_limits(threads)
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
        others = [who for who in ESTIMATORS if who != "backhand"]
        threads = {who: best_threads(who, name, first) if timed else None for who in others}
        compiles = estimator("backhand", name, 0, max_iter=1).fit(first.x, first.y)
        compiles.predict(first.x_test)
        for seed in missing:
            rows = real_data.split(name, X, y, seed)
            order = sorted(ESTIMATORS, reverse=bool(seed % 2))
            found = {who: measure(who, name, seed, rows, threads.get(who)) for who in order}
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


def compare(name: str, records: list[dict]) -> dict[str, Any]:
    """What the records of a data set say: means, p-value, medians of times."""
    some = records[0]
    scores = {who: [r["score"][who] for r in records] for who in ESTIMATORS}
    difference = np.subtract(scores["backhand"], scores["sklearn"])
    timed = [r for r in records if r["timed"]]
    times = {
        what: {who: statistics.median(r[who][what] for r in timed) for who in ESTIMATORS}
        for what in ("fit", "predict")
        if timed
    }
    return {
        "facts": [
            name,
            f"{some['rows']:,} × {some['columns']}",
            "accuracy" if some["classes"] else "R²",
        ],
        "score": {who: float(np.mean(found)) for who, found in scores.items()},
        "difference": difference.mean(),
        "error": difference.std(ddof=1) / np.sqrt(len(records)) if len(records) > 1 else np.nan,
        "p": evidence.p_less(scores["backhand"], scores["sklearn"]),
        "seeds": len(records),
        "times": times,
        "ratio": times["fit"]["sklearn"] / times["fit"]["backhand"] if timed else None,
    }


def compare_all(records: list[dict]) -> dict[str, dict[str, Any]]:
    """`compare` for each data set that has records; a timed record goes before an untimed one."""
    best: dict[str, dict[int, dict]] = {}
    for record in records:
        if "score" in record:
            of_name = best.setdefault(record["name"], {})
            if record["seed"] not in of_name or record["timed"]:
                of_name[record["seed"]] = record
    return {
        name: compare(name, [found for _, found in sorted(best[name].items())])
        for name in real_data.SOURCES
        if name in best
    }


def _line(found: dict[str, Any]) -> str:
    cells = [
        *found["facts"],
        *(f"{found['score'][who]:.4f}" for who in MLPS),
        f"{found['difference']:+.4f} ± {found['error']:.4f}",
        f"{found['p']:.2f}",
    ]
    if found["times"]:
        fit, predict = found["times"]["fit"], found["times"]["predict"]
        cells += [f"{fit[who]:.3f}" for who in MLPS]
        cells += [f"{found['ratio']:.1f}", f"{predict['sklearn'] / predict['backhand']:.1f}"]
    else:
        cells += ["-"] * 4
    return pages.row(cells)


def table(records: list[dict]) -> str:
    """All that the records say of the two MLPs, in Markdown."""
    found = compare_all(records)
    lines = pages.head(
        ["table", "training rows × columns", "score"],
        [
            *("scikit-learn", "backhand", "difference", "p (worse)"),
            *("fit, s: scikit-learn", "backhand", "fit: scikit-learn / backhand", "predict"),
        ],
    )
    lines += [_line(one) for one in found.values()]
    ps = {name: one["p"] for name, one in found.items()}
    if ps:
        seeds = count(min(one["seeds"] for one in found.values()), "seed")
        worse = [f"{name} ({p:.3f})" for name, p in ps.items() if p < LEVEL]
        lines += [
            "",
            f"At least {seeds} for each table. "
            f"Worse at the {LEVEL:.0%} level: "
            f"{', '.join(worse) or 'none'}. Of {len(ps)} tests of equals, "
            f"{LEVEL * len(ps):.1f} would come out worse by chance; corrected for that "
            "(Bonferroni), worse are "
            f"{', '.join(n for n, p in ps.items() if p * len(ps) < LEVEL) or 'none'}.",
        ]
    lines += ["", *_speed(found)]
    return "\n".join([*lines, *_first_table(records), *_machine(records)]) + "\n"


def _speed(found: dict[str, dict[str, Any]]) -> list[str]:
    """How many times as fast as scikit-learn's MLP, in a sentence."""
    ratios = {name: one["ratio"] for name, one in found.items() if one["ratio"] is not None}
    if not ratios:
        return []
    least, most = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    return [
        f"Fits are {statistics.geometric_mean(ratios.values()):.1f} times as fast as those of "
        f"scikit-learn's MLP in the geometric mean over {len(ratios)} tables: from "
        f"{ratios[least]:.1f} times ({least}) to {ratios[most]:.1f} times ({most})."
    ]


def short_table(records: list[dict]) -> str:
    """For the README: means over the tables, a line for each estimator."""
    found = {name: one for name, one in compare_all(records).items() if one["times"]}
    kinds = {kind: [one for one in found.values() if one["facts"][2] == kind] for kind in KINDS}
    lines = pages.head(
        ["defaults of"],
        [
            *(f"{kind}, mean of {count(len(of), 'table')}" for kind, of in kinds.items()),
            *("fit, s (geometric mean)", "longest fit, s"),
        ],
    )
    for who, label in LABELS.items():
        means = [statistics.fmean(one["score"][who] for one in of) for of in kinds.values() if of]
        times = [one["times"]["fit"][who] for one in found.values()]
        cells = [f"{mean:.3f}" for mean in means]
        cells += [f"{statistics.geometric_mean(times):.2f}", f"{max(times):.1f}"]
        lines.append(pages.row([label, *cells]))
    return "\n".join([*lines, "", *_speed(found), *_machine(records)])


def beside_boosting(records: list[dict]) -> str:
    """Scores and fit times of all three on each table."""
    found = {name: one for name, one in compare_all(records).items() if one["times"]}
    others = ["scikit-learn", "boosting"]
    lines = pages.head(
        ["table", "training rows × columns"],
        ["score: backhand", *others, "fit, s: backhand", *others],
    )
    for one in found.values():
        name, size, kind = one["facts"]
        cells = [f"{one['score'][who]:.3f}" for who in LABELS]
        cells += [f"{one['times']['fit'][who]:.2f}" for who in LABELS]
        name += "" if kind == "accuracy" else f" ({kind})"
        lines.append(pages.row([name, size, *cells]))
    ahead = [
        name for name, one in found.items() if one["score"]["boosting"] > one["score"]["backhand"]
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"Gradient boosting scores higher than backhand on {len(ahead)} of the {len(found)} "
            f"({', '.join(ahead) or 'none'}).",
        ]
    )


def write_docs(records: list[dict]) -> None:
    """Refresh the tables of the documentation, and the picture of fit times."""
    pages.fill(pages.README, "estimators", short_table(records))
    pages.fill(pages.BENCHMARKS, "estimators", table(records))
    pages.fill(pages.BENCHMARKS, "boosting", beside_boosting(records))
    times = {
        name: {LABELS[who]: seconds for who, seconds in one["times"]["fit"].items()}
        for name, one in compare_all(records).items()
        if one["times"]
    }
    pages.draw_fit_times(times, pages.IMAGES / "fit_times.png")


def _first_table(records: list[dict]) -> list[str]:
    first = {r["name"]: r for r in records if "empty" in r}
    if not first:
        return []
    head = ["first fit of a process, one epoch, s", "empty cache", "warm", "compilation"]
    lines = ["", *pages.head(head[:1], [*head[1:], "scikit-learn"])]
    for name, r in first.items():
        times = [r["empty"], r["warm"], r["empty"] - r["warm"], r["sklearn"]]
        lines.append(pages.row([name, *(f"{seconds:.3f}" for seconds in times)]))
    return lines


def _machine(records: list[dict]) -> list[str]:
    machines = [r["machine"] for r in records if "machine" in r]
    return ["", machines[-1]] if machines else []


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
    parser.add_argument("--docs", action="store_true", help="write README.md and docs/ as well")
    given = parser.parse_args()
    began = time.monotonic()
    names = []
    for name in given.datasets or real_data.SOURCES:
        if real_data.SOURCES[name].installed:
            names.append(name)
        else:
            print(f"{name} is left out: {real_data.SOURCES[name].package} is not installed")
    known = evidence.read(given.records)
    warnings.simplefilter("ignore", ConvergenceWarning)
    if given.first:
        found = measure_first(names, known)
    else:
        found = measure_all(names, given.seeds, not given.untimed, known)
    if not given.untimed:
        known.append({"machine": evidence.machine(("scikit-learn", "numpy"))})
        evidence.append(given.records, known[-1])
    while time.monotonic() - began < given.seconds and (record := next(found, None)):
        known.append(record)
        evidence.append(given.records, record)
    text = table(known)
    print(text)
    if given.output:
        given.output.write_text(text, encoding="utf-8")
    if given.docs:
        write_docs(known)


if __name__ == "__main__":
    main()

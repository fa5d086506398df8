"""backhand's models for tables beside boosted trees and RealMLP: errors, log-losses and times.

    pip install --no-deps -r benchmarks/requirements.txt && pip install catboost lightgbm
    python benchmarks/tables.py [--tables adult ...] [--models backhand-default catboost ...]
    python benchmarks/tables.py --report [--docs]

Every model has its defaults and gets the same 80 % of the rows of a table, and decides by itself
what to set aside of it; the other 20 % judge. A fit has a process of its own, which begins with
the libraries imported, and one thread (``--threads``). ``--more`` adds tables that nobody tunes on,
``--large`` adds large ones; `table_sources.py` has them all. RealMLP-TD wants pytabkit and PyTorch,
and is fitted only where there are at most 2,000 training rows.

What has been measured is appended to the records file and not measured again, so that a long run
can be made in pieces (``--seconds``); ``--again`` does so all the same, and then the last record
counts. Compiled code is kept from fit to fit, as it is for a user; with ``--empty-cache``, each fit
begins without any, as the first one of a user does, and is recorded beside the other.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import log_loss, roc_auc_score
from threadpoolctl import threadpool_limits

import evidence
import table_report
import table_sources
from table_models import MODELS, Answer, Problem
from table_sources import SOURCES, Array, Table

LEAST_PROBABILITY = 1e-7
MOST_ROWS = {"realmlp": 2_000}
"""Of training rows: it takes minutes for each table that has more."""
CACHES = ("kept", "empty")


class Fit(NamedTuple):
    """What identifies a record."""

    table: str
    model: str
    split: int
    threads: int
    cache: str


def identity(record: dict[str, Any]) -> Fit:
    """The fit of which a record tells."""
    return Fit(*(record[field] for field in Fit._fields))


def scores(table: Table, test: Array, out: Array) -> dict[str, float]:
    """What the predictions of the test rows are worth.

    The error is the share of wrong classes, or the root mean squared error as a share of the
    standard deviation of the test targets.
    """
    y = table.y[test]
    if not np.isfinite(out).all():
        raise ValueError("predictions are not finite")
    if not table.n_classes:
        out = out.reshape(y.shape)
        return {"error": float(np.sqrt(np.mean((out - y) ** 2)) / y.std())}
    if out.shape != (len(y), table.n_classes):
        raise ValueError(f"probabilities are {out.shape}, not {(len(y), table.n_classes)}")
    p = np.clip(out, LEAST_PROBABILITY, None)
    p /= p.sum(axis=1, keepdims=True)
    auc = roc_auc_score(y, p[:, 1] if table.n_classes == 2 else p, multi_class="ovr")
    return {
        "error": float((out.argmax(axis=1) != y).mean()),
        "logloss": float(log_loss(y, p, labels=range(table.n_classes))),
        "auc": float(auc),
    }


def measure(fit: Fit) -> dict[str, Any]:
    """Fit and score in this process."""
    table = table_sources.load(fit.table)
    training, test = table_sources.split(table, fit.split)
    with warnings.catch_warnings(record=True) as heard, threadpool_limits(fit.threads):
        warnings.simplefilter("always")
        answer: Answer = MODELS[fit.model].run(
            Problem(table, training, test, fit.split, fit.threads)
        )
    said = {str(w.message)[:200] for w in heard if issubclass(w.category, UserWarning)}
    return {
        "n_train": len(training),
        "n_test": len(test),
        "columns": table.X.shape[1],
        "text": len(table.text),
        **scores(table, test, answer.out),
        "fit_wall": answer.fit_wall,
        "fit_cpu": answer.fit_cpu,
        "predict_wall": answer.predict_wall,
        **({"said": sorted(said)} if fit.model.startswith("backhand") and said else {}),
    }


def _child(pipe: Connection, fit: Fit) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    with tempfile.TemporaryDirectory() as empty:
        if fit.cache == "empty":
            os.environ["BACKHAND_CACHE"] = empty
        try:
            pipe.send({"status": "ok", **measure(fit)})
        except BaseException as error:
            traceback.print_exc(limit=-4)
            pipe.send({"status": "error", "why": f"{type(error).__name__}: {error}"[:400]})


def attempt(fit: Fit, limit: float) -> dict[str, Any]:
    """A record of a fit in a process of its own, whatever comes of it."""
    source = SOURCES[fit.table]
    fork = multiprocessing.get_context("fork")  # so that imports take no time in it
    ours, theirs = fork.Pipe(duplex=False)
    child = fork.Process(target=_child, args=(theirs, fit))
    child.start()
    theirs.close()
    if ours.poll(limit):
        try:
            found = ours.recv()
        except EOFError:
            found = {"status": "crash", "why": "the process ended without an answer"}
    else:
        child.kill()
        found = {"status": "timeout", "why": f"no answer in {limit:.0f} s"}
    child.join()
    known = {"group": source.group, "task": source.task, "version": _version(fit.model)}
    return {**fit._asdict(), **known, **found}


def _version(model: str) -> str:
    """Of the package; of backhand also the commit, and whether files differ from it."""
    package = MODELS[model].package.replace("sklearn", "scikit-learn")
    if package != "backhand":
        return version(package)
    import backhand

    call = ["git", "describe", "--always", "--dirty"]
    folder = Path(backhand.__file__).parent
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True)
    return f"{backhand.__version__}+{done.stdout.strip() or 'unknown'}"


def wanted(given: argparse.Namespace) -> Iterator[Fit]:
    """The fits that are asked for: a whole split of all models before the next one."""
    groups = {"shown", *(["more"] if given.more else []), *(["large"] if given.large else [])}
    names = given.tables or [name for name in SOURCES if SOURCES[name].group in groups]
    models = []
    for who in given.models:
        absent = [m for m in MODELS[who].modules if not _installed(m)]
        if absent:
            print(f"{who} is left out: {', '.join(absent)} cannot be imported", file=sys.stderr)
        else:
            models.append(who)
    for name in list(names):
        if not SOURCES[name].installed:
            print(f"{name} is left out: {SOURCES[name].package} is not installed", file=sys.stderr)
            names.remove(name)
    cache = CACHES[given.empty_cache]
    for split in given.splits:
        for who in models:
            for name in names:
                yield Fit(name, who, split, given.threads, cache)


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module.split(".")[0]) is not None


def run(given: argparse.Namespace) -> None:
    """Measure what is missing."""
    began = time.monotonic()
    known = evidence.read(given.records)
    done = {identity(r) for r in known if "model" in r and (r["status"] == "ok" or not given.retry)}
    todo = [fit for fit in wanted(given) if given.again or fit not in done]
    for module in {m for fit in todo for m in MODELS[fit.model].modules}:
        importlib.import_module(module)
    # scikit-learn imports more when it first fits, and that is no part of any model's fit
    DummyClassifier().fit(np.zeros((2, 1)), np.arange(2))
    sizes: dict[str, int] = {}
    for fit in todo:
        if time.monotonic() - began > given.seconds:
            return
        if fit.model in MOST_ROWS:
            if fit.table not in sizes:
                table = table_sources.load(fit.table)
                sizes[fit.table] = len(table_sources.split(table, 0)[0])
            if sizes[fit.table] > MOST_ROWS[fit.model]:
                continue
        record = attempt(fit, given.limit)
        evidence.append(given.records, record)
        figures = [f"{record[f]:.4f}" for f in ("error", "logloss") if f in record]
        if record["status"] == "ok":
            figures.append(f"{record['fit_cpu']:.2f} s of CPU")
        else:
            figures.append(f"{record['status']}: {record['why']}")
        print(f"{fit.model:18} {fit.table:14} {fit.split} {', '.join(figures)}", flush=True)


def main() -> None:
    """Measure, or report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="*", choices=SOURCES)
    parser.add_argument("--more", action="store_true", help="tables that nobody tunes on, too")
    parser.add_argument("--large", action="store_true", help="large tables, too")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--splits", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--empty-cache", action="store_true", help="begin without compiled code")
    parser.add_argument("--records", type=Path, default=Path("tables.jsonl"))
    parser.add_argument("--seconds", type=float, default=np.inf, help="begin no fit after these")
    parser.add_argument("--limit", type=float, default=1800, help="seconds that a fit may take")
    parser.add_argument("--retry", action="store_true", help="measure again what failed")
    parser.add_argument("--again", action="store_true", help="measure again what is recorded")
    parser.add_argument("--report", action="store_true", help="print the records' report instead")
    parser.add_argument("--docs", action="store_true", help="write README.md and docs/ as well")
    given = parser.parse_args()
    if not (given.report or given.docs):
        run(given)
        return
    known = [r for r in evidence.read(given.records) if "model" in r]
    print(table_report.report(known))
    if given.docs:
        table_report.write_docs(known)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()

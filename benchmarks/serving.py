"""How a service predicts: loading, memory, one row, many threads, and an ASGI application.

    pip install uvicorn httptools uvloop        (and Debian's wrk)
    python benchmarks/serving.py [--docs]

Loading is measured in new processes, with and without the model in the cache. ``--docs`` writes
the tables into docs/serving.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv

import backhand
import pages

ROOT = Path(__file__).resolve().parents[1]
PENGUINS = ROOT / "examples" / "penguins.csv"
PAGE = ROOT / "docs" / "serving.md"
HEAVY = ("sklearn", "llvmlite", "pyarrow", "scipy", "pandas")

LOAD = """
import sys, time
start = time.perf_counter()
import numpy
imported = time.perf_counter()
import backhand
predictor = backhand.load_predictor(sys.argv[1])
loaded = time.perf_counter()
predictor.predict(eval(sys.argv[2]))
heavy = [name for name in sys.argv[3].split(",") if name in sys.modules]
status = open("/proc/self/status").read()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(imported - start, loaded - imported, peak, ",".join(heavy) or "-")
"""


def models(folder: Path) -> dict[str, tuple[Path, str, Any]]:
    """Files of models, each with a row as text, and as it is."""
    table = pyarrow.csv.read_csv(PENGUINS)
    X, y = table.drop_columns(["species"]), table["species"].to_numpy(zero_copy_only=False)
    row = X.slice(0, 1).to_pylist()[0]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 10)).astype(np.float32)
    t = (x[:, 0] > 0).astype(int)
    plain = backhand.MLPClassifier((32, 32), max_iter=20, random_state=0)
    found: dict[str, tuple[Path, str, Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, model, data, one in (
            ("MLPClassifier 10-32-32-1", plain, (x, t), x[0]),
            *(
                (
                    f"TabularClassifier, {preset}, penguins",
                    backhand.TabularClassifier(preset=preset, random_state=0),
                    (X, y),
                    row,
                )
                for preset in ("fast", "default")
            ),
        ):
            model.fit(*data)
            path = folder / f"{len(found)}.safetensors"
            model.save(path)
            text = repr(one) if isinstance(one, dict) else f"numpy.zeros({len(one)}, 'float32')"
            found[name] = path, text, one
    return found


def process(code: str, *arguments: str, cache: Path) -> tuple[float, list[str]]:
    """Seconds of a new process, and what it prints."""
    environment = {**os.environ, "BACKHAND_CACHE": str(cache)}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - start, done.stdout.split()


def loading(path: Path, row: str, folder: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds and megabytes of loading: cold once, and the fastest of warm ones."""
    cache = folder / f"cache{path.stem}"
    _, cold = process(LOAD, str(path), row, ",".join(HEAVY), cache=cache)
    warm = [process(LOAD, str(path), row, ",".join(HEAVY), cache=cache) for _ in range(rounds)]
    alone = min(process("import numpy", cache=cache)[0] for _ in range(rounds))
    return {
        "cold": 1e3 * float(cold[1]),
        "warm": 1e3 * min(float(told[1]) for _, told in warm),
        "process": 1e3 * min(seconds for seconds, _ in warm),
        "numpy": 1e3 * alone,
        "peak": max(float(told[2]) for _, told in warm),
        "heavy": warm[0][1][3],
    }


def microseconds(call: Callable[[], Any], rounds: int = 30) -> float:
    """Of a call, in the fastest of rounds of 5 ms each."""
    number = 1
    while True:
        start = time.perf_counter()
        for _ in range(number):
            call()
        if time.perf_counter() - start > 0.005:
            break
        number *= 2
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(number):
            call()
        times.append((time.perf_counter() - start) / number)
    return 1e6 * min(times)


def in_threads(call: Callable[[], Any], threads: int, seconds: float = 1.0) -> float:
    """Calls a second of several threads together."""
    counts, until = [0] * threads, time.perf_counter() + seconds

    def work(which: int) -> None:
        while time.perf_counter() < until:
            for _ in range(20):
                call()
            counts[which] += 20

    team = [threading.Thread(target=work, args=(which,)) for which in range(threads)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    return sum(counts) / seconds


def predicting(path: Path, row: Any) -> dict[str, float]:
    """Microseconds of one row, and rows a second of threads."""
    predictor = backhand.load_predictor(path)
    x = np.random.default_rng(0).standard_normal(predictor.inputs).astype(np.float32)
    usual = backhand.load(path)
    rows = row[None] if isinstance(row, np.ndarray) else row
    return {
        "row": microseconds(lambda: predictor.predict(row)),
        "proba": microseconds(lambda: predictor.predict_proba(row)),
        "prepared": microseconds(lambda: predictor.predict_prepared(x)),
        "usual": microseconds(lambda: usual.predict(rows), 5),
        "one thread": in_threads(lambda: predictor.predict(row), 1),
        "16 threads": in_threads(lambda: predictor.predict(row), 16),
    }


# the service ------------------------------------------------------------------------------------


@contextlib.contextmanager
def service(model: Path, workers: int) -> Iterator[str]:
    """The address of `examples/serve.py` under uvicorn."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT / "examples"), "serve:app"]
    command += ["--port", str(port), "--log-level", "warning", "--workers", str(workers)]
    server = subprocess.Popen(command, env={**os.environ, "MODEL": str(model)})
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(10)


def load_test(url: str, row: Any, connections: int, seconds: int, folder: Path) -> dict[str, float]:
    """What wrk tells of requests with one row each."""
    script = folder / "post.lua"
    body = json.dumps(row).replace("\\", "\\\\").replace("'", "\\'")
    script.write_text(f"wrk.method = 'POST'\nwrk.body = '{body}'\n")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    told = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told:
        raise RuntimeError(f"the service refused requests:\n{told}")
    found = {"requests": float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])}
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    for share in (50, 99):
        number, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", told).groups()
        found[f"p{share}"] = float(number) * units[unit]
    return found


def main() -> None:
    """Measure all, and print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--docs", action="store_true")
    given = parser.parse_args()
    tables = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = models(folder)
        lines = pages.head(
            ["Model"],
            [
                *("load, not in the cache, ms", "load, ms", "whole process, ms"),
                *("of that Python and NumPy, ms", "peak memory, MB", "heavy packages"),
            ],
        )
        for title, (path, text, _) in found.items():
            r = loading(path, text, folder, given.rounds)
            cells = [f"{r[k]:,.0f}" for k in ("cold", "warm", "process", "numpy", "peak")]
            lines.append(pages.row([title, *cells, r["heavy"]]))
        tables["loading"] = "\n".join(lines)
        lines = pages.head(
            ["Model"],
            [
                *("`predict`, µs", "`predict_proba`, µs", "`predict_prepared`, µs"),
                *("`backhand.load` and `predict`, µs", "rows/s, 1 thread", "rows/s, 16 threads"),
            ],
        )
        for title, (path, _, row) in found.items():
            r = predicting(path, row)
            cells = [f"{r[k]:.1f}" for k in ("row", "proba", "prepared", "usual")]
            cells += [f"{r[k]:,.0f}" for k in ("one thread", "16 threads")]
            lines.append(pages.row([title, *cells]))
        tables["rows"] = "\n".join(lines)
        if shutil.which("wrk"):
            lines = pages.head(["Model"], ["connections", "requests/s", "median, ms", "99 %, ms"])
            for title, (path, _, row) in found.items():
                if isinstance(row, dict):
                    with service(path, 1) as url:
                        load_test(url, row, 4, 1, folder)
                        for connections in (1, 16):
                            r = load_test(url, row, connections, given.seconds, folder)
                            numbers = [
                                f"{r['requests']:,.0f}",
                                f"{r['p50']:.2f}",
                                f"{r['p99']:.2f}",
                            ]
                            lines.append(pages.row([title, str(connections), *numbers]))
            tables["service"] = "\n".join(lines)
        else:
            print("wrk is not installed: no load test")
    for table, text in tables.items():
        print(f"\n{text}")
        if given.docs:
            pages.fill(PAGE, table, text)


if __name__ == "__main__":
    main()

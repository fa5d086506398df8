"""The benchmark of streaming, on a table of a moment."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "streaming.py"


def test_the_benchmark_trains_by_turns_and_writes_what_it_measured(tmp_path):
    sizes = {"rows": 3000, "columns": 10, "epochs": 2, "window": "64K", "plot": "memory.png"}
    words = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    call = [sys.executable, str(SCRIPT), *words, "--ways", "memory", "stored"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "3,000 rows of 10 columns, median of 1 x 2 epochs" in done.stdout
    lines = [*csv.DictReader((tmp_path / "streaming.csv").read_text().splitlines())]
    assert [line["way"] for line in lines] == ["memory", "memory", "stored", "stored"]
    assert all(float(line["rows_per_second"]) > 0 for line in lines)
    assert len({line["score"] for line in lines}) <= 2
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")

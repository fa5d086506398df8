"""The benchmark of streaming, on a table of a moment."""

from __future__ import annotations

import json
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
    found = [json.loads(line) for line in (tmp_path / "streaming.jsonl").read_text().splitlines()]
    assert [one["way"] for one in found] == ["memory", "stored"]
    assert all(min(one["rows_per_second"]) > 0 and len(one["memory"]) for one in found)
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")

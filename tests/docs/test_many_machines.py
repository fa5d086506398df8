"""The benchmark of many machines, without a cluster, on rows of a moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "many_machines.py"


def test_the_benchmark_prints_losses_against_steps(tmp_path):
    call = [sys.executable, str(SCRIPT), "--parts", "steps", "--rows", "2000", "--epochs", "1"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("one machine: loss ")
    assert lines[1] == "shards | 10 steps | 50 steps | 250 steps | 1000000 steps"
    assert [line.split(" |")[0] for line in lines[2:]] == ["2", "4", "8", "16"]

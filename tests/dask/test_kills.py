"""A worker that dies in any phase changes no bit, and leaves nothing; `kills.py` has many more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("distributed")

ROOT = Path(__file__).resolve().parents[2]


def run(*words, timeout):
    call = [sys.executable, "-m", "tests.dask.kills", *words]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_kill_in_each_phase():
    said = run("--kills", "1", "--at-once", "1", timeout=500)
    assert said.count("1 kills") == 6
    assert "0 files left" in said


@pytest.mark.campaign
def test_many_kills_in_each_phase():
    assert "0 files left" in run("--kills", "50", timeout=3600)

"""`backhand train` survives being killed at any moment; see kills.py."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import subprocess
import sys

import pytest
from tests.campaigns import share_of

PROGRAM = pathlib.Path(__file__).with_name("kills.py")
POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def killed(*words, timeout):
    done = subprocess.run(
        [sys.executable, PROGRAM, *words], capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) kills, (\d+) resumed: every model is", done.stdout)
    return int(found[1]), int(found[2])


@POSIX
def test_some_kills_change_no_model():
    kills, resumed = killed("--kills", "8", timeout=300)
    assert kills >= 8
    assert resumed > 0


@POSIX
@pytest.mark.campaign
def test_many_kills_change_no_model():
    wanted = share_of(500)
    kills, resumed = killed("--kills", str(wanted), "--seed", "1", timeout=3000)
    assert kills >= wanted
    assert resumed > wanted / 5


@POSIX
@pytest.mark.campaign
def test_kills_of_new_processes_change_no_model():
    assert killed("--kills", str(share_of(20)), "--processes", timeout=600)[0] >= share_of(20)


LIMITED = """
import resource, sys
from backhand.cli.app import run
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(run(sys.argv[2:]))
"""


@POSIX
def test_a_checkpoint_that_the_disk_does_not_take_costs_nothing(tmp_path):
    """The model takes 70 kB and the checkpoint four times that; files end at 150 kB."""
    words = ["train", "digits", "--hidden", "200", "--epochs", "4", "--checkpoint-every", "1"]
    models = []
    for name, limit in (("free", 2**40), ("full", 150_000)):
        out = ["--out", str(tmp_path / name)]
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(limit), *words, *out],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        files = sorted(path.name for path in (tmp_path / name).iterdir())
        assert files == ["history.jsonl", "model.safetensors", "run.json"]
        models.append(hashlib.sha256((tmp_path / name / files[1]).read_bytes()).hexdigest())
    assert models[0] == models[1]
    assert len(done.stderr.splitlines()) == 1
    assert re.fullmatch(
        r"warning: no checkpoint: .*File too large; training goes on\n", done.stderr
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["free", "full"]

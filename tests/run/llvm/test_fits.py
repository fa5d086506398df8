"""Several trainings at once, and Ctrl-C: right, in time, and without a hang.

`fits.py` beside this file is run in a process of its own, with a time limit.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import signal
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).with_name("fits.py")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
joblib = pytest.mark.skipif(not importlib.util.find_spec("joblib"), reason="joblib is missing")
signals = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no signals as on Unix")


def campaign(cases):
    return [pytest.param(*case, marks=pytest.mark.campaign) for case in cases]


def run(way, *numbers, last="right"):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), way, *map(str, numbers)],
        capture_output=True,
        text=True,
        timeout=550,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.splitlines()[-1] == last


def test_in_python_threads():
    run("threads")


@forks
@pytest.mark.parametrize("way", ["fork", "fork-while-training", "fork-while-compiling"])
def test_in_forked_processes(way):
    run(way)


def test_in_spawned_processes():
    run("spawn")


@joblib
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_under_joblib_with_no_more_threads_than_it_gives(backend):
    run(backend)


def test_a_thread_that_outlives_the_main_one_trains_on():
    run("outlived", last="right after the end")


@signals
@pytest.mark.parametrize(("threads", "times"), [(1, 6), (2, 9), *campaign([(1, 60), (2, 120)])])
def test_ctrl_c_ends_training_at_once_and_leaves_everything_usable(threads, times):
    run("interrupt", threads, times)


@signals
@pytest.mark.parametrize(("threads", "times"), [(2, 3), *campaign([(1, 40), (2, 40), (3, 40)])])
def test_ctrl_c_within_a_batch_leaves_a_whole_number_of_steps(threads, times):
    run("interrupt-batch", threads, times)

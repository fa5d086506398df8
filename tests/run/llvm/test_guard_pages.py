"""No stray access: programs between unmapped pages, in a process of their own.

`guard_pages.py` beside this file runs any number of cases; a sample runs here.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
from tests.campaigns import share_of

from backhand.network import Network

from .guard_pages import KINDS, PAGE, Case, Guarded, Ordinary, reach

SCRIPT = pathlib.Path(__file__).with_name("guard_pages.py")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="made for Linux's mmap")


def run(*options):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, options)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


@pytest.mark.parametrize(
    ("seed", "cases"), [(1, 20), pytest.param(2, share_of(600), marks=pytest.mark.campaign)]
)
def test_a_sample_of_programs_touches_nothing_beside_its_arrays(seed, cases):
    done = run("--seed", seed, "--cases", cases)
    last = "\n".join(done.stdout.splitlines()[-2:])
    assert done.returncode == 0, f"{last}\n{done.stderr}"
    assert f"{cases} cases without a fault" in last


PAGES = [
    pytest.param(width, dtype, marks=() if one else pytest.mark.campaign)
    for width in (512, 1024, 4090, 4096, 8192)
    for dtype, one in (("float32", width in (1024, 4090)), ("float64", width == 512))
]


@pytest.mark.parametrize(("width", "dtype"), PAGES)
def test_layers_whose_rows_are_whole_pages(width, dtype):
    """Their rows lie a little apart, but their columns are no more."""
    rng = np.random.default_rng(0)
    for widths in ((3, width, 2), (width, 130, 2), (3, 4, width, 2)):
        case = Case(0, 0)
        case.network = Network(widths, dtype=dtype)
        case.kind, case.threads, case.batch = "train", 2, 4
        case.x, case.t = rng.standard_normal((9, widths[0])), rng.standard_normal((9, 2))
        case.params, case.weight, case.order = (
            case.network.init("glorot_normal"),
            None,
            np.arange(9),
        )
        want = case.run(Ordinary())
        for at_end in (True, False):
            memory = Guarded(at_end)
            assert case.run(memory) == want
            memory.close()


@pytest.mark.parametrize("short", [8, 64])
def test_a_buffer_too_small_is_caught(short):
    """The harness itself: it must see 8 bytes too few, and name the case."""
    done = run("--seed", 1, "--cases", 30, "--short", short)
    assert done.returncode == -signal.SIGSEGV
    assert done.stdout.splitlines()[-1] == "  against the end"


def test_cases_are_reproducible_and_of_every_kind():
    cases = [Case(0, number) for number in range(60)]
    assert str(cases[7]) == str(Case(0, 7))
    assert {case.kind for case in cases} == set(KINDS)
    assert {case.network.dtype for case in cases} == {"float32", "float64"}
    assert {np.sign(case.x.strides[0]) for case in cases} == {-1, 0, 1}


@pytest.mark.parametrize("at_end", [True, False])
def test_copies_are_flush_and_equal(at_end):
    memory = Guarded(at_end)
    whole = np.arange(60.0).reshape(6, 10)
    for a in (whole, whole[:, :7], whole[::-1, :3], whole[::2], whole[:1], whole.astype("u1")):
        copy = memory.copy(a)
        assert np.array_equal(copy, a)
        assert copy.strides == a.strides
        edge = copy.ctypes.data + reach(copy)[at_end]
        assert edge % PAGE == 0
    memory.close()

"""Fits to tables and to streams survive being killed at any moment; see kills.py."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest
from tests.campaigns import share_of

PROGRAM = pathlib.Path(__file__).with_name("kills.py")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def killed(kills, timeout):
    done = subprocess.run(
        [sys.executable, PROGRAM, "--kills", str(kills)],
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) kills, (\d+) resumed: every model is", done.stdout)
    assert int(found[1]) >= kills
    return int(found[2])


def test_some_kills_change_no_model():
    killed(3, timeout=300)


@pytest.mark.campaign
def test_many_kills_change_no_model():
    assert killed(share_of(40), timeout=1200) > share_of(40) / 4

"""The ledger of performance: its switches name code that is there, and change no result."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "performance.md"

TRAIN = """
import hashlib, sys
import numpy as np
sys.path.insert(0, {folder!r})
import switches
if {name!r}:
    switches.OPTIMISATIONS[{name!r}].off()
from backhand.network import Network
from backhand.train.config import TrainConfig
from backhand.train.loop import TrainLoop
from backhand.train.rows import Rows
digest = hashlib.sha256()
for widths, batch in (((300, 90, 2), 48), ((40, 150, 20), 64), ((300, 40, 12), 100)):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, widths[0])).astype(np.float32)
    network = Network(widths, activation="gelu", loss="softmax_cross_entropy")
    start = network.init("kaiming_normal", 0)
    config = TrainConfig(batch_size=batch, optimiser="adam", threads=2)
    training = TrainLoop(network, start, config, len(x))
    training.epoch(Rows(x, rng.integers(0, widths[-1], (400, 1))))
    for a in training.params.values():
        digest.update(a.tobytes())
    digest.update(network.predictor(training.params)(x[:1]).tobytes())
print(digest.hexdigest())
"""


def switches():
    spec = importlib.util.spec_from_file_location("switches", ROOT / "benchmarks" / "switches.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SWITCHES = switches()


@pytest.mark.parametrize("name", SWITCHES.OPTIMISATIONS)
def test_every_optimisation_has_lines(name):
    assert 0 < SWITCHES.cost(SWITCHES.OPTIMISATIONS[name]) < 400


def test_a_line_that_is_gone_is_noticed():
    for spec in ("ir/padding.py~nowhere", "ir/padding.py:nowhere"):
        with pytest.raises((ValueError, StopIteration)):
            SWITCHES.lines_of(spec)


def test_the_page_lists_what_there_is():
    _, table = PAGE.read_text("utf-8").split("<!-- table ledger:")
    rows = re.findall(r"^\| ([^|]+) \|", table.split("<!-- end ledger")[0], re.MULTILINE)
    listed = [row for row in rows if row not in ("optimisation", "---")]
    assert set(listed) <= set(SWITCHES.OPTIMISATIONS)


@pytest.mark.campaign
def test_no_switch_changes_a_bit(tmp_path):
    def trained(name):
        program = TRAIN.format(folder=str(ROOT / "benchmarks"), name=name)
        cache = {"BACKHAND_CACHE": str(tmp_path / (name or "on").replace(" ", "-"))}
        call = [sys.executable, "-c", program]
        return subprocess.check_output(call, env={**os.environ, **cache}, text=True)

    want = trained("")
    different = [name for name in SWITCHES.OPTIMISATIONS if trained(name) != want]
    assert different == []

"""Runs exported modules in Node, many at a time."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest

needs_node = pytest.mark.skipif(not shutil.which("node"), reason="needs Node")

DRIVER = """\
import fs from "node:fs";
const given = JSON.parse(fs.readFileSync("given.json", "utf8"));
const plain = (_, v) => ArrayBuffer.isView(v) ? Array.from(v)
  : typeof v === "number" && !Number.isFinite(v) ? String(v) : v;
const found = [];
for (let i = 0; i < given.length; i++) {
  const m = await import(`./m${i}.mjs`), data = given[i];
  found.push((() => { BODY })());
}
fs.writeFileSync("found.json", JSON.stringify(found, plain));
"""


def run(folder, texts, given, body):
    """What ``body`` returns for each module ``m`` (one for each text) and its ``data``."""
    for i, text in enumerate(texts):
        (folder / f"m{i}.mjs").write_text(text)
    (folder / "given.json").write_text(json.dumps(given, default=lambda a: a.tolist()))
    (folder / "driver.mjs").write_text(DRIVER.replace("BODY", body))
    done = subprocess.run(
        ["node", "driver.mjs"], cwd=folder, timeout=600, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "found.json").read_text())


def array(found, shape):
    """What JSON has of an array, with NaN and infinities."""
    return np.array(found, float).reshape(shape)

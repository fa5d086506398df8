"""Runs exported modules in Node, many at a time."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from backhand.export.javascript.files import js_text
from backhand.export.programs import program_of

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


def rows_of(frame):
    """Rows as a page has them: numbers, texts, booleans, ISO dates, null."""

    def plain(value):
        if isinstance(value, pd.Timestamp):
            return value.isoformat()
        return getattr(value, "item", lambda: value)()

    return [
        {str(k): None if pd.isna(v) else plain(v) for k, v in row.items()}
        for row in frame.to_dict("records")
    ]


def ran(folder, model, data, body="return data.map((row) => m.predict(row));"):
    """What ``body`` returns for the module of a model; by default answers for rows."""
    return run(folder, [js_text(program_of(model))], [data], body)[0]

"""Walks of small models: digits, and tables with a column of each kind."""

from __future__ import annotations

import json
import subprocess
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from tests.report.page.conftest import RECIPE, table, target_of

from backhand import MLPClassifier, Network, TabularClassifier, TabularRegressor, datasets
from backhand.export import Model

KINDS = ("digits", "several", "regression", "estimator")


def digits(activation="relu"):
    """A model that knows nothing yet, and rows."""
    data = datasets.load("digits")
    network = Network((64, 16, 10), activation=activation, loss="softmax_cross_entropy")
    params = network.init("glorot_normal", seed=1)
    model = Model(network, params, "classification", data.preparation, data.classes)
    return model, *load_digits(return_X_y=True)


def made(kind):
    """A model, rows and targets."""
    if kind == "digits":
        return digits()
    frame, value = table()
    if kind == "estimator":
        x, y = frame[["a", "noise"]].to_numpy(), (value > 0).to_numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has not converged
            return (
                MLPClassifier(hidden_layer_sizes=(5,), max_iter=3, random_state=0).fit(x, y),
                x,
                y,
            )
    y = target_of(kind, value)
    maker = TabularRegressor if kind == "regression" else TabularClassifier
    return maker(RECIPE, random_state=0).fit(frame, y), frame, y


@pytest.fixture(scope="session")
def walked():
    """From a kind to (model, rows, targets, subject, walk)."""
    found = {}

    def walk(kind):
        if kind not in found:
            from backhand.report.walk.walk import walk_of

            model, rows, y = made(kind)
            subject = model.explored(rows, y)
            found[kind] = model, rows, y, subject, walk_of(subject)
        return found[kind]

    return walk


DRIVER = """\
import fs from "node:fs";
import { Network, nodesOf, overlaps, unpacked } from "./rows.mjs";
const data = JSON.parse(fs.readFileSync("data.json", "utf8"));
const asRow = (cells) => data.columns.length
  ? Object.fromEntries(data.columns.map((c, i) => [c.name, cells[i]])) : cells;
async function open(entry, activation, scheme = "learned") {
  const packed = { ...entry.params.learned, ...entry.params[scheme] };
  const plan = entry.plans[activation];
  const net = new Network(await import(`./${plan.module}.mjs`), plan);
  const base = Object.values(entry.params)[1];
  net.setParameters(Object.fromEntries(Object.entries(packed).map(([k, v]) =>
    [k, unpacked(v, base?.[k] && unpacked(base[k]))])));
  net.xs = data.rows.map((row) => net.module.prepare(asRow(row)));
  return net;
}
const plain = (_, v) => ArrayBuffer.isView(v) ? Array.from(v) : v instanceof Map ? [...v]
  : typeof v === "number" && !Number.isFinite(v) ? String(v) : v;
const body = async () => { BODY };
fs.writeFileSync("found.json", JSON.stringify(await body(), plain));
"""


@pytest.fixture
def in_node(tmp_path):
    """What a script comes to with `rows.js` and the modules of a walk."""

    def run(walk, body):
        from backhand.report.walk.walk import _static

        (tmp_path / "rows.mjs").write_text(_static("rows.js"))
        (tmp_path / "data.json").write_text(json.dumps(walk.data))
        for name, text in walk.modules.items():
            (tmp_path / f"{name}.mjs").write_text(text)
        (tmp_path / "driver.mjs").write_text(DRIVER.replace("BODY", body))
        done = subprocess.run(
            ["node", "driver.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / "found.json").read_text())

    return run


def numbers(found):
    return np.array(found, float)

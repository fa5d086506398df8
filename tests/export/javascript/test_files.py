"""Trained models as modules: from the cells of a table to what `predict` gives."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from tests.export.test_programs import ensemble, strange, table

from backhand import InputError, MLPClassifier, MLPRegressor, Network, TabularClassifier
from backhand.export import Model
from backhand.export.javascript.files import js_text
from backhand.export.programs import program_of
from backhand.preprocess.pixels import Standardise
from backhand.preprocess.preparation import TablePreparation
from backhand.tabular.model import TableModel

from .modules import needs_node, ran, rows_of
from .pages import dom

pytestmark = [
    needs_node,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:column '.*:UserWarning"),  # about strange cells
]

X = np.random.default_rng(3).normal(size=(80, 5)).astype(np.float32)
TARGETS = {
    "two": (X[:, 0] > 0.2).astype(int),
    "texts": np.where(X[:, 0] > 0.2, "up", "down"),
    "bool": X[:, 0] > 0.2,
    "three": np.digitize(X[:, 1], [-0.5, 0.5]),
    "one": np.full(80, 7),
    "large": np.where(X[:, 0] > 0.2, 2**60, 3),
    "several": (X[:, :3] > 0).astype(int),
}
ODD = (
    "__proto__",
    "constructor",
    'a "quote"',
    "</script>",
    "`${1}`",
    "zwei\nZeilen",
    "Größe 🌍",
    " ",
)
"""Names of columns and labels that a file must write with care."""


@pytest.fixture(scope="module")
def prepared():
    rng = np.random.default_rng(0)
    frame = table(rng, 400)
    return frame, TablePreparation.fit(frame), strange(rng, frame)


def check_classes(found, model, given):
    p = np.array([one["probabilities"] for one in found])
    np.testing.assert_allclose(p, model.predict_proba(given), rtol=0, atol=1e-5)
    assert [one["label"] for one in found] == list(model.predict(given))


# tables -----------------------------------------------------------------------------------------


def test_prepared_numbers_of_every_kind_of_column(prepared, tmp_path):
    model = ensemble(prepared, 1)
    for frame in (prepared[0], prepared[2]):
        found = ran(tmp_path, model, rows_of(frame), "return data.map(m.prepare);")
        want = model.preparation.apply(frame, warn=False)
        # those of float64 before they are rounded to float32, which may fall either way
        np.testing.assert_allclose(found, want, rtol=2**-23, atol=1e-12)


@pytest.mark.parametrize("count", [2, 3])
def test_classes_of_tables(prepared, count, tmp_path):
    labels = np.array(["no", "yes", "perhaps"])[:count]
    model = ensemble(prepared, count, classes=labels, temperature=0.7, threshold=0.3)
    rows = prepared[2]
    check_classes(ran(tmp_path, model, rows_of(rows)), model, rows)


def test_numbers_of_tables(prepared, tmp_path):
    rows = prepared[2]
    for more in ({}, {"lowest": 1.0, "highest": 4.0}):
        model = ensemble(prepared, 1, **more)
        found = ran(tmp_path, model, rows_of(rows))
        np.testing.assert_allclose(found, model.predict(rows), rtol=1e-5)


def test_one_class_has_no_networks(prepared, tmp_path):
    model = TableModel(prepared[1], (), (), np.array(["all"]))
    found = ran(tmp_path, model, rows_of(prepared[0][:2]))
    assert found == [{"label": "all", "probabilities": [1]}] * 2


def test_a_fitted_estimator_of_any_names_and_labels(tmp_path):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({name: rng.normal(size=60) for name in ODD[1:]})
    frame.insert(0, ODD[0], rng.choice(list(ODD[:7]), 60))
    y = rng.choice(list(ODD[:7]), 60)
    model = TabularClassifier("fast", random_state=0).fit(frame, y)
    body = "return { found: data.map(m.predict), about: m.describe() };"
    text = js_text(program_of(model))
    assert text.isascii()
    assert "</script" not in text
    rows = rows_of(frame)
    # a literal {"__proto__": ...} would not be a column; what is read from JSON is one
    found = ran(tmp_path, model, rows, body)
    check_classes(found["found"], model, frame)
    assert [c["name"] for c in found["about"]["columns"]] == list(frame.columns)
    assert found["about"]["classes"] == sorted(set(y))


# prepared numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", TARGETS)
def test_classifiers(kind, dtype, tmp_path):
    model = MLPClassifier((6,), dtype=dtype, max_iter=5, random_state=0).fit(X, TARGETS[kind])
    found = ran(tmp_path, model, X)
    p = np.array([one["probabilities"] for one in found])
    np.testing.assert_allclose(p, model.predict_proba(X), rtol=0, atol=1e-6)
    if kind == "several":
        labels = [[k for k in range(3) if row[k]] for row in model.predict(X)]
        assert [one["labels"] for one in found] == labels
    else:
        want = model.predict(X).tolist()
        assert [one["label"] for one in found] == ([*map(str, want)] if kind == "large" else want)


@pytest.mark.parametrize("outputs", [1, 3])
def test_regressors(outputs, tmp_path):
    y = X[:, :outputs] if outputs > 1 else X[:, 0]
    model = MLPRegressor(hidden_layer_sizes=(6,), max_iter=5, random_state=0, dtype="float32").fit(
        X, y
    )
    np.testing.assert_allclose(ran(tmp_path, model, X), model.predict(X), rtol=1e-5, atol=1e-6)


def test_pixels(tmp_path):
    network = Network((12, 5, 3), loss="softmax_cross_entropy")
    pixels = Standardise(1 / 256, 0.2, 0.3, 12)
    params = network.init("kaiming_normal", 1)
    model = Model(network, params, "classification", pixels, ["a", "b", "c"])
    rows = np.random.default_rng(1).integers(0, 256, (9, 12))
    check_classes(ran(tmp_path, model, rows), model, rows.astype(np.uint8))


def test_what_is_no_row_is_refused(tmp_path):
    network = Network((2, 3), loss="softmax_cross_entropy")
    body = """\
const told = (f) => { try { f(); } catch (e) { return e.message; } };
return [
  told(() => m.predict([1])), told(() => m.predict("ab")), told(() => m.logits([1, "2"])),
  told(() => m.lossAndGradients([1, 2], 3)), told(() => m.lossAndGradients([1, 2], [0])),
];"""
    found = ran(tmp_path, (network, network.init("lecun_normal")), [], body)
    assert found == [
        "the row needs 2 numbers, got 1 values",
        "the row needs 2 numbers, got ab",
        "x has 2 in it",
        "t is the number of a class, from 0 to 2; got 3",
        "t is the number of a class, from 0 to 2; got 1 values",
    ]


def test_it_says_what_it_is(tmp_path):
    network = Network((2, 4, 3), activation="silu", loss="softmax_cross_entropy")
    about = ran(tmp_path, (network, network.init("lecun_normal")), [], "return m.describe();")
    (described,) = about["networks"]
    assert (
        Network.from_dict({key: described[key] for key in network.to_dict()}).to_dict()
        == network.to_dict()
    )
    shapes = {p["name"]: tuple(p["shape"]) for p in described["parameters"]}
    assert shapes == network.shapes
    assert "y1 = silu(z1)" in described["steps"]
    assert {"name": "dz1", "shape": [4]} in described["buffers"]


# files and pages --------------------------------------------------------------------------------


def test_it_is_written_whole_or_not_at_all(tmp_path):
    model = MLPClassifier((6,), max_iter=1, random_state=0).fit(X, TARGETS["two"])
    model.to_js(tmp_path / "m.mjs")
    assert (tmp_path / "m.mjs").read_text() == js_text(program_of(model))
    with pytest.raises(InputError, match="cannot write"):
        model.to_js(tmp_path / "none" / "m.mjs")


PAGE = """\
<!doctype html><meta charset="utf-8"><pre id="out"></pre><script type="module">
import { predict, lossAndGradients } from "./m0.mjs";
const rows = ROWS;
const found = rows.map((row) => [predict(row).probabilities, lossAndGradients(row, 1).loss]);
document.getElementById("out").textContent = JSON.stringify(found);
</script>"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_a_page_in_a_browser_has_the_numbers_of_node(tmp_path):
    model = MLPClassifier((6, 4), activation="gelu", max_iter=3, random_state=0).fit(
        X, TARGETS["three"]
    )
    rows = X[:9].tolist()
    body = "return data.map((x) => [m.predict(x).probabilities, m.lossAndGradients(x, 1).loss]);"
    want = ran(tmp_path, model, rows, body)
    (tmp_path / "page.html").write_text(PAGE.replace("ROWS", json.dumps(rows)))
    found = re.search(r'<pre id="out">(.+?)</pre>', dom(tmp_path, "page.html"))
    assert json.loads(found[1]) == want

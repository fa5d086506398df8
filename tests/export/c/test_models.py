"""Models of every kind as C: what `predict` gives, from the cells of a table on."""

from __future__ import annotations

import ctypes
import re
import subprocess

import numpy as np
import pytest
from tests.export.test_programs import ensemble, strange, table

from backhand import MLPClassifier, MLPRegressor, TabularClassifier
from backhand.export.programs import program_of, values_of
from backhand.preprocess.preparation import TablePreparation

from .programs import compiled, needs_gcc
from .test_table import rows_of

pytestmark = [
    needs_gcc,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:column '.*:UserWarning"),  # about strange cells
]

X = np.random.default_rng(3).normal(size=(80, 5)).astype(np.float32)
TARGETS = {
    "two": (X[:, 0] > 0.2).astype(int),
    "texts": np.where(X[:, 0] > 0.2, "up", "down"),
    "three": np.digitize(X[:, 1], [-0.5, 0.5]),
    "one": np.full(80, 7),
    "several": (X[:, :3] > 0).astype(int),
}


@pytest.fixture(scope="module")
def prepared():
    rng = np.random.default_rng(0)
    frame = table(rng, 400)
    return frame, TablePreparation.fit(frame), strange(rng, frame)


def loaded(model, folder, rows):
    """The library of a model whose self-test has passed, and the type of y."""
    header, source = model.to_c(folder / "net", rows)
    flags = ("-Os", "-march=native")
    compiled(source, folder / "test", flags=(*flags, "-DNET_SELFTEST"))
    assert subprocess.run([folder / "test"]).returncode == 0
    compiled(source, folder / "net.so", flags=(*flags, "-shared", "-fPIC"))
    lib = ctypes.CDLL(str(folder / "net.so"))
    lib.net_class_name.restype = ctypes.c_char_p
    return lib, np.float64 if "double *y" in header.read_text() else np.float32


def pointer(a):
    return a.ctypes.data_as(ctypes.c_void_p)


def test_a_table_of_one_class(tmp_path):
    rows = {"a": X[:, 0], "b": X[:, 1]}
    model = TabularClassifier(preset="fast", random_state=0).fit(rows, np.full(len(X), "only"))
    lib, real = loaded(model, tmp_path, rows)
    y = np.empty(1, real)
    assert lib.net_class_name(lib.net_predict_row(pointer(np.zeros(2)), pointer(y))) == b"only"
    assert y == 1


@pytest.mark.parametrize("count", [2, 3])
def test_classes_of_tables(prepared, count, tmp_path):
    labels = np.array(["no", "yes", "perhaps"])[:count]
    model = ensemble(prepared, count, classes=labels, temperature=0.7, threshold=0.3)
    rows = prepared[2].iloc[:60]
    lib, real = loaded(model, tmp_path, rows)
    want, chosen = model.predict_proba(rows), model.labels(model.predict_proba(rows))
    y = np.empty(count, real)
    for n, row in enumerate(rows_of(program_of(model), values_of(model, rows))):
        found = lib.net_predict_row(ctypes.byref(row), pointer(y))
        np.testing.assert_allclose(y, want[n], rtol=0, atol=1e-4)
        sure = abs(want[n, 1] - 0.3) > 1e-4 if count == 2 else np.ptp(want[n]) > 1e-3
        assert not sure or lib.net_class_name(found).decode() == chosen[n]


def test_numbers_of_tables(prepared, tmp_path):
    model, rows = ensemble(prepared, 1, lowest=1.0, highest=4.0), prepared[2].iloc[:60]
    header, source = model.to_c(tmp_path / "net", rows)
    assert "class" not in re.sub(r"\bclasses\b", "", header.read_text())
    compiled(source, tmp_path / "net.so", flags=("-Os", "-shared", "-fPIC"))
    lib, y = ctypes.CDLL(str(tmp_path / "net.so")), np.empty(1)
    want = model.predict(rows)
    for n, row in enumerate(rows_of(program_of(model), values_of(model, rows))):
        lib.net_predict_row(ctypes.byref(row), pointer(y))
        np.testing.assert_allclose(y[0], want[n], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", TARGETS)
def test_mlp_classifiers(name, tmp_path):
    model = MLPClassifier((7,), max_iter=5, random_state=0).fit(X, TARGETS[name])
    lib, real = loaded(model, tmp_path, X)
    want, labels = model.predict_proba(X), model.predict(X)
    y, logits = np.empty(want.shape[1], real), np.empty(3, np.float32)
    for n, row in enumerate(X):
        found = lib.net_predict(pointer(row), pointer(y))
        np.testing.assert_allclose(y, want[n], rtol=1e-5, atol=1e-6)
        if name == "several":
            lib.net_logits(pointer(row), pointer(logits))
            assert [lib.net_has_label(pointer(logits), k) for k in range(3)] == list(labels[n])
        else:
            assert lib.net_class_name(found).decode() == str(labels[n])


def test_mlp_regressors_of_several_outputs(tmp_path):
    model = MLPRegressor(hidden_layer_sizes=(7,), max_iter=5, random_state=0).fit(X, X[:, :2] * 50)
    _, source = model.to_c(tmp_path / "net", X)
    compiled(source, tmp_path / "net.so", flags=("-Os", "-march=native", "-shared", "-fPIC"))
    lib = ctypes.CDLL(str(tmp_path / "net.so"))
    real = np.float64 if "double *y" in (tmp_path / "net.h").read_text() else np.float32
    y, want = np.empty(2, real), model.predict(X)
    for n, row in enumerate(X):
        lib.net_predict(pointer(row), pointer(y))
        np.testing.assert_allclose(y, want[n], rtol=1e-5, atol=1e-5)


def test_a_fitted_table_classifier(prepared, tmp_path):
    frame = prepared[0]
    target = np.where(frame["number"].fillna(0) > 3, "high", "low")
    settings = {"preset": "fast", "n_members": 2, "random_state": 0}
    model = TabularClassifier(**settings).fit(frame[["number", "some", "day"]], target)
    rows = frame[["number", "some", "day"]].iloc[:40]
    lib, real = loaded(model, tmp_path, rows)
    want, y = model.predict_proba(rows), np.empty(2, real)
    for n, row in enumerate(rows_of(program_of(model), values_of(model, rows))):
        lib.net_predict_row(ctypes.byref(row), pointer(y))
        np.testing.assert_allclose(y, want[n], rtol=0, atol=1e-5)

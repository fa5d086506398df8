"""Predictors of tables: rows as dicts, of every kind of column."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from tests.export.test_programs import strange, table
from tests.serve.test_predictor import HEAVY, both, saved

import backhand
from backhand import InputError, Network, TabularClassifier, TabularRegressor
from backhand.export import Model
from backhand.preprocess.preparation import TablePreparation
from backhand.testing import assert_near

ROWS = 60
"""Rows that are predicted one by one."""

ROUNDING = 1e-6
"""Sines and logarithms differ from NumPy's in the last digit of float64, and where x is rounded to
float32 that may be a whole ULP of it: a few of them, seen through a network with small weights."""


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    frame = table(rng, 300)
    over = rng.normal(size=300) + frame["some"].isna() + (frame["two"] == 2.0)
    return frame, strange(rng, frame).iloc[:ROWS], over.to_numpy(float)


@pytest.fixture(scope="module")
def models(data):
    frame, _, over = data
    fast = {"preset": "fast", "n_members": 1, "random_state": 0}
    preparation = TablePreparation.fit(frame, warn=False)
    network = Network((preparation.width, 8, 3), loss="softmax_cross_entropy")
    params = network.init("kaiming_normal", 3)
    return {
        "two classes": TabularClassifier(**fast).fit(frame, np.where(over > 0.4, "yes", "no")),
        "three classes": TabularClassifier(**fast).fit(frame, np.digitize(over, [-0.3, 1.2])),
        "numbers": TabularRegressor(**fast).fit(frame, over),
        "plain": Model(network, params, "classification", preparation, ["a", "b", "c"]),
    }


KINDS = ("two classes", "three classes", "numbers", "plain")


def dicts(frame):
    """Rows as dicts of Python's own values, None where missing."""
    found = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{name: plain(cell) for name, cell in row.items()} for row in found]


def plain(cell):
    if isinstance(cell, pd.Timestamp):
        return cell.to_pydatetime()
    return cell.item() if isinstance(cell, np.generic) else cell


def said(call, *arguments):
    """What is returned, and the messages of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = call(*arguments)
    return found, sorted(str(one.message) for one in caught)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_as_dicts(kind, models, data, tmp_path):
    model, rows = models[kind], dicts(data[1])
    for predictor in both(saved(model, tmp_path)):
        for row in rows:
            want, its_warnings = said(model.predict, row)
            got, warned = said(predictor.predict, row)
            assert warned == its_warnings
            if kind == "numbers":
                assert type(got) is float
                assert_near(got, want[0], ROUNDING, ROUNDING)
            else:
                assert got == want[0]
                assert type(got) is type(want.tolist()[0])
                got, want = (said(m.predict_proba, row)[0] for m in (predictor, model))
                assert_near(got, want[0], ROUNDING, ROUNDING)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_many_rows(kind, models, data, tmp_path):
    model, frame = models[kind], data[1]
    predictor = both(saved(model, tmp_path))[1]
    want = model.predict(frame)
    for rows in (dicts(frame), frame, dict(frame)):
        got = predictor.predict(rows)
        assert got.shape == want.shape
        if kind == "numbers":
            assert_near(got, want, ROUNDING, ROUNDING)
        else:
            np.testing.assert_array_equal(got, want)
            p = model.predict_proba(frame)
            assert_near(predictor.predict_proba(rows), p, ROUNDING, ROUNDING)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_prepared_rows(models, data, tmp_path):
    model = models["three classes"].model_
    predictor = both(saved(models["three classes"], tmp_path))[1]
    x = model.preparation.apply(data[1])
    p = model.predict_prepared(x)
    few_ulp = 8 * np.finfo("f4").eps
    assert_near(predictor.predict_prepared(x), p, few_ulp, few_ulp)
    np.testing.assert_array_equal(
        predictor.predict_prepared(x[5]), predictor.predict_prepared(x)[5]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_do_not_fit(kind, models, data, tmp_path):
    model, row = models[kind], dicts(data[1])[0]
    predictor = both(saved(model, tmp_path))[1]
    without = {name: cell for name, cell in row.items() if name != "normal" and name != "number"}
    for bad in (
        without,
        {},
        {**row, "number": np.inf},
        {**row, "number": [1.0, 2.0]},
        {**row, "day": object()},
        3,
        None,
        "row",
    ):
        with pytest.raises(InputError) as expected:
            model.predict(bad)
        with pytest.raises(InputError) as raised:
            predictor.predict(bad)
        assert str(raised.value) == str(expected.value)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(kind, models, data, tmp_path):
    predictor = both(saved(model := models[kind], tmp_path))[1]
    none = {name: [] for name in data[0].columns}
    np.testing.assert_array_equal(predictor.predict(none), model.predict(none))
    k = 1 if predictor.classes is None else len(predictor.classes)
    assert predictor.predict_prepared(np.empty((0, predictor.inputs))).shape == (0, k)


def test_a_model_of_an_array_has_no_columns(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = TabularRegressor("fast", n_members=1, random_state=0).fit(X, X[:, 0])
    predictor = both(saved(model, tmp_path))[1]
    assert predictor.columns == []
    row = {"x0": 0.0, "x1": 0.0, "x2": 0.0}
    for bad in (row, [row, row]):
        with pytest.raises(InputError, match="fitted on an array without names"):
            predictor.predict(bad)
    np.testing.assert_array_equal(predictor.predict(X[:2]), model.predict(X[:2]))
    assert predictor.predict(X[0]) == model.predict(X[:1])[0]


def test_what_a_predictor_says_of_itself(models, tmp_path):
    predictor = both(saved(models["two classes"], tmp_path))[1]
    assert predictor.columns == models["two classes"].model_.preparation.columns
    assert predictor.classes == ["no", "yes"]
    assert repr(predictor).startswith("<Predictor: classification from number, ")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_threads(models, data, tmp_path):
    predictor, rows = both(saved(models["two classes"], tmp_path))[1], dicts(data[1])
    want, wrong = [predictor.predict_proba(row).tolist() for row in rows], []

    def work(seed):
        for k in np.random.default_rng(seed).integers(0, len(rows), 1000):
            if predictor.predict_proba(rows[k]).tolist() != want[k]:
                wrong.append(k)

    team = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("kind", ["two classes", "numbers", "plain"])
def test_a_new_process_loads_little(kind, models, data, tmp_path):
    path = saved(models[kind], tmp_path)
    backhand.load_predictor(path)
    row = dicts(data[0])[0] | {"number": 3, "few": None, "day": "2020-02-03"}
    code = (
        "import datetime, sys, backhand; p = backhand.load_predictor(sys.argv[1]); "
        "p.predict(eval(sys.argv[2])); "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, path, repr(row)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "numpy" in told
    assert set(HEAVY).isdisjoint(told)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKHAND_CACHE", str(tmp_path / "objects"))
    return tmp_path / "objects" / f"backhand-{os.geteuid()}"

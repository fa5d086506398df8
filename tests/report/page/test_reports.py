from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

import backhand
from backhand import MLPClassifier, MLPRegressor, Model, Network
from backhand.errors import InputError


@pytest.mark.parametrize("kind", ["binary", "several", "regression"])
def test_of_an_estimator_for_tables(fitted, tmp_path, kind):
    model, frame, y = fitted(kind)
    found = model.report(tmp_path / "r.html", frame, y, held_out=True).data
    assert (tmp_path / "r.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert found["rows"] == f"{len(model.held_out_.y)} rows"
    assert len(found["course"]["trainings"]) == len(model.members_)
    assert found["health"]
    assert all(one["looks"] and one["verdicts"] for one in found["health"])
    given = model.report(None, frame, y).data
    assert given["rows"] == "300 rows"
    assert found["treatments"][0]["column"] == "a"


def test_of_an_estimator_that_was_loaded(fitted, tmp_path):
    model, frame, y = fitted("binary")
    model.save(tmp_path / "m.safetensors")
    loaded = backhand.load(tmp_path / "m.safetensors")
    found, before = (one.report(None, frame, y).data for one in (loaded, model))
    assert found["scores"] == before["scores"]
    assert found["columns"] == before["columns"]
    assert found["course"] is None
    with pytest.raises(InputError, match="without held_out=True"):
        loaded.report(None, frame, y, held_out=True)


def test_rows_need_targets(fitted):
    model, frame, _ = fitted("binary")
    with pytest.raises(InputError, match="give y as well"):
        model.report(None, frame)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("load", "maker"), [(load_breast_cancer, MLPClassifier), (load_diabetes, MLPRegressor)]
)
def test_of_estimators_in_the_manner_of_scikit_learn(load, maker):
    x, y = load(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    model = maker(hidden_layer_sizes=(8,), max_iter=20, early_stopping=True, random_state=0)
    model.fit(x[::2], y[::2])
    found = model.report(None, x[1::2], y[1::2]).data
    score = {one["name"]: one["value"] for one in found["scores"]["scores"]}
    name = "accuracy" if maker is MLPClassifier else "R2"
    assert score[name] == pytest.approx(model.score(x[1::2], y[1::2]), rel=1e-6)
    assert len(found["course"]["trainings"][0]["epochs"]) == model.n_iter_
    assert model.report().data["columns"] is None


def test_several_targets_have_no_report():
    rng = np.random.default_rng(0)
    model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs").fit(
        rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    )
    with pytest.raises(InputError, match="2 outputs"):
        model.report()


def test_of_a_model_of_pixels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 5))
    network = Network((5, 8, 3), loss="softmax_cross_entropy")
    params = network.init("kaiming_normal", 0)
    model = Model(network, params, "classification", classes=["a", "b", "c"])
    y = np.array(["a", "b", "c"])[rng.integers(0, 3, 100)]
    found = model.report(None, x, y, title="Letters").data
    assert found["title"] == "Letters, classification"
    right = np.mean(model.predict(x) == y)
    assert found["scores"]["scores"][0]["value"] == pytest.approx(right)
    with pytest.raises(InputError, match="does not know: 'd'"):
        model.report(None, x, np.full(100, "d"))

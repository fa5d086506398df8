from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backhand import MLPClassifier, Model, Network, TabularClassifier, load


def test_a_models_file(backhand, tmp_path):
    backhand("train", "digits", "--epochs", "1", "--hidden", "7", "--out", "run")
    code, out, _ = backhand("info", "run/model.safetensors")
    assert code == 0
    about = out.splitlines()
    assert about[0] == "classification"
    assert about[1] == "classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert about[2] == "inputs: 64 pixels"
    assert about[3] == "network: 64-7-10, relu"
    assert about[4].split() == ["accuracy", "loss"]
    assert [line.split()[0] for line in about[5:8]] == ["train", "validation", "test"]
    assert about[8] == "kept: epoch 1; ended: after all epochs"
    assert about[9].startswith("command: backhand train digits --hidden 7")
    assert about[10:] == ["backhand: 0.1.0", about[11]]
    assert about[11].startswith("trained: 20")
    (tmp_path / "run" / "run.json").write_text("[]")
    assert backhand("info", "run")[1].splitlines() == about[:11]


def test_the_columns_of_a_plain_networks_table(backhand, people):
    backhand("train", people[1], "--target", "label", "--epochs", "1", "--out", "run")
    code, out, _ = backhand("info", "run")
    assert code == 0
    rows = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line}
    assert rows["city"].startswith("city text one-hot of 3 values")
    assert {"Oslo", "Paris", "Rome"} <= set(rows["city"].replace(",", "").split())
    assert rows["smokes"].startswith("smokes true/false -1 or 1 ")
    assert rows["age"].startswith("age numbers number, robustly scaled ")
    assert 38 < float(rows["age"].split("median ")[1]) < 42
    assert "label" not in rows
    assert rows["unit"] == "unit text left out constant in the training rows"


@pytest.mark.parametrize("scores", [None, {}, 3, {"test": None}, {"test": {"loss": "\x1b[2J"}}])
def test_scores_that_somebody_edited(backhand, tmp_path, scores):
    network = Network((6, 5, 2), loss="softmax_cross_entropy")
    made = {"scores": scores, "stopped": "\x1b[2J", "best_epoch": []}
    params = network.init("kaiming_normal")
    model = Model(network, params, "classification", classes=[0, 1], provenance=made)
    model.save(tmp_path / "m.safetensors")
    code, out, err = backhand("info", "m.safetensors")
    assert (code, err) == (0, "")
    assert "\x1b" not in out


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_of_scikit_learns_kind(backhand, tmp_path):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.random.default_rng(0).standard_normal((30, 3)), columns=["a", "b", "c"])
    MLPClassifier((4,), max_iter=3, batch_size=8).fit(X, X["a"] > 0).save("m.safetensors")
    code, out, _ = backhand("info", "m.safetensors")
    assert code == 0
    assert "classes: False, True" in out
    assert "inputs: a, b, c" in out


def test_an_ensemble(backhand, people, tmp_path):
    words = "--target", "label", "--preset", "fast", "--metric", "balanced_accuracy"
    trained = backhand("train", people[1], *words, "--out", "run")[1]
    code, out, err = backhand("info", "run")
    assert (code, err) == (0, "")
    assert out.startswith("classification of 'label'\nclasses: no, yes\nlearned from 300 rows; ")
    network = [line for line in trained.splitlines() if line.startswith(("network", "1  ", "2  "))]
    assert len(network) == 3
    assert "validation loss" in network[0]  # the metric chooses the threshold
    scores = [line for line in trained.splitlines() if line.startswith(("acc", "AUC", "balanced"))]
    assert len(scores) == 3
    for line in (*network, *scores, "unit"):
        assert line in out
    threshold = load(tmp_path / "run" / "model.safetensors").model_.threshold
    told = f"threshold: yes is predicted from a probability of {threshold:.3f} on"
    assert (told in out) == (threshold != 0.5)
    assert f"command: backhand train {people[1]} --target label --preset fast" in out
    assert "\ntrained: 20" in out


def test_an_ensemble_that_was_saved_by_hand_or_edited(backhand, tmp_path):
    x = np.linspace(0, 1, 60)
    estimator = TabularClassifier("fast", n_members=1, random_state=0)
    estimator.fit({"a": x, "b": x**2}, np.where(x > 0.4, "big", "small"))
    estimator.save(tmp_path / "m.safetensors")
    code, out, err = backhand("info", "m.safetensors")
    assert (code, err) == (0, "")
    assert "1 network, " in out
    wrong = {"scores": {"held_out": {"scores": 3}}, "networks": [{"kind": "\x1b[2J"}], "seed": []}
    about = {**estimator.model_.about, **wrong, "command": "\x1b[2J"}
    estimator.model_ = dataclasses.replace(estimator.model_, about=about)
    estimator.save(tmp_path / "m.safetensors")
    code, out, err = backhand("info", "m.safetensors")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
